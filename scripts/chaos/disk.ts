/** A disk that is small, full, read-only, damaged or locked: below the database of a Node-RED that runs on it. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import type { Random } from "./random";

/** A file system of its own, mounted at `folder`. */
export class SmallDisk {
  readonly folder: string;
  readonly #filler: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.#filler = path.join(folder, "filler");
  }

  /** Throws with what to do when this machine does not let us mount. */
  static mount(folder: string, megabytes: number): SmallDisk {
    fs.mkdirSync(folder, { recursive: true });
    run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder]);
    return new SmallDisk(folder);
  }

  /** Not a byte is left. */
  fill(): void {
    const file = fs.openSync(this.#filler, "a");
    try {
      for (let size = 1024 * 1024; size >= 1; size = Math.floor(size / 4)) {
        const chunk = Buffer.alloc(size);
        try {
          while (fs.writeSync(file, chunk) === size);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
        }
      }
    } finally {
      fs.closeSync(file);
    }
  }

  free(): void {
    fs.rmSync(this.#filler, { force: true });
  }

  readOnly(on: boolean): void {
    run("mount", ["-o", `remount,${on ? "ro" : "rw"}`, this.folder]);
  }

  unmount(): void {
    run("umount", ["-l", this.folder]);
  }
}

function run(command: string, args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status === 0) return;
  throw new Error(
    `${command} ${args.join(" ")}: ${stderr ?? "not found"}. The tests of a full disk mount a small one: run them as root in a container that may mount (docker run --cap-add SYS_ADMIN), or on a machine.`,
  );
}

/** Another process holds the database: nobody can write until `release`. */
export async function lock(file: string): Promise<{ release(): Promise<void> }> {
  const code = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(process.argv[1], { timeout: 20000 });
    database.exec("BEGIN EXCLUSIVE");
    console.log("locked");
    process.stdin.resume();
    process.stdin.on("end", () => process.exit(0));`;
  const holder: ChildProcess = spawn(process.execPath, ["--no-warnings", "-e", code, file], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const gone = once(holder, "exit");
  await Promise.race([
    once(holder.stdout as NodeJS.ReadableStream, "data"),
    gone.then(() => Promise.reject(new Error("could not lock the database"))),
  ]);
  return {
    async release() {
      holder.stdin?.end();
      await gone;
    },
  };
}

/** Writes noise over so many pages. Page 1 has what SQLite looks at first; it is spared when `spareFirst`. */
export function damage(file: string, random: Random, pages: number, spareFirst = false): void {
  const size = fs.statSync(file).size;
  const handle = fs.openSync(file, "r+");
  for (let index = 0; index < pages; index += 1) {
    const all = Math.max(1, Math.floor(size / 4096));
    const page = spareFirst && all > 1 ? 1 + random.below(all - 1) : random.below(all);
    const noise = Buffer.from(Array.from({ length: 4096 }, () => random.below(256)));
    fs.writeSync(handle, noise, 0, Math.min(4096, size), page * 4096);
  }
  fs.closeSync(handle);
}
