/** CommonMark, written for texts that were plain and for blocks that had to be cut. */
import { type Mark, type Syntax, writeFlow } from "../flow";
import type { DialectWriter } from "./dialect";

const SIGNS: Partial<Record<Mark["kind"], string>> = { bold: "**", italic: "_", strike: "~~" };

const syntax: Syntax = {
  open(mark, text) {
    if (mark.kind === "link") return "[";
    if (mark.kind === "pre") return `${fence(text, 3)}${(mark.language ?? "").replace(/[`\s]/g, "")}\n`;
    if (mark.kind === "code") return `${fence(text, 1)}${padding(text)}`;
    return SIGNS[mark.kind] ?? "";
  },
  close(mark, text) {
    if (mark.kind === "link") return `](${addressOf(mark)})`;
    if (mark.kind === "pre") return `\n${fence(text, 3)}`;
    if (mark.kind === "code") return `${padding(text)}${fence(text, 1)}`;
    return SIGNS[mark.kind] ?? "";
  },
  escape(text, inside, startsLine) {
    const around = inside.at(-1)?.kind;
    return around === "code" || around === "pre" || around === "literal"
      ? text
      : escapeMarkdown(text, startsLine);
  },
};

export const markdown: DialectWriter = {
  shape: {
    bullet: "- ",
    heading: (level) => `${"#".repeat(level)} `,
    rule: "---",
    quote: "prefix",
    linkable: () => true,
  },
  write: (flow) =>
    writeFlow({ text: flow.text, marks: flow.marks.flatMap((mark) => tightened(mark, flow.text)) }, syntax),
  counts: "written",
  takesMarkdown: true,
};

/** In angle brackets when a parenthesis would end it. */
function addressOf({ href = "" }: Mark): string {
  const address = href.replace(/[<>\\\s]/g, encodeURIComponent);
  return /[()]/.test(address) ? `<${address}>` : address;
}

/** `** a**` is no bold: a style starts and ends with a word. */
function tightened(mark: Mark, text: string): Mark[] {
  if (!SIGNS[mark.kind] && mark.kind !== "link") return [mark];
  let { start, end } = mark;
  while (start < end && /\s/.test(text.charAt(start))) start++;
  while (end > start && /\s/.test(text.charAt(end - 1))) end--;
  return end > start ? [{ ...mark, start, end }] : [];
}

/** More backticks in a row than the code has itself. */
function fence(text: string, least: number): string {
  let longest = least - 1;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  return "`".repeat(longest + 1);
}

function padding(text: string): string {
  return /^`|`$|^ .* $/s.test(text) ? " " : "";
}

function escapeMarkdown(text: string, startsLine: boolean): string {
  let escaped = text.replace(/[\\`*_~[\]<|]/g, "\\$&").replace(/&(?=#|[a-z0-9]+;)/gi, "\\&");
  if (!startsLine && !escaped.includes("\n")) return escaped;
  escaped = escaped.replace(startsLine ? LINE_SIGN : LATER_LINE_SIGN, "$1\\$2");
  // Four spaces would start code.
  return escaped.replace(startsLine ? LINE_INDENT : LATER_LINE_INDENT, (indent) =>
    indent.replace(/[ \t]/g, "\u00a0"),
  );
}

/** A sign with a meaning at the start of a line; of a number, the dot behind it. */
const LINE_SIGN = /^([ \t]*(?:\d{1,9}(?=[.)]))?)((?<=\d)[.)]|(?<!\d)[#>+=-])/gm;
const LATER_LINE_SIGN = /(?<=\n)([ \t]*(?:\d{1,9}(?=[.)]))?)((?<=\d)[.)]|(?<!\d)[#>+=-])/g;
const LINE_INDENT = /^(?: {4,}|[ ]*\t[ \t]*)/gm;
const LATER_LINE_INDENT = /(?<=\n)(?: {4,}|[ ]*\t[ \t]*)/g;
