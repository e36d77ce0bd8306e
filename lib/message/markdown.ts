/** Markdown written in the platform's dialect, as plain text, or as safe HTML for the web page. */
import { dialects } from "./dialects/registry";
import { layout } from "./layout";
import { writePage } from "./page";
import { plainOf } from "./render";
import { parseMarkdown } from "./tree";
import type { Dialect } from "./types";

/** The whole text in one piece, however long. @example toDialect("**Hi** <you>", "html") // "<b>Hi</b> &lt;you&gt;" */
export function toDialect(markdown: string, dialect: Dialect): string {
  const document = parseMarkdown(markdown);
  const writer = dialects[dialect];
  if (writer.takesMarkdown && document.source !== undefined) return document.source.trim();
  return writer.write(layout(document.blocks, writer.shape));
}

/** Readable text without markup. @example toPlain("[Docs](https://a.example)") // "Docs (https://a.example)" */
export function toPlain(markdown: string): string {
  return plainOf(parseMarkdown(markdown));
}

/** HTML for our own page; safe whatever the text is, raw HTML in it is shown as text. */
export function toHtml(markdown: string): string {
  return writePage(parseMarkdown(markdown, true));
}
