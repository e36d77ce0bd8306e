/**
 * Files of conversations, both ways. They lie encrypted in a folder of the system's temporary files that only this
 * account can find, so that they survive a restart of Node-RED; old ones go first when there are too many.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { OpenedFile } from "../../../lib/channel/define";
import { safeFileName } from "../../../lib/http/file-name";
import { mimeOf } from "../../../lib/http/mime";
import { kindOf } from "./media";
import type { PostedFile } from "./parse";

/** Bytes of all files that visitors sent, and again of all that the bot sent. */
const QUOTA = 150 * 1024 * 1024;
const KEEP_MS = 30 * 24 * 3_600_000;
const FOLDER = "redclaw-web-";
/** The first letter says whose it is: visitors cannot push out what the bot sent. */
const FILE_ID = /^[vb][A-Za-z0-9_-]{22}$/;

export interface KeptFile extends OpenedFile {
  kind: PostedFile["kind"];
  /** The visitor whose conversation it belongs to. */
  visitor: string;
}

export class Files {
  readonly #parent: string;
  readonly #folder: string;
  readonly #key: Buffer;
  /** Oldest first. */
  readonly #kept = new Map<string, { size: number; at: number }>();
  #ready?: Promise<void>;

  constructor(secret: string, account: string, parent = os.tmpdir()) {
    const derive = (purpose: string) =>
      createHmac("sha256", secret)
        .update(JSON.stringify([purpose, account]))
        .digest();
    this.#parent = parent;
    this.#folder = path.join(parent, `${FOLDER}${derive("folder").toString("hex").slice(0, 32)}`);
    this.#key = derive("files");
  }

  /** Keeps a file. Its type is read from its bytes. */
  async put(
    from: "visitor" | "bot",
    visitor: string,
    file: { data: Buffer; name: string; mime?: string; kind?: PostedFile["kind"] },
  ): Promise<PostedFile> {
    await this.#open();
    const mime = mimeOf(file.data, file.name, file.mime);
    const name = safeFileName(file.name, mime);
    const found = kindOf(mime);
    const kind = file.kind === "voice" && found === "audio" ? "voice" : found;
    const id = `${from === "bot" ? "b" : "v"}${randomBytes(16).toString("base64url")}`;
    const sealed = this.#seal(id, { name, mime, kind, visitor }, file.data);
    const target = path.join(this.#folder, id);
    await writeFile(`${target}.new`, sealed, { mode: 0o600, flag: "wx" });
    await rename(`${target}.new`, target);
    this.#kept.set(id, { size: sealed.length, at: Date.now() });
    await this.#makeRoom(id.charAt(0));
    return { id, kind, mime, name, size: file.data.length };
  }

  /** Undefined when there is no such file (any more). */
  async get(id: string): Promise<KeptFile | undefined> {
    if (!FILE_ID.test(id)) return undefined;
    try {
      await this.#open();
      return this.#unseal(id, await readFile(path.join(this.#folder, id)));
    } catch {
      return undefined; // gone, damaged, or sealed with another secret: the same to whoever asks
    }
  }

  /** Makes the folder, or finds it with what an earlier run left there. */
  #open(): Promise<void> {
    this.#ready ??= this.#find().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #find(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const folder = await lstat(this.#folder);
    // The folder for temporary files belongs to everybody: what stands there under our name must be ours.
    if (!folder.isDirectory() || (process.getuid && folder.uid !== process.getuid())) {
      throw new Error(`${this.#folder} belongs to somebody else.`);
    }
    const found = await Promise.all(
      (await readdir(this.#folder)).map(async (id) => {
        const { size, mtimeMs } = await stat(path.join(this.#folder, id));
        return { id, size, at: mtimeMs };
      }),
    );
    for (const { id, size, at } of found.sort((a, b) => a.at - b.at)) this.#kept.set(id, { size, at });
    for (const owner of ["v", "b"]) await this.#makeRoom(owner);
    await this.#removeAbandoned();
  }

  /** Folders of accounts that are gone, or whose secret is: nobody put anything there for as long as files are kept. */
  async #removeAbandoned(): Promise<void> {
    for (const name of await readdir(this.#parent)) {
      if (!/^[0-9a-f]{32}$/.test(name.startsWith(FOLDER) ? name.slice(FOLDER.length) : "")) continue;
      const folder = path.join(this.#parent, name);
      const found = await lstat(folder).catch(() => undefined);
      if (!found?.isDirectory() || (process.getuid && found.uid !== process.getuid())) continue;
      if (folder === this.#folder || found.mtimeMs > Date.now() - KEEP_MS) continue;
      await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    }
  }

  async #makeRoom(owner: string): Promise<void> {
    const own = [...this.#kept].filter(([id]) => id.startsWith(owner));
    let total = own.reduce((sum, [, { size }]) => sum + size, 0);
    for (const [id, { size, at }] of own) {
      if (total <= QUOTA && at > Date.now() - KEEP_MS) break;
      total -= size;
      this.#kept.delete(id);
      await unlink(path.join(this.#folder, id)).catch(() => undefined);
    }
  }

  #seal(id: string, about: Omit<KeptFile, "data">, data: Buffer): Buffer {
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, iv).setAAD(Buffer.from(id));
    const head = Buffer.from(JSON.stringify(about));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(head.length);
    const sealed = [cipher.update(length), cipher.update(head), cipher.update(data), cipher.final()];
    return Buffer.concat([iv, cipher.getAuthTag(), ...sealed]);
  }

  #unseal(id: string, sealed: Buffer): KeptFile {
    const decipher = createDecipheriv("aes-256-gcm", this.#key, sealed.subarray(0, 12)).setAAD(
      Buffer.from(id),
    );
    decipher.setAuthTag(sealed.subarray(12, 28));
    const open = Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]);
    const headEnd = 4 + open.readUInt32BE(0);
    return { ...JSON.parse(open.toString("utf8", 4, headEnd)), data: open.subarray(headEnd) };
  }
}
