/** The body of a Bot API request: JSON, a form, or multipart with files (RFC 7578), read for real. */
import type { IncomingMessage } from "node:http";

export interface UploadedFile {
  filename: string;
  data: Buffer;
}

export interface Arguments {
  args: Record<string, unknown>;
  /** By the name of their multipart field. */
  files: Map<string, UploadedFile>;
}

/** Fields that Telegram takes as JSON inside a form. */
const JSON_FIELDS =
  /^(reply_markup|reply_parameters|entities|caption_entities|allowed_updates|reaction|link_preview_options)$/;

export async function readArguments(request: IncomingMessage): Promise<Arguments> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const type = request.headers["content-type"] ?? "";
  const query = Object.fromEntries(new URL(request.url ?? "/", "http://x").searchParams);
  if (type.startsWith("application/json")) {
    return { args: { ...query, ...(JSON.parse(body.toString() || "{}") as object) }, files: new Map() };
  }
  if (type.startsWith("multipart/form-data")) {
    const { args, files } = readMultipart(body, type);
    return { args: { ...query, ...args }, files };
  }
  const form = Object.fromEntries(new URLSearchParams(body.toString()));
  return { args: jsonFields({ ...query, ...form }), files: new Map() };
}

function readMultipart(body: Buffer, type: string): Arguments {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
  if (boundary === undefined) throw new Error("multipart without a boundary");
  const files: Arguments["files"] = new Map();
  const fields: Record<string, string> = {};
  const mark = Buffer.from(`--${boundary}`);
  let at = body.indexOf(mark);
  for (;;) {
    const start = at + mark.length;
    if (at < 0) throw new Error("multipart without its end");
    if (body.subarray(start, start + 2).toString() === "--") break;
    const next = body.indexOf(Buffer.concat([Buffer.from("\r\n"), mark]), start);
    const headEnd = body.indexOf("\r\n\r\n", start);
    if (next < 0 || headEnd < 0 || headEnd > next) throw new Error("multipart part is cut off");
    const head = body.subarray(start, headEnd).toString();
    const data = body.subarray(headEnd + 4, next);
    const name = /\bname="?([^";\r\n]+)"?/i.exec(head)?.[1];
    const filename = /\bfilename="?([^";\r\n]*)"?/i.exec(head)?.[1];
    if (name === undefined) throw new Error("multipart part without a name");
    if (filename === undefined) fields[name] = data.toString();
    else files.set(name, { filename, data: Buffer.from(data) });
    at = next + 2;
  }
  return { args: jsonFields(fields), files };
}

function jsonFields(fields: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      JSON_FIELDS.test(key) ? (JSON.parse(value) as unknown) : value,
    ]),
  );
}
