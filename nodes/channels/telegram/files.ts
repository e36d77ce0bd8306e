/** Files that Telegram keeps: fetched by id, through the account's own server. */
import { posix } from "node:path";
import type { ConnectContext, OpenedFile } from "../../../lib/channel/define";
import { ChannelError } from "../../../lib/errors";
import type { BotApi } from "./api";
import { API_ROOT, DOWNLOAD_MAX_BYTES, OWN_SERVER_DOWNLOAD_MAX_BYTES, type Timing } from "./constants";
import { faultOfNetwork } from "./faults";

interface FileSource {
  ctx: ConnectContext;
  api: BotApi;
  apiRoot: string;
  token: string;
  secrets: readonly string[];
  timing: Timing;
}

/** Bytes of the file with this id. Throws ChannelError; `too-large` above what Telegram gives to bots. */
export async function downloadFile(
  source: FileSource,
  ref: string,
  signal: AbortSignal,
): Promise<OpenedFile> {
  const { ctx, api, apiRoot, token, secrets, timing } = source;
  if (/^(geo|tel):/.test(ref)) {
    throw new ChannelError(
      "refused",
      "A place or a contact is not a file; its details are in the event itself.",
      { code: "no-file" },
    );
  }
  const { file_path: path, file_size: size = 0 } = await api.call(
    "getFile",
    { file_id: ref },
    { withinMs: timing.callMs, signal },
  );
  const isOwnServer = apiRoot !== API_ROOT;
  const max = isOwnServer ? OWN_SERVER_DOWNLOAD_MAX_BYTES : DOWNLOAD_MAX_BYTES;
  if (size > max) throw tooLarge();
  if (path === undefined) {
    throw new ChannelError(
      "refused",
      "Telegram does not have this file any more. Ask for it to be sent again.",
      { code: "no-file" },
    );
  }
  // A local Bot API server (--local) names a file on its own disk, which must be this machine's.
  if (isOwnServer && path.startsWith("/")) {
    return ctx.open({ kind: "file", path }).catch((thrown) => {
      throw faultOfNetwork(thrown, secrets);
    });
  }
  try {
    const { status, bytes } = await ctx.request({
      url: `${apiRoot}/file/bot${token}/${path.split("/").map(encodeURIComponent).join("/")}`,
      signal: AbortSignal.any([signal, ctx.signal]),
      timeoutMs: timing.uploadMs,
      maxBytes: max,
    });
    if (status !== 200) {
      throw new ChannelError("unavailable", `Telegram did not hand out the file (${status}).`);
    }
    return { data: bytes, name: posix.basename(path), mime: mimeOf(path) };
  } catch (thrown) {
    if (thrown instanceof ChannelError && thrown.code === "too-large") throw tooLarge();
    throw faultOfNetwork(thrown, secrets);
  }
}

function tooLarge(): ChannelError {
  return new ChannelError(
    "refused",
    "Telegram gives bots files of up to 20 MB; this one is larger. A Bot API server of your own gives larger ones.",
    { code: "too-large" },
  );
}

/** Endings that Telegram gives to the files it keeps. */
const MIME: Readonly<Record<string, string>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  gif: "image/gif",
  oga: "audio/ogg",
  ogg: "audio/ogg",
  mp3: "audio/mpeg",
  m4a: "audio/mp4",
  mp4: "video/mp4",
  webm: "video/webm",
  pdf: "application/pdf",
  tgs: "application/x-tgsticker",
  txt: "text/plain",
};

function mimeOf(path: string): string {
  return MIME[posix.extname(path).slice(1).toLowerCase()] ?? "application/octet-stream";
}
