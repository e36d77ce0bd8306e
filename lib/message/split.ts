/**
 * Cuts a flow into parts that fit the platform's limit: between paragraphs if it can, else between lines,
 * sentences, words and at last graphemes. A link, a short piece of code and a grapheme are never cut unless one
 * alone is longer than a part. No part is empty, and nothing but space at the cuts is left out.
 */
import type { DialectWriter } from "./dialects/dialect";
import { type Flow, type Mark, sliceFlow } from "./flow";
import type { TextUnit } from "./types";
import { advance, graphemeEdge, measure, surelyFits } from "./units";

export interface Limit {
  max: number;
  unit: TextUnit;
}

/** Where only visible text counts: the markup (long addresses, many short styles) in UTF-16 units per unit of room. */
const MAX_MARKUP = 3;
/** A better place to cut counts only behind this part of the room, or messages would become tiny. */
const LEAST = 0.25;

export interface WrittenPart {
  flow: Flow;
  written: string;
}

/** The whole flow as one part, when it fits. */
export function fitsWhole(flow: Flow, limit: Limit, dialect: DialectWriter): WrittenPart | undefined {
  if (dialect.counts === "visible" && flow.text.length > limit.max * 16 + 64) return undefined;
  if (countMarks(flow) > (dialect.maxMarks ?? Number.POSITIVE_INFINITY)) return undefined;
  if (dialect.counts === "visible" && !surelyFits(flow.text, limit.max, limit.unit)) {
    if (measure(flow.text, limit.unit) > limit.max) return undefined;
  }
  const written = dialect.write(flow);
  return fitsWritten(written, flow, limit, dialect) ? { flow, written } : undefined;
}

function fitsWritten(written: string, flow: Flow, limit: Limit, dialect: DialectWriter): boolean {
  if (dialect.counts === "visible")
    return written.length - flow.text.length <= Math.max(limit.max, 64) * MAX_MARKUP;
  return surelyFits(written, limit.max, limit.unit) || measure(written, limit.unit) <= limit.max;
}

export function split(flow: Flow, limit: Limit, dialect: DialectWriter): WrittenPart[] {
  const whole = fitsWhole(flow, limit, dialect);
  if (whole) return flow.text.trim() === "" ? [] : [whole];
  const parts: WrittenPart[] = [];
  const window = new Window(flow);
  for (let at = window.skipSpace(0); at < flow.text.length; ) {
    window.moveTo(at);
    const { end, part } = nextPart(window, at, limit, dialect);
    if (part.flow.text.trim() !== "") parts.push(part);
    at = window.skipSpace(end);
  }
  return parts;
}

/** Signs that the dialect itself writes as text are no marks on the platform. */
function countMarks(flow: Flow): number {
  let count = 0;
  for (const { kind } of flow.marks) if (kind !== "literal") count++;
  return count;
}

/** Tries a part of the whole room, then smaller ones until its markup fits as well. */
function nextPart(
  window: Window,
  at: number,
  limit: Limit,
  dialect: DialectWriter,
): { end: number; part: WrittenPart } {
  const maxMarks = dialect.maxMarks ?? Number.POSITIVE_INFINITY;
  for (let room = limit.max; ; ) {
    const end = window.cut(at, room, limit.unit);
    const flow = window.part(at, end);
    const marks = countMarks(flow);
    // Not written when it cannot fit: an early end for text of thousands of marks.
    const written = marks > maxMarks ? "" : dialect.write(flow);
    if (marks <= maxMarks && fitsWritten(written, flow, limit, dialect))
      return { end, part: { flow, written } };
    if (room <= 1) return { end, part: bare(flow, limit, dialect) };
    const share = marks > maxMarks ? maxMarks / marks : shareOf(written, flow, limit, dialect);
    room = Math.max(1, Math.floor(Math.min(room, measure(flow.text, limit.unit)) * Math.min(0.9, share)));
  }
}

/** How much of a text whose markup is too long may fit. */
function shareOf(written: string, flow: Flow, limit: Limit, dialect: DialectWriter): number {
  if (dialect.counts === "written") return limit.max / measure(written, limit.unit);
  return (limit.max * MAX_MARKUP) / (written.length - flow.text.length);
}

/** One character whose markup alone is longer than a message: without marks, and at worst without escaping. */
function bare(flow: Flow, limit: Limit, dialect: DialectWriter): WrittenPart {
  const unmarked = { text: flow.text, marks: [] };
  const written = dialect.write(unmarked);
  return { flow: unmarked, written: fitsWritten(written, unmarked, limit, dialect) ? written : flow.text };
}

