/**
 * A file that only takes up space. On a full disk SQLite cannot even delete; giving these megabytes back lets
 * everything that is under way be recorded and old rows be removed.
 */
import { randomBytes } from "node:crypto";
import { existsSync, rmSync, statfsSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";

const CHUNK = 1024 * 1024;

export class Ballast {
  readonly #path: string;
  readonly #bytes: number;
  #filling: Promise<void> | undefined;
  #stop = false;

  constructor(database: string, bytes = 16 * CHUNK) {
    this.#path = `${database}.ballast`;
    this.#bytes = bytes;
  }

  /** Makes the file in the background, if the disk has plenty of room. Does not reject. */
  fill(): Promise<void> {
    this.#filling ??= this.#write().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  /** True when the disk has room for the file and half as much again. */
  hasRoom(): boolean {
    try {
      const disk = statfsSync(dirname(this.#path));
      return disk.bavail * disk.bsize > 1.5 * this.#bytes;
    } catch {
      return true;
    }
  }

  /** Gives the space back; answers whether there was any. */
  release(): boolean {
    this.#stop = true;
    const existed = existsSync(this.#path);
    rmSync(this.#path, { force: true });
    return existed;
  }

  /** Waits for a fill that is under way, and ends it early. */
  async close(): Promise<void> {
    this.#stop = true;
    await this.#filling;
  }

  async #write(): Promise<void> {
    this.#stop = false;
    try {
      const size = await stat(this.#path).then(
        (file) => file.size,
        () => 0,
      );
      if (size === this.#bytes || !this.hasRoom()) return;
      const file = await open(this.#path, "w", 0o600);
      try {
        // Random bytes: a file system that compresses would give nothing back for zeros.
        const chunk = randomBytes(CHUNK);
        for (let left = this.#bytes; left > 0 && !this.#stop; left -= chunk.length) {
          await file.write(chunk.subarray(0, Math.min(left, CHUNK)));
        }
        await file.datasync();
      } finally {
        await file.close();
      }
      if (this.#stop) rmSync(this.#path, { force: true });
    } catch {
      // No room or no permission: we go without.
      rmSync(this.#path, { force: true });
    }
  }
}
