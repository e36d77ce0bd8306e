/** What a file is, by its first bytes and never by what somebody claims. */
import type { PostedFile } from "./parse";

const NAME_MAX = 120;

const SIGNATURES: readonly { mime: string; at: number; bytes: string }[] = [
  { mime: "image/png", at: 0, bytes: "\x89PNG\r\n\x1a\n" },
  { mime: "image/jpeg", at: 0, bytes: "\xff\xd8\xff" },
  { mime: "image/gif", at: 0, bytes: "GIF8" },
  { mime: "image/webp", at: 8, bytes: "WEBP" },
  { mime: "audio/wav", at: 8, bytes: "WAVE" },
  { mime: "image/avif", at: 4, bytes: "ftypavif" },
  { mime: "audio/mp4", at: 4, bytes: "ftypM4A" },
  { mime: "video/quicktime", at: 4, bytes: "ftypqt" },
  { mime: "video/mp4", at: 4, bytes: "ftyp" },
  { mime: "audio/ogg", at: 0, bytes: "OggS" },
  { mime: "audio/flac", at: 0, bytes: "fLaC" },
  { mime: "audio/mpeg", at: 0, bytes: "ID3" },
  { mime: "audio/mpeg", at: 0, bytes: "\xff\xfb" },
  { mime: "audio/mpeg", at: 0, bytes: "\xff\xf3" },
  { mime: "audio/aac", at: 0, bytes: "\xff\xf1" },
  { mime: "video/webm", at: 0, bytes: "\x1aE\xdf\xa3" },
  { mime: "application/pdf", at: 0, bytes: "%PDF-" },
  { mime: "application/zip", at: 0, bytes: "PK\x03\x04" },
  { mime: "application/gzip", at: 0, bytes: "\x1f\x8b" },
];

/** Types by name, for files whose bytes say nothing or only "zip". None of these is ever shown inside the page. */
const BY_ENDING: Readonly<Record<string, string>> = {
  txt: "text/plain",
  md: "text/markdown",
  csv: "text/csv",
  json: "application/json",
  docx: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  pptx: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
};

/** The type of these bytes; the claimed one decides only between sound and picture of the same container. */
export function mimeOf(data: Buffer, name: string, claimed = ""): string {
  const head = data.subarray(0, 16).toString("latin1");
  const found = SIGNATURES.find(({ at, bytes }) => head.startsWith(bytes, at))?.mime;
  if (found === "video/webm" && claimed.startsWith("audio/")) return "audio/webm";
  if (found === "audio/ogg" && claimed.startsWith("video/")) return "video/ogg";
  if (found && found !== "application/zip") return found;
  const ending = name.toLowerCase().split(".").at(-1) ?? "";
  const named = BY_ENDING[ending];
  if (found) return named?.includes("openxml") ? named : found;
  return named && !named.includes("openxml") && !data.subarray(0, 4096).includes(0)
    ? named
    : "application/octet-stream";
}

export function kindOf(mime: string): PostedFile["kind"] {
  if (/^image\/(png|jpeg|gif|webp|avif)$/.test(mime)) return "image";
  if (mime.startsWith("audio/")) return "audio";
  if (mime.startsWith("video/")) return "video";
  return "file";
}

/** A name without folders, control characters and those that turn the direction of writing. */
export function safeName(name: string, fallback = "file"): string {
  const last = name.toWellFormed().split(/[/\\]/).at(-1) ?? "";
  const clean = last.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}"]/gu, "").trim();
  if (clean === "" || clean === "." || clean === "..") return fallback;
  const points = [...clean];
  if (points.length <= NAME_MAX) return clean;
  const ending = /\.[^.]{1,10}$/.exec(clean)?.[0] ?? "";
  return points.slice(0, NAME_MAX - ending.length).join("") + ending;
}
