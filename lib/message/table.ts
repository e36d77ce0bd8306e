/** A table in monospaced text. */
import { type Align, type Block, type Inline, textOf } from "./tree";

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** Emoji and the scripts of East Asia take two columns. */
const WIDE =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u;
/** A wider column gains nothing from alignment; the following ones just start later. */
const MAX_COLUMN = 40;

export function table(block: Block & { type: "table" }): string {
  const rows = block.rows.map((row) => row.map(cellText));
  const columns = block.align.length;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.min(MAX_COLUMN, Math.max(1, ...rows.slice(0, 1_000).map((row) => width(row[column] ?? "")))),
  );
  const lines = rows.map((row) =>
    widths
      .map((size, column) => pad(row[column] ?? "", size, block.align[column] ?? ""))
      .join(" | ")
      .trimEnd(),
  );
  lines.splice(1, 0, widths.map((size) => "-".repeat(size)).join("-|-"));
  return lines.join("\n");
}

/** A cell holds one line; a link shows its address, since monospaced text has no links. */
function cellText(cell: Inline[]): string {
  let text = "";
  for (const node of cell) {
    if (node.type === "link") {
      const label = textOf(node.children);
      text += label === node.href ? label : `${label} (${node.href})`;
    } else text += "children" in node ? cellText(node.children) : textOf([node]);
  }
  return text;
}

function pad(text: string, size: number, align: Align): string {
  const missing = Math.max(0, size - width(text));
  const left = align === "right" ? missing : align === "center" ? Math.floor(missing / 2) : 0;
  return " ".repeat(left) + text + " ".repeat(missing - left);
}

/** Columns that a text takes in a monospaced font. */
function width(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of segmenter.segment(text)) columns += WIDE.test(segment) ? 2 : 1;
  return columns;
}
