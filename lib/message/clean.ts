/** Makes any value plain, harmless JSON: what strangers, files and function nodes hand in. */

/** Longest text we take, in UTF-16 units (1 MB). */
export const MAX_TEXT = 1_000_000;
/** Levels inside each other; what is deeper is a mistake or an attack. */
const MAX_DEPTH = 64;

/** Keys that could reach the prototype of the object they are copied to. */
const DANGEROUS = new Set(["__proto__", "constructor", "prototype"]);

/** NUL and the other control characters, except newline and tab. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
const CONTROL = /[\u0000-\u0008\u000b-\u001f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f]/g;

/** Well-formed Unicode (lone surrogates become U+FFFD) without control characters; `\r\n` and `\r` become `\n`. */
export function cleanText(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed();
  return CONTROL.test(whole) ? whole.replace(/\r\n?/g, "\n").replace(CONTROLS, "") : whole;
}

/**
 * A copy with clean texts and no dangerous keys, functions, symbols or `undefined`. Numbers that JSON does not know
 * become null, what is nested too deep becomes the text "[too deep]", and so does an object inside itself.
 */
export function cleanValue(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
      return cleanText(value);
    case "number":
      return Number.isFinite(value) ? value : null;
    case "boolean":
      return value;
    case "bigint":
      return String(value);
    case "object":
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  if (depth >= MAX_DEPTH) return "[too deep]";
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return toBase64(value);
  if (Array.isArray(value)) return value.map((item) => cleanValue(item, depth + 1) ?? null);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const name = cleanKey(key);
    if (name === undefined) continue;
    const cleaned = cleanValue((value as Record<string, unknown>)[key], depth + 1);
    if (cleaned !== undefined) copy[name] = cleaned;
  }
  return copy;
}

/** Our own names come again and again. */
const CLEAN_KEYS_KEPT = 500;
const cleanKeys = new Set<string>();

/** Undefined for a dangerous one. */
function cleanKey(key: string): string | undefined {
  if (cleanKeys.has(key)) return key;
  const name = cleanText(key);
  if (DANGEROUS.has(name)) return undefined;
  if (name === key && cleanKeys.size < CLEAN_KEYS_KEPT) cleanKeys.add(key);
  return name;
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