/** The marks near the place we are at, so that a text of thousands of parts is not searched again for each. */
class Window {
  readonly text: string;
  private readonly all: readonly Mark[];
  private next = 0;
  private open: Mark[] = [];

  constructor(flow: Flow) {
    this.text = flow.text;
    this.all = flow.marks;
  }

  /** Positions only grow. */
  moveTo(at: number): void {
    for (let mark = this.all[this.next]; mark && mark.start < at; mark = this.all[++this.next])
      this.open.push(mark);
    this.open = this.open.filter((mark) => mark.end > at);
  }

  private near(to: number): Mark[] {
    const marks = [...this.open];
    for (let i = this.next, mark = this.all[i]; mark && mark.start < to; mark = this.all[++i])
      marks.push(mark);
    return marks;
  }

  part(from: number, end: number): Flow {
    const inPre = this.near(end).some((mark) => mark.kind === "pre" && mark.start < end && mark.end >= end);
    const text = this.text.slice(from, end);
    const to = from + (inPre ? text.replace(/\n+$/, "") : text.trimEnd()).length;
    return sliceFlow(this.text, this.near(to), from, to);
  }

  /** Where the next part starts: space at a cut is not shown, but code keeps its indentation. */
  skipSpace(at: number): number {
    this.moveTo(at);
    const { text } = this;
    if (this.open.some((mark) => mark.kind === "pre")) return text.charAt(at) === "\n" ? at + 1 : at;
    let start = at;
    while (start < text.length && /\s/.test(text.charAt(start))) start++;
    const pre = this.near(start + 1).find(
      (mark) => mark.kind === "pre" && mark.start >= at && mark.start <= start,
    );
    return pre ? pre.start : start;
  }

  /** The best end for a part that starts at `from`. */
  cut(from: number, room: number, unit: TextUnit): number {
    const { text } = this;
    const hard = advance(text, from, room, unit);
    if (hard >= text.length) return text.length;
    const marks = this.near(hard);
    const least = from + Math.floor((hard - from) * LEAST);
    const whole = marks.filter((mark) => mark.kind === "link" || mark.kind === "code");
    const code = marks.filter((mark) => mark.kind === "pre");
    return (
      this.search("\n\n", hard, least, from, [...whole, ...code]) ??
      this.search("\n", hard, least, from, whole) ??
      this.sentence(hard, least, from, [...whole, ...code]) ??
      this.word(hard, least, from, whole) ??
      this.anywhere(hard, from, whole)
    );
  }

  private search(
    sign: string,
    hard: number,
    least: number,
    from: number,
    closed: Mark[],
  ): number | undefined {
    const low = Math.max(least, from + 1);
    const room = this.text.slice(low, hard + sign.length);
    for (let found = room.lastIndexOf(sign); found >= 0; ) {
      const at = low + found;
      const around = inside(closed, at);
      if (!around && graphemeEdge(this.text, at, from) === at) return at;
      const before = (around?.start ?? at) - 1 - low;
      found = before < 0 ? -1 : room.lastIndexOf(sign, before);
    }
    return undefined;
  }

  private sentence(hard: number, least: number, from: number, closed: Mark[]): number | undefined {
    for (let at = hard; at > from && at >= least; at--) {
      if (!endsSentence(this.text, at)) continue;
      if (!inside(closed, at) && graphemeEdge(this.text, at, from) === at) return at;
    }
    return undefined;
  }

  private word(hard: number, least: number, from: number, closed: Mark[]): number | undefined {
    for (let at = hard; at > from; at--) {
      if (!/\s/.test(this.text.charAt(at)) || inside(closed, at) || graphemeEdge(this.text, at, from) !== at)
        continue;
      // Text without spaces (Chinese, Thai) may be cut anywhere; a word or an address that fits may not.
      if (at >= least || isWord(this.text.slice(at + 1, hard))) return at;
      return undefined;
    }
    return undefined;
  }

  private anywhere(hard: number, from: number, closed: Mark[]): number {
    const around = inside(closed, hard);
    if (around && around.start > from) return around.start;
    const edge = graphemeEdge(this.text, hard, from);
    return edge > from ? edge : hard;
  }
}

function inside(marks: readonly Mark[], at: number): Mark | undefined {
  return marks.find((mark) => mark.start < at && at < mark.end);
}

function endsSentence(text: string, at: number): boolean {
  const last = text.charAt(at - 1);
  if ("。！？".includes(last)) return last !== "";
  return /[.!?…:;]/.test(last) && /\s/.test(text.charAt(at));
}

function isWord(text: string): boolean {
  return text.length < 1_000 && /^[\x21-\x7e\u00c0-\u024f\u0400-\u0481]*$/.test(text);
}
