/**
 * Markdown as a tree. Every dialect is written from this tree, so that a formatting rule stands in one place and
 * nothing is ever found by regular expressions in marked-up text.
 */
import type { Env, MarkdownIt, Token } from "markdown-it";

export type Inline =
  | { type: "text"; value: string }
  | { type: "bold" | "italic" | "strike"; children: Inline[] }
  | { type: "code"; value: string }
  /** `href` has an allowed scheme. Pictures are links too. */
  | { type: "link"; href: string; children: Inline[] }
  | { type: "break" };

export type Align = "" | "left" | "center" | "right";

export type Block =
  /** A text of a plain paragraph may hold newlines and indentation; both are kept. */
  | { type: "paragraph"; children: Inline[] }
  | { type: "heading"; level: number; children: Inline[] }
  | { type: "quote"; children: Block[] }
  /** `start` is missing in a bulleted list. */
  | { type: "list"; start?: number; tight: boolean; items: Block[][] }
  | { type: "code"; language: string; value: string }
  /** The first row is the header. */
  | { type: "table"; align: Align[]; rows: Inline[][][] }
  | { type: "rule" };

export interface Document {
  blocks: Block[];
  /** The Markdown it was read from. Missing when it was plain text. */
  source?: string;
  /** First line in `source` of each block. Missing when a block needs another one to be understood. */
  lines?: number[];
}

/** Longest text that is read as Markdown, in UTF-16 units: a few 100 ms. A longer one is shown as it is written. */
const MAX_LENGTH = 300_000;
/** Signs in one paragraph that may open something. More is no text but an attack on the parser (quadratic time). */
const MAX_SIGNS = 2_000;
/** Quotes and lists inside each other. The parser drops what is deeper, so such a text is shown as written. */
const MAX_NESTING = 100;

/** Signs with a meaning anywhere in a line. */
const INLINE_SIGN = /[\\`*_~[\]<&]/;
/** What has a meaning at the start of a line (or, for two spaces, at its end). */
const LINE_SIGN = /^[ \t]*(?:[#>+=|:-]|\d+[.)])|^[ \t]+\S|\|| {2}$/m;

/** A text that is no Markdown: one paragraph, kept as it is. */
export function plainDocument(text: string): Document {
  return { blocks: text === "" ? [] : [{ type: "paragraph", children: [{ type: "text", value: text }] }] };
}

/**
 * Reads Markdown (CommonMark with tables and strike-through; a newline is a line break, as people expect in a
 * chat; raw HTML is text). Never throws; a text that is too long or too deep is taken as plain text.
 * @param links also makes links of bare `https://` addresses
 */
export function parseMarkdown(markdown: string, links = false): Document {
  const source = markdown.includes("\r") ? markdown.replace(/\r\n?/g, "\n") : markdown;
  if (!INLINE_SIGN.test(source) && !LINE_SIGN.test(source) && !(links && source.includes("://"))) {
    const text = source.replace(/\n(?:[ \t]*\n){2,}/g, "\n\n").trim();
    return { ...plainDocument(text), source };
  }
  if (source.length > MAX_LENGTH || isHostile(source)) return { ...plainDocument(source), source };
  const env: Env = {};
  const tokens = parser(links).parse(source, env);
  if (tokens.some((token) => token.level >= MAX_NESTING - 1)) return { ...plainDocument(source), source };
  const blocks = readBlocks({ tokens, at: 0 });
  // Nothing but definitions: no document, but somebody wrote it to be read.
  if (blocks.length === 0) return { ...plainDocument(source.trim()), source };
  if (env.references) return { blocks, source };
  return { blocks, source, lines: topLines(tokens) };
}

const parsers: { plain?: MarkdownIt; links?: MarkdownIt } = {};

/** The parser is loaded with the first text that needs it. */
function parser(links: boolean): MarkdownIt {
  const kind = links ? "links" : "plain";
  const ready = parsers[kind];
  if (ready) return ready;
  const { MarkdownIt } = require("../vendor/markdown-it") as typeof import("../vendor/markdown-it");
  const md = new MarkdownIt({ html: false, breaks: true, linkify: links, maxNesting: MAX_NESTING });
  // Which addresses become links is decided by `isAllowed`; the label of a refused one must not look like source.
  md.validateLink = () => true;
  md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
  parsers[kind] = md;
  return md;
}

/** Looks for a paragraph with too many signs; what stands in a code block is not read by the parser. */
function isHostile(source: string): boolean {
  let signs = 0;
  let fence = "";
  for (let at = 0; at < source.length; ) {
    const newline = source.indexOf("\n", at);
    const end = newline < 0 ? source.length : newline;
    const first = source.charAt(at);
    // A fence may stand behind three spaces at most.
    const found = "`~ ".includes(first)
      ? /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)$/.exec(source.slice(at, end))
      : null;
    const run = found?.[1] ?? "";
    if (fence === "") {
      fence = run;
      signs = end === at ? 0 : signs + countSigns(source, at, end);
      if (signs > MAX_SIGNS) return true;
    } else if (run.startsWith(fence) && found?.[2]?.trim() === "") {
      fence = "";
      signs = 0;
    }
    at = end + 1;
  }
  return false;
}

function countSigns(source: string, from: number, to: number): number {
  let signs = 0;
  for (let i = from; i < to; i++) {
    switch (source.charCodeAt(i)) {
      case 33: // !
      case 42: // *
      case 60: // <
      case 91: // [
      case 95: // _
      case 96: // `
      case 126: // ~
        signs++;
    }
  }
  return signs;
}

