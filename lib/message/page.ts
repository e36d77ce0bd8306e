/**
 * A document as HTML for our own web page. Only the tags written here ever appear, every text and attribute is
 * escaped, and addresses were checked when the tree was read: nothing that a stranger or a model writes can run.
 */
import type { Align, Block, Document, Inline } from "./tree";

const TAGS = { bold: "strong", italic: "em", strike: "s" } as const;

export function writePage(document: Document): string {
  return document.blocks.map((block) => writeBlock(block)).join("\n");
}

function escapeHtml(text: string): string {
  return /[&<>"']/.test(text)
    ? text
        .replaceAll("&", "&amp;")
        .replaceAll("<", "&lt;")
        .replaceAll(">", "&gt;")
        .replaceAll('"', "&quot;")
        .replaceAll("'", "&#39;")
    : text;
}

function writeBlock(block: Block): string {
  switch (block.type) {
    case "paragraph":
      return `<p>${writeInline(block.children)}</p>`;
    case "heading":
      return `<h${block.level}>${writeInline(block.children)}</h${block.level}>`;
    case "quote":
      return `<blockquote>${block.children.map(writeBlock).join("\n")}</blockquote>`;
    case "list":
      return writeList(block);
    case "code": {
      const language = block.language.replace(/[^\w+#.-]/g, "");
      return `<pre><code${language ? ` class="language-${language}"` : ""}>${escapeHtml(block.value)}</code></pre>`;
    }
    case "table":
      return writeTable(block);
    case "rule":
      return "<hr>";
  }
}

function writeList(list: Block & { type: "list" }): string {
  const tag = list.start === undefined ? "ul" : "ol";
  const start = list.start === undefined || list.start === 1 ? "" : ` start="${list.start}"`;
  const items = list.items.map((item) => {
    const blocks = item.map((block) =>
      list.tight && block.type === "paragraph" ? writeInline(block.children) : writeBlock(block),
    );
    return `<li>${blocks.join("\n")}</li>`;
  });
  return `<${tag}${start}>${items.join("")}</${tag}>`;
}

function writeTable(table: Block & { type: "table" }): string {
  const writeRow = (row: Inline[][], tag: "th" | "td"): string =>
    `<tr>${row.map((cell, column) => `<${tag}${alignment(table.align[column])}>${writeInline(cell)}</${tag}>`).join("")}</tr>`;
  const [head, ...body] = table.rows;
  const rows = body.map((row) => writeRow(row, "td")).join("");
  return `<table><thead>${writeRow(head ?? [], "th")}</thead>${rows && `<tbody>${rows}</tbody>`}</table>`;
}

/** An attribute, since a strict content policy forbids styles in the text. */
function alignment(align: Align | undefined): string {
  return align ? ` align="${align}"` : "";
}

function writeInline(nodes: readonly Inline[]): string {
  let out = "";
  for (const node of nodes) {
    if (node.type === "text") out += escapeHtml(node.value).replaceAll("\n", "<br>");
    else if (node.type === "break") out += "<br>";
    else if (node.type === "code") out += `<code>${escapeHtml(node.value)}</code>`;
    else if (node.type === "link") out += writeLink(node.href, node.children);
    else out += `<${TAGS[node.type]}>${writeInline(node.children)}</${TAGS[node.type]}>`;
  }
  return out;
}

function writeLink(href: string, children: Inline[]): string {
  const label = writeInline(children) || escapeHtml(href);
  // `tg:` opens an app that a visitor of the page may not have asked for.
  if (!/^(?:https?|mailto|tel):/i.test(href)) return label;
  return `<a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer nofollow">${label}</a>`;
}
