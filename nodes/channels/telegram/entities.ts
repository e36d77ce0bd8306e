/**
 * Telegram's text (plain text + entities, offsets in UTF-16 units) -> markdown.
 *
 * Only what markdown would misread is escaped, so that ordinary sentences stay as they were typed, and what was
 * typed is what anybody sees after rendering.
 */

/** As in a Bot API MessageEntity; only the fields that matter here. */
export interface Entity {
  type: string;
  offset: number;
  length: number;
  url?: string;
  language?: string;
  user?: { id: number };
}

interface Node {
  type: string;
  start: number;
  end: number;
  entity?: Entity;
  children: Node[];
}

/** Text and its entities as markdown. Entities that make no sense are ignored; the text is always whole. */
export function toMarkdown(text: string, entities: readonly Entity[]): string {
  const writer = new Writer(text);
  writer.children(tree(text, entities), false);
  return writer.out;
}

/** Removes a stretch of text and moves the entities behind it. */
export function cut(
  text: string,
  entities: readonly Entity[],
  start: number,
  end: number,
): { text: string; entities: Entity[] } {
  const moved = (at: number) => (at <= start ? at : at >= end ? at - (end - start) : start);
  const kept = entities.flatMap((entity) => {
    const from = moved(entity.offset);
    const length = moved(entity.offset + entity.length) - from;
    return length > 0 ? [{ ...entity, offset: from, length }] : [];
  });
  return { text: text.slice(0, start) + text.slice(end), entities: kept };
}

/** Entities nest and never cross (Telegram's promise); one that does cross is cut to its surroundings. */
function tree(text: string, entities: readonly Entity[]): Node {
  const root: Node = { type: "root", start: 0, end: text.length, children: [] };
  const sorted = entities
    .filter(
      ({ offset, length }) =>
        Number.isInteger(offset) &&
        Number.isInteger(length) &&
        offset >= 0 &&
        length > 0 &&
        offset < text.length,
    )
    .toSorted((a, b) => a.offset - b.offset || b.length - a.length);
  const open: Node[] = [root];
  for (const entity of sorted) {
    while ((open.at(-1) as Node).end <= entity.offset) open.pop();
    const parent = open.at(-1) as Node;
    const end = Math.min(entity.offset + entity.length, parent.end);
    const node: Node = { type: entity.type, start: entity.offset, end, entity, children: [] };
    parent.children.push(node);
    open.push(node);
  }
  return root;
}

