/** Files over HTTP: taking one from a visitor, and giving one out so that it cannot do anything. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Files } from "./files";
import { kindOf } from "./media";
import { header } from "./origins";
import type { PostedFile } from "./parse";
import { Refusal, readBody } from "./requests";

/** Bytes of one file. */
const FILE_MAX = 10 * 1024 * 1024;
/** Uploads held in memory at the same time. */
const AT_ONCE = 6;

let underWay = 0;

/** Takes the raw bytes of a file. Its name comes in `X-Redclaw-Name` (URI-encoded), its claimed type in `X-Redclaw-Type`. */
export async function takeUpload(
  files: Files,
  request: IncomingMessage,
  visitor: string,
): Promise<PostedFile> {
  if (!/^application\/octet-stream\s*(;|$)/i.test(header(request, "content-type") ?? "")) {
    throw new Refusal(415, "not-bytes", "Send the file as application/octet-stream.");
  }
  if (underWay >= AT_ONCE)
    throw new Refusal(429, "too-fast", "Several files are on their way. This one follows.", 2);
  underWay += 1;
  try {
    const data = await readBody(
      request,
      FILE_MAX,
      () => new Refusal(413, "file-too-big", "This file is larger than 10 MB."),
    );
    if (data.length === 0) throw new Refusal(400, "empty", "This file is empty.");
    const name = decodeName(header(request, "x-redclaw-name"));
    return await files.put("visitor", visitor, { data, name, mime: header(request, "x-redclaw-type") ?? "" });
  } finally {
    underWay -= 1;
  }
}

function decodeName(encoded = ""): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** Gives a file to whoever knows its unguessable id. */
export async function serveFile(
  files: Files,
  request: IncomingMessage,
  response: ServerResponse,
  id: string,
): Promise<void> {
  const file = await files.get(id);
  if (!file) throw new Refusal(404, "file-gone", "This file is no longer there.");
  const shown = kindOf(file.mime) !== "file";
  const name = encodeURIComponent(file.name).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  const { length } = file.data;
  const range = rangeOf(header(request, "range"), length);
  response.writeHead(range ? (range.start < length ? 206 : 416) : 200, {
    "Content-Type": shown ? file.mime : "application/octet-stream",
    "Content-Disposition": `${shown ? "inline" : "attachment"}; filename*=UTF-8''${name}`,
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=86400, immutable",
    "Accept-Ranges": "bytes",
    ...(range
      ? {
          "Content-Range":
            range.start < length ? `bytes ${range.start}-${range.end}/${length}` : `bytes */${length}`,
        }
      : {}),
  });
  if (request.method === "HEAD") response.end();
  else response.end(range ? file.data.subarray(range.start, range.end + 1) : file.data);
}

/** One range of bytes, as media players ask for; anything else is answered with the whole file. */
function rangeOf(asked: string | undefined, length: number): { start: number; end: number } | undefined {
  const [, from = "", to = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(asked ?? "") ?? [];
  if (from === "" && to === "") return undefined;
  if (from === "") return { start: Math.max(0, length - Number(to)), end: length - 1 };
  const end = to === "" ? length - 1 : Math.min(Number(to), length - 1);
  return end < Number(from) && Number(from) < length ? undefined : { start: Number(from), end };
}
