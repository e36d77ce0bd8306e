/** The bytes of a file to send, wherever it stands: at an address, on this machine, in the message, on a platform. */
import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import type { OpenedFile } from "../channel/define";
import { RedclawError } from "../errors";
import type { OutgoingAttachment } from "../message/types";
import { megabytes } from "./faults";
import { safeFileName } from "./file-name";
import { mimeOf } from "./mime";

export interface OpenOptions {
  fetch: typeof globalThis.fetch;
  /** Largest file. */
  maxBytes: number;
  signal: AbortSignal;
  /** Resolves a `ref`; the account's `Client.download`. */
  download?: (ref: string, signal: AbortSignal) => Promise<OpenedFile>;
}

/** As found, before it has its final name and type. */
interface Found {
  data: Buffer;
  name?: string;
  mime?: string;
}

/**
 * Opens an attachment. Its type is what the bytes say, its name is safe to show and store. Throws RedclawError
 * `file-missing`, `file-too-large`, `file-empty`, `file-unreadable`, `private-address`, or what `fetch` throws.
 */
export async function openAttachment(
  attachment: OutgoingAttachment,
  options: OpenOptions,
): Promise<OpenedFile> {
  options.signal.throwIfAborted();
  const found = await find(attachment, options);
  if (found.data.length > options.maxBytes) throw tooLarge(options.maxBytes);
  if (found.data.length === 0) throw new RedclawError("file-empty", "The file to send is empty.");
  const wanted = attachment.name || found.name || "";
  const mime = mimeOf(found.data, wanted, attachment.mime || found.mime);
  return { data: found.data, mime, name: safeFileName(wanted, mime, attachment.kind) };
}

function find(attachment: OutgoingAttachment, options: OpenOptions): Promise<Found> | Found {
  const { url, path, data, ref } = attachment;
  if (data !== undefined && data !== null) return fromData(data, options.maxBytes);
  if (typeof url === "string" && url !== "") {
    return /^data:/i.test(url) ? fromDataUrl(url, options.maxBytes) : fromUrl(url, options);
  }
  if (typeof path === "string" && path !== "") return fromPath(path, options);
  if (typeof ref === "string" && ref !== "") return fromRef(ref, options);
  throw new RedclawError(
    "file-missing",
    "The attachment names no file. Give it one of url, path, data or ref.",
  );
}

async function fromUrl(address: string, { fetch, maxBytes, signal }: OpenOptions): Promise<Found> {
  const response = await fetch(address, { signal }).catch((error) => {
    throw error instanceof RedclawError && error.code === "too-large" ? tooLarge(maxBytes) : error;
  });
  const { host, pathname } = new URL(response.url || address);
  if (!response.ok) {
    await response.body?.cancel();
    const missing = response.status === 404 || response.status === 410;
    throw new RedclawError(
      missing ? "file-missing" : "file-unreadable",
      missing
        ? `There is no such file on ${host}. Check the address of the attachment.`
        : `${host} did not give the file (status ${response.status}). Check that the address can be opened without signing in.`,
    );
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const mime = response.headers.get("content-type") ?? undefined;
  return { data: Buffer.concat(chunks), name: decoded(pathname.split("/").at(-1) ?? ""), mime };
}

async function fromPath(path: string, { maxBytes, signal }: OpenOptions): Promise<Found> {
  let file: FileHandle | undefined;
  try {
    // Looked at before it is opened (opening a device can do something), and after (it may have been swapped).
    if (!(await stat(path)).isFile()) throw notAFile();
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const info = await file.stat();
    if (!info.isFile()) throw notAFile();
    if (info.size > maxBytes) throw tooLarge(maxBytes);
    return { data: await readAll(file, maxBytes, signal), name: path };
  } catch (error) {
    throw pathError(error);
  } finally {
    await file?.close();
  }
}

/** Reads to the end, not to the size: a file may grow, and some have no size. */
async function readAll(file: FileHandle, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let size = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead, buffer } = await file.read(Buffer.alloc(256 * 1024), 0, 256 * 1024, null);
    if (bytesRead === 0) return Buffer.concat(chunks);
    size += bytesRead;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

function fromData(data: unknown, maxBytes: number): Found {
  if (ArrayBuffer.isView(data)) return { data: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
  if (typeof data !== "string") throw unreadable();
  if (/^data:/i.test(data)) return fromDataUrl(data, maxBytes);
  return { data: fromBase64(data, maxBytes) };
}

function fromDataUrl(url: string, maxBytes: number): Found {
  const comma = url.indexOf(",");
  const head = url.slice(5, Math.max(5, comma));
  if (comma === -1) throw unreadable();
  const text = url.slice(comma + 1);
  const mime = head.replace(/;\s*base64$/i, "");
  if (mime !== head) return { data: fromBase64(decoded(text), maxBytes), mime };
  if (text.length > maxBytes * 3) throw tooLarge(maxBytes);
  return { data: Buffer.from(decoded(text)), mime };
}

function fromBase64(text: string, maxBytes: number): Buffer {
  // Four characters are three bytes; checked before they take up memory.
  if (text.length * 0.75 > maxBytes * 1.1 + 16) throw tooLarge(maxBytes);
  const compact = text.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(compact)) throw unreadable();
  return Buffer.from(compact, "base64");
}

async function fromRef(ref: string, { download, signal }: OpenOptions): Promise<Found> {
  if (!download) {
    throw new RedclawError(
      "file-missing",
      "This file came from a chat that Redclaw cannot read files of, so it cannot be sent on.",
    );
  }
  return download(ref, signal);
}

function pathError(error: unknown): unknown {
  if (error instanceof RedclawError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new RedclawError(
      "file-missing",
      "The file to send does not exist on this machine. Check its path.",
      { cause: error },
    );
  }
  if (code === undefined) return error;
  return new RedclawError(
    "file-unreadable",
    `The file to send cannot be read (${code}). Check that the user who runs Node-RED may read it.`,
    {
      cause: error,
    },
  );
}

function notAFile(): RedclawError {
  return new RedclawError(
    "file-unreadable",
    "The path of the attachment is not a file, but a folder or a device.",
  );
}

function unreadable(): RedclawError {
  return new RedclawError("file-unreadable", "The data of the attachment is not base64 text or a Buffer.");
}

function tooLarge(maxBytes: number): RedclawError {
  return new RedclawError(
    "file-too-large",
    `The file is larger than ${megabytes(maxBytes)}, the most that can be sent here.`,
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