function topLines(tokens: Token[]): number[] {
  const lines: number[] = [];
  for (const token of tokens) {
    if (token.level === 0 && token.nesting >= 0 && token.map) lines.push(token.map[0]);
  }
  return lines;
}

interface Cursor {
  tokens: Token[];
  at: number;
}

/** Reads blocks up to the closing token of the one around them, and steps over that. */
function readBlocks(cursor: Cursor): Block[] {
  const blocks: Block[] = [];
  for (;;) {
    const token = cursor.tokens[cursor.at++];
    if (!token || token.nesting < 0) return blocks;
    const block = readBlock(token, cursor);
    if (block) blocks.push(block);
  }
}

function readBlock(token: Token, cursor: Cursor): Block | undefined {
  switch (token.type) {
    case "paragraph_open":
      return { type: "paragraph", children: readInlineOf(cursor) };
    case "heading_open":
      return { type: "heading", level: Number(token.tag.slice(1)), children: readInlineOf(cursor) };
    case "blockquote_open":
      return { type: "quote", children: readBlocks(cursor) };
    case "bullet_list_open":
      return readList(cursor);
    case "ordered_list_open":
      return readList(cursor, Number(token.attrGet("start") ?? 1));
    case "table_open":
      return readTable(cursor);
    case "fence":
      return { type: "code", language: token.info.trim().split(/\s+/)[0] ?? "", value: token.content };
    case "code_block":
      return { type: "code", language: "", value: token.content };
    case "hr":
      return { type: "rule" };
    default:
      return undefined;
  }
}

/** The `inline` token of a paragraph, heading or cell, and its closing token. */
function readInlineOf(cursor: Cursor): Inline[] {
  const token = cursor.tokens[cursor.at];
  cursor.at += 2;
  return readInline(token?.children ?? []);
}

function readList(cursor: Cursor, start?: number): Block {
  const items: Block[][] = [];
  let tight = true;
  while (cursor.tokens[cursor.at]?.type === "list_item_open") {
    cursor.at++;
    const first = cursor.tokens[cursor.at];
    if (first?.type === "paragraph_open" && !first.hidden) tight = false;
    items.push(readBlocks(cursor));
  }
  cursor.at++;
  return { type: "list", ...(start === undefined ? {} : { start }), tight, items };
}

function readTable(cursor: Cursor): Block {
  const align: Align[] = [];
  const rows: Inline[][][] = [];
  for (;;) {
    const token = cursor.tokens[cursor.at++];
    if (!token || token.type === "table_close") return { type: "table", align, rows };
    if (token.type === "tr_open") rows.push([]);
    if (token.type !== "th_open" && token.type !== "td_open") continue;
    if (rows.length === 1) align.push(alignOf(token));
    rows.at(-1)?.push(readInlineOf(cursor));
  }
}

function alignOf(token: Token): Align {
  const found = /left|center|right/.exec(String(token.attrGet("style")));
  return (found?.[0] ?? "") as Align;
}

const STYLES: Record<string, "bold" | "italic" | "strike"> = { strong: "bold", em: "italic", s: "strike" };

/** A style inside itself says nothing new: it is left out, which also bounds the depth of the tree. */
function readInline(tokens: Token[]): Inline[] {
  const root: Inline[] = [];
  const open: { name: string; into: Inline[]; skipped: boolean }[] = [];
  let into = root;
  const enter = (name: string, node: (Inline & { children: Inline[] }) | undefined): void => {
    open.push({ name, into, skipped: !node });
    if (!node) return;
    into.push(node);
    into = node.children;
  };
  for (const token of tokens) {
    if (token.nesting < 0) {
      const closed = open.pop();
      if (closed) into = closed.into;
    } else if (token.nesting > 0) {
      const active = open.some((entry) => entry.name === token.tag && !entry.skipped);
      const style = STYLES[token.tag];
      const href = token.tag === "a" ? allowed(token.attrGet("href")) : undefined;
      if (style && !active) enter(token.tag, { type: style, children: [] });
      else if (href && !active) enter(token.tag, { type: "link", href, children: [] });
      else enter(token.tag, undefined);
    } else {
      const inLink = open.some((entry) => entry.name === "a" && !entry.skipped);
      const leaf = readLeaf(token, inLink);
      if (leaf) into.push(leaf);
    }
  }
  return root;
}

function readLeaf(token: Token, inLink: boolean): Inline | undefined {
  if (token.type === "softbreak" || token.type === "hardbreak") return { type: "break" };
  if (token.type === "code_inline") return { type: "code", value: token.content };
  if (token.type !== "image")
    return token.content === "" ? undefined : { type: "text", value: token.content };
  const href = allowed(token.attrGet("src"));
  const label = textOf(readInline(token.children ?? []));
  if (!href || inLink) return label === "" ? undefined : { type: "text", value: label };
  return { type: "link", href, children: [{ type: "text", value: label || href }] };
}

/** The words of a line, without any markup. */
export function textOf(inline: Inline[]): string {
  let text = "";
  for (const node of inline) {
    if (node.type === "break") text += " ";
    else text += "value" in node ? node.value : textOf(node.children);
  }
  return text;
}

/** The only addresses that ever become links. */
function allowed(href: string | number | null): string | undefined {
  return typeof href === "string" && /^(?:https?:\/\/|mailto:|tel:|tg:\/\/)[^\s]/i.test(href)
    ? href
    : undefined;
}
