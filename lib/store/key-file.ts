/**
 * The key of a database lies in a file beside it: who takes the database alone cannot read what people wrote, and
 * deleting the key makes every copy of the database unreadable.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

const KEY_BYTES = 32;

export interface KeyFile {
  key: Buffer;
  /** True when there was none, or none that could be used. */
  isNew: boolean;
}

/** Reads the key of a database, or makes one that is safely on the disk before it is used. Throws system errors. */
export function keyOf(database: string): KeyFile {
  const path = `${database}.key`;
  const found = read(path);
  if (found?.length === KEY_BYTES) return { key: found, isNew: false };
  // Damaged: kept, in case somebody can mend it.
  if (found) renameSync(path, `${path}.damaged-${Date.now()}`);
  const made = `${path}.${process.pid}`;
  try {
    writeFileSync(made, randomBytes(KEY_BYTES), { mode: 0o600, flush: true });
    publish(made, path);
  } finally {
    rmSync(made, { force: true });
  }
  syncFolder(dirname(path));
  return { key: readFileSync(path), isNew: true };
}

function read(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Never over a key that another process has made meanwhile. */
function publish(made: string, path: string): void {
  try {
    linkSync(made, path);
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "EEXIST") return;
    // Some file systems (exFAT, network shares) have no links.
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP" && code !== "ENOSYS") throw error;
    renameSync(made, path);
  }
}

/** Makes the name durable, not only the bytes; where a folder cannot be opened (Windows), it is so anyway. */
function syncFolder(path: string): void {
  try {
    const folder = openSync(path, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  } catch {
    // No reason not to start.
  }
}
