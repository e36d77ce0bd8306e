/** What kind of file some bytes are, by the numbers they begin with: a name or a header can lie, these rarely do. */

interface Magic {
  mime: string;
  /** With the dot. */
  extension: string;
  /** Latin-1 text that stands at `at` (0 unless told). */
  starts?: { text: string; at?: number }[];
}

const starts = (...texts: (string | [number, string])[]): Magic["starts"] =>
  texts.map((given) => (typeof given === "string" ? { text: given } : { at: given[0], text: given[1] }));

/** The first that fits wins: the special ones stand before the general ones. */
const MAGIC: readonly Magic[] = [
  { mime: "image/jpeg", extension: ".jpg", starts: starts("\xff\xd8\xff") },
  { mime: "image/png", extension: ".png", starts: starts("\x89PNG\r\n\x1a\n") },
  { mime: "image/gif", extension: ".gif", starts: starts("GIF8") },
  { mime: "image/webp", extension: ".webp", starts: starts("RIFF", [8, "WEBP"]) },
  { mime: "image/bmp", extension: ".bmp", starts: starts("BM", [6, "\0\0\0\0"]) },
  { mime: "image/tiff", extension: ".tif", starts: starts("II*\0") },
  { mime: "image/tiff", extension: ".tif", starts: starts("MM\0*") },
  { mime: "image/avif", extension: ".avif", starts: starts([4, "ftypavi"]) },
  { mime: "image/heic", extension: ".heic", starts: starts([4, "ftyphei"]) },
  { mime: "image/heic", extension: ".heic", starts: starts([4, "ftyphev"]) },
  { mime: "image/heif", extension: ".heif", starts: starts([4, "ftypmif1"]) },
  { mime: "image/x-icon", extension: ".ico", starts: starts("\0\0\x01\0") },
  { mime: "audio/wav", extension: ".wav", starts: starts("RIFF", [8, "WAVE"]) },
  { mime: "audio/ogg", extension: ".ogg", starts: starts("OggS", [28, "OpusHead"]) },
  { mime: "audio/ogg", extension: ".ogg", starts: starts("OggS", [28, "\x01vorbis"]) },
  { mime: "video/ogg", extension: ".ogv", starts: starts("OggS", [28, "\x80theora"]) },
  { mime: "audio/ogg", extension: ".ogg", starts: starts("OggS") },
  { mime: "audio/flac", extension: ".flac", starts: starts("fLaC") },
  { mime: "audio/mpeg", extension: ".mp3", starts: starts("ID3") },
  { mime: "audio/amr", extension: ".amr", starts: starts("#!AMR") },
  { mime: "audio/midi", extension: ".mid", starts: starts("MThd") },
  { mime: "audio/aac", extension: ".aac", starts: starts("\xff\xf1") },
  { mime: "audio/aac", extension: ".aac", starts: starts("\xff\xf9") },
  { mime: "audio/mpeg", extension: ".mp3", starts: starts("\xff\xfb") },
  { mime: "audio/mpeg", extension: ".mp3", starts: starts("\xff\xf3") },
  { mime: "audio/mpeg", extension: ".mp3", starts: starts("\xff\xf2") },
  { mime: "audio/mp4", extension: ".m4a", starts: starts([4, "ftypM4A"]) },
  { mime: "video/quicktime", extension: ".mov", starts: starts([4, "ftypqt"]) },
  { mime: "video/3gpp", extension: ".3gp", starts: starts([4, "ftyp3g"]) },
  { mime: "video/mp4", extension: ".mp4", starts: starts([4, "ftyp"]) },
  { mime: "video/x-msvideo", extension: ".avi", starts: starts("RIFF", [8, "AVI "]) },
  { mime: "video/mpeg", extension: ".mpg", starts: starts("\0\0\x01\xba") },
  { mime: "video/webm", extension: ".webm", starts: starts("\x1aE\xdf\xa3") },
  { mime: "application/pdf", extension: ".pdf", starts: starts("%PDF-") },
  { mime: "application/zip", extension: ".zip", starts: starts("PK\x03\x04") },
  { mime: "application/zip", extension: ".zip", starts: starts("PK\x05\x06") },
  { mime: "application/gzip", extension: ".gz", starts: starts("\x1f\x8b") },
  { mime: "application/x-7z-compressed", extension: ".7z", starts: starts("7z\xbc\xaf\x27\x1c") },
  { mime: "application/vnd.rar", extension: ".rar", starts: starts("Rar!\x1a\x07") },
];

/** Kinds that have no number of their own: believed by name. */
const BY_EXTENSION: Record<string, string> = {
  ".txt": "text/plain",
  ".md": "text/markdown",
  ".csv": "text/csv",
  ".json": "application/json",
  ".xml": "application/xml",
  ".html": "text/html",
  ".svg": "image/svg+xml",
  ".ics": "text/calendar",
  ".vcf": "text/vcard",
  ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  ".odt": "application/vnd.oasis.opendocument.text",
  ".ods": "application/vnd.oasis.opendocument.spreadsheet",
  ".epub": "application/epub+zip",
  ".apk": "application/vnd.android.package-archive",
  ".mkv": "video/x-matroska",
  ".opus": "audio/ogg",
};

const UNKNOWN = "application/octet-stream";
/** Containers that say little: what is inside is believed by its claimed type. */
const VAGUE: Record<string, RegExp> = {
  "application/zip": /^application\/(vnd\.|epub|java-archive|x-zip|zip)/,
  "video/webm": /^(video\/(webm|x-matroska)|audio\/(webm|x-matroska))$/,
  "video/mp4": /^(audio|video)\/(mp4|x-m4a|x-m4v|m4a)$/,
  "audio/ogg": /^(audio\/(ogg|opus)|application\/ogg)$/,
};

/**
 * The mime type of some bytes: by their first numbers; where these tell nothing, by what was claimed (a mime type,
 * then the name). A claim to be an image, audio, video or PDF is believed only when the bytes agree.
 */
export function mimeOf(data: Buffer, name = "", claimed = ""): string {
  const claim = claimed.split(";")[0]?.trim().toLowerCase() ?? "";
  const byName = BY_EXTENSION[extensionOf(name)] ?? "";
  const found = MAGIC.find((magic) =>
    magic.starts?.every(({ text, at = 0 }) => data.toString("latin1", at, at + text.length) === text),
  );
  if (found) {
    const vague = VAGUE[found.mime];
    return [claim, byName].find((mime) => vague?.test(mime)) ?? found.mime;
  }
  for (const mime of [claim, byName]) {
    if (mime.endsWith("/octet-stream")) continue;
    if (/^[\w.+-]+\/[\w.+-]+$/.test(mime) && !MAGIC.some((magic) => magic.mime === mime)) return mime;
  }
  return isText(data) ? "text/plain" : UNKNOWN;
}

/** `.jpg` for `image/jpeg`; empty when we do not know one. */
export function extensionFor(mime: string): string {
  const magic = MAGIC.find((each) => each.mime === mime);
  return magic?.extension ?? Object.entries(BY_EXTENSION).find(([, each]) => each === mime)?.[0] ?? "";
}

/** `.jpg`, lower case; empty without one. */
export function extensionOf(name: string): string {
  return /\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0].toLowerCase() ?? "";
}

function isText(data: Buffer): boolean {
  const start = data.subarray(0, 4096);
  if (start.includes(0)) return false;
  // A character may be cut in two at the end of the piece.
  return !start.toString("utf8").slice(0, -3).includes("\ufffd");
}
