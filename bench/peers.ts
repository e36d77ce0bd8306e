/** `npm run bench:peers`: installs what we compare with, in these versions, into a folder outside of the repository. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

export const peersFolder = path.join(os.tmpdir(), "redclaw-bench-peers");

export const peers = {
  grammy: "1.46.0",
  "@grammyjs/runner": "2.0.3",
  "node-red-contrib-telegrambot": "19.0.1",
};

export function peersInstalled(): boolean {
  return Object.entries(peers).every(([name, version]) => {
    const file = path.join(peersFolder, "node_modules", name, "package.json");
    return fs.existsSync(file) && JSON.parse(fs.readFileSync(file, "utf8")).version === version;
  });
}

function install(): number {
  fs.mkdirSync(peersFolder, { recursive: true });
  const manifest = { private: true, dependencies: peers };
  fs.writeFileSync(path.join(peersFolder, "package.json"), JSON.stringify(manifest, null, 2));
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", args, { cwd: peersFolder, stdio: "inherit" });
  if (status === 0) console.log(`The peers are in ${peersFolder}. Now: npm run bench`);
  return status ?? 1;
}

if (require.main === module) process.exitCode = install();
