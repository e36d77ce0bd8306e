/** The built package that a campaign runs against: this checkout, or the folder in `REDCLAW_PACKAGE`. */
import fs from "node:fs";
import path from "node:path";
import type { Store } from "../../lib/store/store";
import { packageName, root } from "../node-red";

export const packageFolder = path.resolve(process.env["REDCLAW_PACKAGE"] ?? root);

/** Makes a built package an installed one of a user directory. */
export function install(userDir: string, from = packageFolder): void {
  const link = path.join(userDir, "node_modules", packageName);
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true, recursive: true });
  fs.symlinkSync(from, link, "junction");
}

/** The store of a user directory, opened with the code that wrote it. Only when its process has ended. */
export async function openLedger(file: string, from = packageFolder): Promise<Store> {
  const { sqliteStore } = require(path.join(from, "dist/lib/store/sqlite.js")) as {
    sqliteStore(options: { path: string }): Promise<Store>;
  };
  return sqliteStore({ path: file });
}

export const databaseOf = (userDir: string): string => path.join(userDir, "redclaw", "gateway.db");
