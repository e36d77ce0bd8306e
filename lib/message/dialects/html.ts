/**
 * Telegram's HTML: https://core.telegram.org/bots/api#html-style. Lengths count after the markup is taken out.
 * `pre` and `code` hold no other entity and stand in none but `blockquote`; a `blockquote` holds no other one.
 */
import { type Flow, type Mark, type Syntax, writeFlow } from "../flow";
import type { DialectWriter } from "./dialect";

const TAGS: Partial<Record<Mark["kind"], string>> = {
  bold: "b",
  italic: "i",
  strike: "s",
  code: "code",
  quote: "blockquote",
};

const syntax: Syntax = {
  open(mark) {
    if (mark.kind === "link") return `<a href="${escapeHtml(mark.href ?? "").replaceAll('"', "&quot;")}">`;
    if (mark.kind !== "pre") return TAGS[mark.kind] ? `<${TAGS[mark.kind]}>` : "";
    return mark.language ? `<pre><code class="language-${languageOf(mark)}">` : "<pre>";
  },
  close(mark) {
    if (mark.kind === "link") return "</a>";
    if (mark.kind !== "pre") return TAGS[mark.kind] ? `</${TAGS[mark.kind]}>` : "";
    return mark.language ? "</code></pre>" : "</pre>";
  },
  escape: escapeHtml,
};

export const html: DialectWriter = {
  shape: {
    bullet: "• ",
    heading: "bold",
    rule: "———",
    quote: "mark",
    linkable: (href) => /^(?:https?|tg):/i.test(href),
  },
  write: (flow) => writeFlow({ text: flow.text, marks: allowedMarks(flow) }, syntax),
  counts: "visible",
  // "A message can have up to 100 entities": the rest is shown without formatting.
  maxMarks: 100,
};

function escapeHtml(text: string): string {
  return /[&<>]/.test(text)
    ? text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    : text;
}

function languageOf(mark: Mark): string {
  return (mark.language ?? "").replace(/[^\w+#.-]/g, "") || "text";
}

/** Leaves out what may not be nested and interrupts styles around code. */
function allowedMarks(flow: Flow): Mark[] {
  const kept: Mark[] = [];
  let quoteEnd = 0;
  let linkEnd = 0;
  for (const mark of flow.marks) {
    if (mark.kind === "literal") continue;
    if (mark.kind === "quote") {
      if (mark.start < quoteEnd) continue;
      quoteEnd = mark.end;
    }
    if (mark.kind === "link") linkEnd = mark.end;
    // The link is worth more than the font.
    if (mark.kind === "code" && mark.start < linkEnd) continue;
    kept.push(mark);
  }
  const codes = kept.filter((mark) => mark.kind === "code" || mark.kind === "pre");
  if (codes.length === 0 || codes.length === kept.length) return kept;
  return kept.flatMap((mark) => (isStyle(mark) ? around(mark, codes) : [mark])).sort(outerFirst);
}

function isStyle(mark: Mark): boolean {
  return mark.kind === "bold" || mark.kind === "italic" || mark.kind === "strike";
}

function around(mark: Mark, codes: readonly Mark[]): Mark[] {
  const pieces: Mark[] = [];
  let start = mark.start;
  for (const code of codes) {
    if (code.end <= start) continue;
    if (code.start >= mark.end) break;
    if (code.start > start) pieces.push({ ...mark, start, end: code.start });
    start = code.end;
  }
  if (start < mark.end) pieces.push({ ...mark, start });
  return pieces;
}

/** Sorting is stable: of two equal ranges the one that was outside stays so. */
function outerFirst(a: Mark, b: Mark): number {
  return a.start - b.start || b.end - a.end;
}
