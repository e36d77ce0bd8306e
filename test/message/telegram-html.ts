/**
 * Telegram's HTML, read as strictly as its documentation says (https://core.telegram.org/bots/api#html-style):
 * anything the server might refuse, drop or read differently is an error here.
 */
export interface Entity {
  tag: string;
  start: number;
  end: number;
  href?: string;
  language?: string;
}

const STYLES = new Set(["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "tg-spoiler"]);
const NAMED: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"' };

export function parseTelegramHtml(source: string): { text: string; entities: Entity[] } {
  const entities: Entity[] = [];
  const open: Entity[] = [];
  let text = "";
  for (let at = 0; at < source.length; ) {
    const sign = source.charAt(at);
    if (sign === ">") throw new Error(`a bare > at ${at}`);
    if (sign === "&") {
      const found = /^&(?:(lt|gt|amp|quot)|#(\d{1,7})|#x([0-9a-f]{1,6}));/i.exec(source.slice(at, at + 12));
      if (!found) throw new Error(`a bare & at ${at}`);
      text += found[1]
        ? NAMED[found[1]]
        : String.fromCodePoint(found[2] ? Number(found[2]) : Number.parseInt(found[3] ?? "", 16));
      at += found[0].length;
    } else if (sign === "<") {
      const end = source.indexOf(">", at);
      if (end < 0) throw new Error(`a bare < at ${at}`);
      const tag = source.slice(at + 1, end);
      if (tag.startsWith("/")) close(tag.slice(1));
      else entities.push(start(tag));
      at = end + 1;
    } else {
      text += sign;
      at++;
    }
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)?.tag}> is not closed`);
  return { text, entities };

  function start(source: string): Entity {
    const [, tag = "", name, value = ""] = /^([a-z-]+)(?: ([a-z]+)="([^"<>]*)")?$/.exec(source) ?? [];
    const entity: Entity = { tag, start: text.length, end: 0 };
    const parents = open.map((parent) => parent.tag);
    if (parents.includes("code")) throw new Error(`<${tag}> inside <code>`);
    if (parents.includes("pre") && !(tag === "code" && open.at(-1)?.tag === "pre"))
      throw new Error(`<${tag}> inside <pre>`);
    if (tag === "a" && name === "href" && value !== "") {
      if (parents.includes("a")) throw new Error("<a> inside <a>");
      if (/&(?!(?:lt|gt|amp|quot);)/.test(value)) throw new Error("a bare & in an address");
      entity.href = value.replace(/&(lt|gt|amp|quot);/g, (_, entityName: string) => NAMED[entityName] ?? "");
    } else if (tag === "code" && name === "class") {
      if (open.at(-1)?.tag !== "pre" || text.length !== open.at(-1)?.start)
        throw new Error("a language outside <pre>");
      if (!/^language-[^\s"]+$/.test(value)) throw new Error(`class "${value}"`);
      entity.language = value.slice(9);
    } else if (name !== undefined) throw new Error(`attribute ${name} of <${tag}>`);
    else if (tag === "blockquote") {
      if (parents.includes("blockquote")) throw new Error("nested <blockquote>");
    } else if (tag === "code" || tag === "pre") {
      const style = parents.find((parent) => STYLES.has(parent) || parent === "a");
      if (style) throw new Error(`<${tag}> inside <${style}>`);
    } else if (!STYLES.has(tag)) throw new Error(`<${source}> is no tag of Telegram`);
    open.push(entity);
    return entity;
  }

  function close(tag: string): void {
    const last = open.pop();
    if (last?.tag !== tag) throw new Error(`</${tag}> closes <${last?.tag}>`);
    last.end = text.length;
    if (last.end === last.start) throw new Error(`<${tag}> is empty`);
  }
}
