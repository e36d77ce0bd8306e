/**
 * Lengths in the platform's own unit, and the places where a text may be cut: never inside a surrogate pair, and
 * inside a grapheme (what people see as one character) only when that one alone is longer than a whole message.
 */
import type { TextUnit } from "./types";

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** Text in which every UTF-16 unit is one of everything. */
const ASCII = /^[\t\n\x20-\x7e]*$/;

/** Length of a text in `unit`. */
export function measure(text: string, unit: TextUnit): number {
  if (unit === "utf16") return text.length;
  if (unit === "bytes") return Buffer.byteLength(text);
  if (ASCII.test(text)) return text.length;
  let count = 0;
  if (unit === "codepoints") {
    for (let i = 0; i < text.length; i += widthAt(text, i)) count++;
    return count;
  }
  for (const _ of segmenter.segment(text)) count++;
  return count;
}

/** True when `text` is surely no longer than `max`, without counting. */
export function surelyFits(text: string, max: number, unit: TextUnit): boolean {
  return text.length <= (unit === "bytes" ? max / 3 : max);
}

/** The farthest end such that `text` from `from` to it is at most `max` units; at least one code point. */
export function advance(text: string, from: number, max: number, unit: TextUnit): number {
  if (unit === "graphemes") return advanceGraphemes(text, from, max);
  if (unit === "utf16") {
    const end = Math.min(text.length, from + max);
    return Math.max(splitsPair(text, end) ? end - 1 : end, Math.min(text.length, from + widthAt(text, from)));
  }
  let end = from;
  for (let used = 0; end < text.length; ) {
    const width = widthAt(text, end);
    used += unit === "codepoints" ? 1 : bytesOf(text.codePointAt(end) ?? 0);
    if (used > max && end > from) break;
    end += width;
  }
  return end;
}

function advanceGraphemes(text: string, from: number, max: number): number {
  // A grapheme is nearly always below 16 units; where it is longer, the part just becomes shorter.
  const window = text.slice(from, from + max * 16 + 64);
  if (ASCII.test(window.slice(0, max + 1))) return Math.min(text.length, from + max);
  const whole = from + window.length >= text.length;
  let count = 0;
  let last = 0;
  for (const { index } of segmenter.segment(window)) {
    if (count === max) return from + index;
    count++;
    last = index;
  }
  if (whole) return text.length;
  // The last grapheme may go on behind the window.
  if (last > 0) return from + last;
  return from + (splitsPair(window, window.length) ? window.length - 1 : window.length);
}

/**
 * The nearest place at or before `index` (but after `from`, which is such a place itself) between two graphemes;
 * `from` when there is none.
 */
export function graphemeEdge(text: string, index: number, from: number): number {
  if (index >= text.length || index <= from) return index;
  let safe = index - 1;
  // Between two such letters there is always an edge: segment only from there on. The search is bounded by the
  // part, whose start is an edge.
  while (safe > from && !(standsAlone(text, safe) && standsAlone(text, safe - 1))) safe--;
  if (safe === index - 1 && standsAlone(text, index)) return index;
  const piece = text.slice(safe, index + widthAt(text, index));
  const segment = segmenter.segment(piece).containing(index - safe);
  return safe + (segment?.index ?? 0);
}

/** True when a cut at `index` would leave half a character on each side. */
function splitsPair(text: string, index: number): boolean {
  return (text.charCodeAt(index - 1) & 0xfc00) === 0xd800 && (text.charCodeAt(index) & 0xfc00) === 0xdc00;
}

/** Letters that never join the one beside them: ASCII, Latin, Cyrillic, Chinese. */
function standsAlone(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  if (code < 0x7f) return code === 10 || code >= 0x20;
  return (
    (code >= 0xc0 && code < 0x250) || (code >= 0x400 && code < 0x482) || (code >= 0x4e00 && code < 0xa000)
  );
}

function widthAt(text: string, index: number): number {
  return splitsPair(text, index + 1) ? 2 : 1;
}

function bytesOf(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}
