/**
 * Telegram's HTML mode as its server reads it (core.telegram.org/bots/api#html-style): answers the text that is left
 * and throws what Telegram would say. Offsets in errors are in bytes, as Telegram counts them.
 */
const TAGS = new Set([
  "b",
  "strong",
  "i",
  "em",
  "u",
  "ins",
  "s",
  "strike",
  "del",
  "span",
  "tg-spoiler",
  "a",
  "tg-emoji",
  "code",
  "pre",
  "blockquote",
]);
const NAMED: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"' };

interface ParsedHtml {
  text: string;
  entities: { type: string; offset: number; length: number; url?: string; language?: string }[];
}

export class ParseError extends Error {}

export function parseTelegramHtml(html: string): ParsedHtml {
  const entities: ParsedHtml["entities"] = [];
  const open: { tag: string; attributes: Record<string, string>; offset: number }[] = [];
  let text = "";
  let at = 0;
  const bytes = (position: number) => Buffer.byteLength(html.slice(0, position));
  while (at < html.length) {
    const sign = html[at] as string;
    if (sign === "&") {
      const match = /^&(#x[0-9a-fA-F]+|#\d+|[A-Za-z]+);/.exec(html.slice(at, at + 16));
      const decoded = match?.[1] === undefined ? undefined : decode(match[1]);
      text += decoded ?? "&";
      at += decoded === undefined ? 1 : (match?.[0].length ?? 1);
      continue;
    }
    if (sign !== "<") {
      text += sign;
      at += 1;
      continue;
    }
    const end = html.indexOf(">", at);
    if (end < 0) throw new ParseError(`Unclosed start tag at byte offset ${bytes(at)}`);
    const inside = html.slice(at + 1, end);
    if (inside.startsWith("/")) {
      const name = inside.slice(1).trim().toLowerCase();
      const started = open.pop();
      if (!started) throw new ParseError(`Unexpected end tag at byte offset ${bytes(at)}`);
      if (name !== "" && name !== started.tag) {
        throw new ParseError(
          `Unmatched end tag at byte offset ${bytes(at)}, expected "</${started.tag}>", found "</${name}>"`,
        );
      }
      const length = text.length - started.offset;
      if (length > 0) entities.push(entityOf(started, length));
    } else {
      const [, name = "", rest = ""] = /^([^\s/>]*)([\s\S]*)$/.exec(inside) ?? [];
      const tag = name.toLowerCase();
      const attributes = attributesOf(rest, bytes(at));
      const isSpoilerSpan = tag !== "span" || attributes["class"] === "tg-spoiler";
      if (!TAGS.has(tag)) throw new ParseError(`Unsupported start tag "${tag}" at byte offset ${bytes(at)}`);
      if (!isSpoilerSpan)
        throw new ParseError(`Tag "span" must have class "tg-spoiler" at byte offset ${bytes(at)}`);
      open.push({ tag, attributes, offset: text.length });
    }
    at = end + 1;
  }
  const unclosed = open.pop();
  if (unclosed) throw new ParseError(`Can't find end tag corresponding to start tag "${unclosed.tag}"`);
  return { text, entities: entities.toSorted((a, b) => a.offset - b.offset || b.length - a.length) };
}

function decode(name: string): string | undefined {
  if (!name.startsWith("#")) return NAMED[name];
  const code = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
  return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
    ? String.fromCodePoint(code)
    : undefined;
}

function attributesOf(text: string, offset: number): Record<string, string> {
  const attributes: Record<string, string> = {};
  let rest = text.trim();
  while (rest !== "") {
    const match = /^([\w-]+)\s*(?:=\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+)))?\s*/.exec(rest);
    if (!match?.[1]) throw new ParseError(`Empty attribute name in the tag at byte offset ${offset}`);
    const value = match[2] ?? match[3] ?? match[4] ?? "";
    attributes[match[1].toLowerCase()] = value.replace(
      /&(#x[0-9a-fA-F]+|#\d+|[A-Za-z]+);/g,
      (all, name: string) => decode(name) ?? all,
    );
    rest = rest.slice(match[0].length);
  }
  return attributes;
}

function entityOf(
  started: { tag: string; attributes: Record<string, string>; offset: number },
  length: number,
) {
  const { tag, attributes, offset } = started;
  const types: Record<string, string> = {
    b: "bold",
    strong: "bold",
    i: "italic",
    em: "italic",
    u: "underline",
    ins: "underline",
    s: "strikethrough",
    strike: "strikethrough",
    del: "strikethrough",
    span: "spoiler",
    "tg-spoiler": "spoiler",
    a: "text_link",
    "tg-emoji": "custom_emoji",
  };
  return {
    type: types[tag] ?? tag,
    offset,
    length,
    ...(tag === "a" && attributes["href"] ? { url: attributes["href"] } : {}),
    ...(attributes["class"]?.startsWith("language-") ? { language: attributes["class"].slice(9) } : {}),
  };
}
