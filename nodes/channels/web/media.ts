/** Which files the page shows by itself; all others are only saved. */
import type { PostedFile } from "./parse";

const SHOWN: Readonly<Record<string, PostedFile["kind"]>> = {
  "image/png": "image",
  "image/jpeg": "image",
  "image/gif": "image",
  "image/webp": "image",
  "image/avif": "image",
  "audio/mpeg": "audio",
  "audio/mp4": "audio",
  "audio/aac": "audio",
  "audio/ogg": "audio",
  "audio/wav": "audio",
  "audio/webm": "audio",
  "audio/flac": "audio",
  "video/mp4": "video",
  "video/webm": "video",
  "video/ogg": "video",
  "video/quicktime": "video",
};

export function kindOf(mime: string): PostedFile["kind"] {
  return Object.hasOwn(SHOWN, mime) ? (SHOWN[mime] as PostedFile["kind"]) : "file";
}
