/**
 * A flow: the text as people will see it, and marks over ranges of it. Platforms count and cut visible text, so
 * everything is measured and split here; a mark that is cut is closed in one part and opened again in the next.
 */

export type MarkKind = "bold" | "italic" | "strike" | "code" | "pre" | "quote" | "link" | "literal";

/** A range of the text, in UTF-16 units. Marks are nested, never crossed; outer ones come first. */
export interface Mark {
  kind: MarkKind;
  start: number;
  end: number;
  /** Of a `link`. */
  href?: string;
  /** Of `pre`. */
  language?: string;
}

export interface Flow {
  text: string;
  marks: Mark[];
}

/** How a dialect writes a flow. `inside`: the marks around, outermost first. */
export interface Syntax {
  open(mark: Mark, text: string): string;
  close(mark: Mark, text: string): string;
  /** `startsLine`: nothing but space and signs of quotes stands before it in its line. */
  escape(text: string, inside: readonly Mark[], startsLine: boolean): string;
}

export function writeFlow(flow: Flow, syntax: Syntax): string {
  const { text, marks } = flow;
  if (marks.length === 0) return syntax.escape(text, [], true);
  const inside: Mark[] = [];
  let out = "";
  let at = 0;
  let startsLine = true;
  const writeTo = (end: number): void => {
    if (end <= at) return;
    const piece = text.slice(at, end);
    out += syntax.escape(piece, inside, startsLine);
    const line = piece.lastIndexOf("\n") + 1;
    startsLine = (startsLine || line > 0) && /^[ >]*$/.test(piece.slice(line));
    at = end;
  };
  const closeUntil = (position: number): void => {
    for (let top = inside.at(-1); top && top.end <= position; top = inside.at(-1)) {
      writeTo(top.end);
      inside.pop();
      out += syntax.close(top, text.slice(top.start, top.end));
    }
  };
  for (const mark of marks) {
    closeUntil(mark.start);
    writeTo(mark.start);
    out += syntax.open(mark, text.slice(mark.start, mark.end));
    inside.push(mark);
  }
  closeUntil(text.length);
  writeTo(text.length);
  return out;
}

/** The part of a flow from `from` to `to`; `marks` are those that touch it. */
export function sliceFlow(text: string, marks: readonly Mark[], from: number, to: number): Flow {
  const sliced: Mark[] = [];
  for (const mark of marks) {
    const start = Math.max(mark.start, from) - from;
    const end = Math.min(mark.end, to) - from;
    if (end > start) sliced.push({ ...mark, start, end });
  }
  return { text: text.slice(from, to), marks: sliced };
}