const MARKS = new Map([
  ["bold", "**"],
  ["italic", "*"],
  ["strikethrough", "~~"],
  ["spoiler", "||"],
]);
const SPACE = /\s/;
const WORD = /[\p{L}\p{N}]/u;
const PUNCTUATION = /[!-/:-@[-`{-~]/;

class Writer {
  readonly #pieces: string[] = [];
  /** The last sign written, "" at the start. */
  #last = "";
  constructor(readonly text: string) {}

  get out(): string {
    return this.#pieces.join("");
  }

  write(piece: string): void {
    if (piece === "") return;
    this.#pieces.push(piece);
    this.#last = piece.at(-1) as string;
  }

  children(node: Node, inLabel: boolean): void {
    let at = node.start;
    for (const child of node.children) {
      this.plain(at, child.start, inLabel);
      this.node(child, inLabel);
      at = child.end;
    }
    this.plain(at, node.end, inLabel);
  }

  node(node: Node, inLabel: boolean): void {
    const inner = this.text.slice(node.start, node.end);
    if (node.type === "pre") this.block(fence(inner, node.entity?.language ?? ""));
    else if (node.type === "code") this.code(inner);
    else if (node.type === "text_link" && !inLabel && isLinkable(node.entity?.url, inner)) {
      this.write("[");
      this.children(node, true);
      this.write(`](${address(node.entity?.url as string)})`);
    } else if (node.type === "url" && !inLabel) this.url(inner, node);
    else if (node.type === "blockquote" || node.type === "expandable_blockquote") this.quote(node);
    else this.marked(node, MARKS.get(node.type), inLabel);
  }

  /** Marks must touch the words: spaces at the ends are moved out, and marks that could not work are left out. */
  marked(node: Node, mark: string | undefined, inLabel: boolean): void {
    if (mark === undefined || this.#active.has(mark)) {
      this.children(node, inLabel);
      return;
    }
    let { start, end } = node;
    while (start < end && SPACE.test(this.text[start] as string)) start += 1;
    while (end > start && SPACE.test(this.text[end - 1] as string)) end -= 1;
    const first = this.text[start] ?? "";
    const last = this.text[end - 1] ?? "";
    const before = this.text[start - 1] ?? "";
    const after = this.text[end] ?? "";
    // CommonMark's flanking rule: a mark between a letter and punctuation opens and closes nothing.
    const works =
      start < end &&
      !(isWord(before) && PUNCTUATION.test(first)) &&
      !(isWord(after) && PUNCTUATION.test(last)) &&
      this.#last !== "\\" &&
      !/\n\s*\n/.test(this.text.slice(start, end));
    const sign = mark === "*" && !isWord(before) && !isWord(after) ? "_" : mark;
    // Two marks of one sign in a row would melt into one, unless the outer one was just opened around this one.
    if (!works || (this.#last === sign[0] && !(this.#opened && mark === "*"))) {
      this.children(node, inLabel);
      return;
    }
    this.plain(node.start, start, inLabel);
    this.write(sign);
    this.#opened = true;
    this.#active.add(mark);
    this.children({ ...node, start, end, children: within(node.children, start, end) }, inLabel);
    this.#active.delete(mark);
    this.#opened = false;
    this.write(sign);
    this.plain(end, node.end, inLabel);
  }
  /** Marks that are open around this place; the same twice means nothing more. */
  readonly #active = new Set<string>();
  /** The last thing written opened a mark. */
  #opened = false;

  code(inner: string): void {
    const longest = longestRun(inner);
    const ticks = "`".repeat(longest + 1);
    const pad = /^`|`$|^ .* $/s.test(inner) ? " " : "";
    this.write(inner.trim() === "" ? inner : ticks + pad + inner.replaceAll("\n", " ") + pad + ticks);
  }

  url(inner: string, node: Node): void {
    // In angle brackets an address keeps its underscores and stars, and stays clickable.
    if (/^https?:\/\/[^\s<>]+$/i.test(inner) && escaped(inner, "", "", false) !== inner)
      this.write(`<${inner}>`);
    else this.plain(node.start, node.end, false);
  }

  quote(node: Node): void {
    const writer = new Writer(this.text);
    writer.children(node, false);
    // Without an empty line behind it, the next line would belong to the quote.
    this.block(writer.out.replace(/^/gm, "> "), "\n");
  }

  /** A block stands on lines of its own; `after` keeps what follows out of it. */
  block(lines: string, after = ""): void {
    if (this.#last !== "" && this.#last !== "\n") this.write("\n");
    this.write(lines);
    this.#afterBlock = `\n${after}`;
  }
  #afterBlock = "";

  plain(start: number, end: number, inLabel: boolean): void {
    if (start >= end) return;
    const text = this.text.slice(start, end);
    // The text's own line break counts as one of those that end the block.
    this.write(text.startsWith("\n") ? this.#afterBlock.slice(1) : this.#afterBlock);
    this.#afterBlock = "";
    this.write(escaped(text, this.text[start - 1] ?? "", this.text[end] ?? "", inLabel));
    this.#opened = false;
  }
}

function isWord(character: string): boolean {
  return character !== "" && WORD.test(character);
}

function within(children: readonly Node[], start: number, end: number): Node[] {
  return children.flatMap((child) => {
    const from = Math.max(child.start, start);
    const to = Math.min(child.end, end);
    return from < to ? [{ ...child, start: from, end: to }] : [];
  });
}

/** Longest run of backticks inside. */
function longestRun(text: string): number {
  let longest = 0;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  return longest;
}

function fence(inner: string, language: string): string {
  const longest = Math.max(2, longestRun(inner));
  const ticks = "`".repeat(longest + 1);
  return `${ticks}${/^[\w+#.-]*$/.test(language) ? language : ""}\n${inner.replace(/\n$/, "")}\n${ticks}`;
}

function isLinkable(url: string | undefined, label: string): boolean {
  return (
    url !== undefined &&
    /^(https?|tg|mailto|ftp):/i.test(url) &&
    label.trim() !== "" &&
    !/\n\s*\n/.test(label)
  );
}

/** An address as markdown takes it between parentheses. */
function address(url: string): string {
  return url.replace(
    /[\s<>()\\]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
}

/** What would be taken for the start of a heading, list, quote, rule, table or code block at the start of a line. */
const LINE_START =
  /^(#{1,6}(?=[ \t]|$)|>|[-+](?=[ \t]|$)|[-=](?=[-=\s|:]*$)|[|:](?=[|:\-\s]*-[|:\-\s]*$)|(?:\d{1,9})[.)](?=[ \t]|$))/;

/**
 * Plain text as markdown that means just that. `before` and `after` are the neighbours of the stretch ("" at the
 * ends of the message), `inLabel` is true inside the brackets of a link.
 */
function escaped(text: string, before: string, after: string, inLabel: boolean): string {
  const lines = text.split("\n");
  return lines
    .map((line, index) => {
      const left = index > 0 ? "\n" : before;
      const right = index < lines.length - 1 ? "\n" : after;
      return escapeLine(line, left, right, inLabel);
    })
    .join("\n");
}

function escapeLine(line: string, before: string, after: string, inLabel: boolean): string {
  let indent = "";
  let rest = line;
  const atStart = before === "" || before === "\n";
  if (atStart) {
    indent = /^[ \t]*/.exec(line)?.[0] ?? "";
    rest = line.slice(indent.length);
    // Four columns would make it code; spaces that do not count as such keep the look.
    if (indent.length > 3 || indent.includes("\t"))
      indent = indent.replaceAll("\t", "    ").replaceAll(" ", "\u00a0");
  }
  const marker = atStart ? LINE_START.exec(rest)?.[0] : undefined;
  if (marker === undefined) return indent + escapeInline(rest, before, after, inLabel, atStart);
  const shown = /^\d/.test(marker) ? `${marker.slice(0, -1)}\\${marker.at(-1)}` : `\\${marker}`;
  return (
    indent + shown + escapeInline(rest.slice(marker.length), marker.at(-1) as string, after, inLabel, false)
  );
}

const SPECIAL = /[\\`*_~|[\]!<&]/g;

function escapeInline(
  text: string,
  before: string,
  after: string,
  inLabel: boolean,
  lineStart: boolean,
): string {
  return text.replace(SPECIAL, (sign, at: number) => {
    const previous = text[at - 1] ?? before;
    const next = text[at + 1] ?? after;
    return misread(sign, at, text, previous, next, inLabel, lineStart) ? `\\${sign}` : sign;
  });
}

function misread(
  sign: string,
  at: number,
  text: string,
  previous: string,
  next: string,
  inLabel: boolean,
  lineStart: boolean,
): boolean {
  switch (sign) {
    case "\\":
      return at === text.length - 1 || next === "\n" || PUNCTUATION.test(next);
    case "`":
      return true;
    case "*":
    case "_": {
      if (lineStart && /^[*_\s]*$/.test(text.slice(0, at))) return true;
      if (sign === "_" && isWord(previous) && isWord(next)) return false;
      return !((previous === "" || SPACE.test(previous)) && (next === "" || SPACE.test(next)));
    }
    case "~":
    case "|":
      return previous === sign || next === sign;
    case "[":
      return inLabel;
    case "]":
      return (
        inLabel || next === "(" || next === "[" || next === ":" || (at === text.length - 1 && next !== "")
      );
    case "!":
      return next === "[" || (at === text.length - 1 && next !== "");
    case "<":
      return /[A-Za-z/!?]/.test(next);
    default:
      return /^&(#\w{1,8}|\w{1,31});/.test(text.slice(at, at + 34));
  }
}
