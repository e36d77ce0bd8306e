/** A file name that is safe to show, to send and to store, whoever chose it. */
import { extensionFor, extensionOf } from "./mime";

/** Bytes; what file systems and platforms agree on, with room for a counter. */
const MAX_BYTES = 200;
/** Names that Windows gives to devices. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/**
 * The last part of `wanted` without control and direction characters (which can make `exe.gpj` read as `jpg.exe`),
 * cut to 200 bytes, with the extension of `mime` when it has none. Never empty.
 */
export function safeFileName(wanted: string, mime: string, otherwise = "file"): string {
  const last = wanted.toWellFormed().split(/[/\\]/).at(-1) ?? "";
  let name = last
    // Control, format (bidi marks, zero width), surrogate, private and unassigned characters, line separators.
    .replace(/[\p{C}\p{Zl}\p{Zp}\ufffd]/gu, "")
    .replace(/[<>:"|?*]/g, "_")
    .replace(/\s+/g, " ")
    // Hidden files, "..", and what Windows cuts off silently.
    .replace(/^[. ]+|[. ]+$/g, "");
  if (DEVICE.test(name)) name = `_${name}`;
  const known = extensionOf(name);
  const extension = known || extensionFor(mime);
  const stem = known ? name.slice(0, -known.length) : name;
  return (
    cut(stem.trimEnd() || otherwise, MAX_BYTES - extension.length) +
    (known ? name.slice(-known.length) : extension)
  );
}

function cut(text: string, bytes: number): string {
  let kept = "";
  let size = 0;
  for (const char of text) {
    size += Buffer.byteLength(char);
    if (size > bytes) break;
    kept += char;
  }
  return kept;
}
