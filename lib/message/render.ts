/** From a document to the texts of platform messages: written in the channel's dialect, cut to its limit. */
import type { DialectWriter } from "./dialects/dialect";
import { markdown } from "./dialects/markdown";
import { plain } from "./dialects/plain";
import { dialects } from "./dialects/registry";
import { bare, layout, saysAddress } from "./layout";
import { fitsWhole, type Limit, split, type WrittenPart } from "./split";
import { type Block, type Document, parseMarkdown, plainDocument } from "./tree";
import type { Dialect } from "./types";
import { measure } from "./units";

export interface RenderedText {
  /** In the dialect. */
  text: string;
  /** Without markup, for a second try. */
  plain: string;
}

/** A text as a tree; `plain` is never read as Markdown. */
export function documentOf(text: string, format: "markdown" | "plain" = "markdown"): Document {
  return format === "plain" ? plainDocument(text) : parseMarkdown(text);
}

/** Adds blocks behind a document, for example the numbered list that stands for buttons. */
export function append(document: Document, blocks: Block[]): Document {
  if (blocks.length === 0) return document;
  const all = [...document.blocks, ...blocks];
  if (document.source === undefined) return { blocks: all };
  const source = document.source.trimEnd();
  const known = document.lines ?? (document.blocks.length === 1 ? [0] : undefined);
  const lines = blocks.length === 1 && known ? [...known, source.split("\n").length + 1] : undefined;
  const more = markdown.write(layout(blocks, markdown.shape));
  return { blocks: all, source: source === "" ? more : `${source}\n\n${more}`, ...(lines && { lines }) };
}

/** One or more texts, each within `limit`; none when there is nothing to show. */
export function render(document: Document, dialect: Dialect, limit: Limit): RenderedText[] {
  const writer = dialects[dialect];
  if (writer.takesMarkdown && document.source !== undefined)
    return renderSource(document, document.source, limit);
  const parts = renderBlocks(document.blocks, writer, limit);
  // Markup around nothing (an empty code block, a definition) is text after all.
  if (parts.length > 0 || !document.source?.trim()) return parts;
  return renderBlocks(plainDocument(document.source).blocks, writer, limit);
}

/** The text when it fits one message as it is, else undefined. */
export function renderOne(document: Document, dialect: Dialect, limit: Limit): RenderedText | undefined {
  const writer = dialects[dialect];
  if (writer.takesMarkdown && document.source !== undefined) {
    const source = document.source.trim();
    if (source === "" || measure(source, limit.unit) > limit.max) return undefined;
    return { text: source, plain: plainOf(document) || source };
  }
  const part = fitsWhole(layout(document.blocks, writer.shape), limit, writer);
  return part && part.flow.text.trim() !== "" ? rendered(part, limit) : undefined;
}

/** The readable text of a document. */
export function plainOf(document: Document): string {
  return layout(document.blocks, plain.shape).text;
}

function rendered({ flow, written }: WrittenPart, limit: Limit): RenderedText {
  if (flow.marks.length === 0) return { text: written, plain: flow.text };
  const spelled = withAddresses(flow);
  const fits = spelled === flow.text || measure(spelled, limit.unit) <= limit.max;
  return { text: written, plain: fits ? spelled : flow.text };
}

/** What people see, with the addresses of links behind their labels. */
function withAddresses({ text, marks }: WrittenPart["flow"]): string {
  let out = "";
  let at = 0;
  for (const { kind, href = "", start, end } of marks) {
    if (kind !== "link" || saysAddress(text.slice(start, end), href)) continue;
    out += `${text.slice(at, end)} (${bare(href)})`;
    at = end;
  }
  return out + text.slice(at);
}

/** Markdown goes out as its author wrote it; only a block that is longer than a message is written anew. */
function renderSource(document: Document, source: string, limit: Limit): RenderedText[] {
  const whole = renderOne(document, "markdown", limit);
  if (whole) return [whole];
  const { lines } = document;
  if (!lines || lines.length !== document.blocks.length)
    return renderBlocks(document.blocks, markdown, limit);
  const out: RenderedText[] = [];
  let group: Block[] = [];
  let text = "";
  const flush = (): void => {
    if (group.length > 0) out.push({ text, plain: plainOf({ blocks: group }) || text });
    group = [];
    text = "";
  };
  const pieces = sourceOfBlocks(source, lines);
  document.blocks.forEach((block, index) => {
    const piece = pieces[index] ?? "";
    const joined = group.length > 0 ? `${text}\n\n${piece}` : piece;
    if (measure(joined, limit.unit) <= limit.max) {
      text = joined;
      group.push(block);
      return;
    }
    flush();
    if (measure(piece, limit.unit) <= limit.max) {
      text = piece;
      group = [block];
    } else out.push(...renderBlocks([block], markdown, limit));
  });
  flush();
  return out;
}

function renderBlocks(blocks: Block[], writer: DialectWriter, limit: Limit): RenderedText[] {
  return split(layout(blocks, writer.shape), limit, writer).map((part) => rendered(part, limit));
}

function sourceOfBlocks(source: string, lines: number[]): string[] {
  const rows = source.split("\n");
  return lines.map((line, index) =>
    rows
      .slice(line, lines[index + 1])
      .join("\n")
      .replace(/^\n+|\s+$/g, ""),
  );
}
