/** Lays a tree out as a flow: bullets, numbers, blank lines and tables become visible text. */
import type { Flow, Mark, MarkKind } from "./flow";
import { table } from "./table";
import { type Block, type Inline, textOf } from "./tree";

/** How a dialect wants its blocks to look. */
export interface Shape {
  bullet: string;
  /** What stands before a heading; `bold`: the heading is set in bold instead. */
  heading: "bold" | ((level: number) => string);
  rule: string;
  /** `mark`: the dialect has quotes of its own; `prefix`: each line gets `> `. */
  quote: "mark" | "prefix";
  /** False for addresses the platform does not make links of: they are shown behind the label. */
  linkable(href: string): boolean;
}

export function layout(blocks: readonly Block[], shape: Shape): Flow {
  const [only] = blocks;
  const text = blocks.length === 1 && only?.type === "paragraph" ? only.children : undefined;
  // The usual case: a few words and nothing else.
  if (text?.length === 1 && text[0]?.type === "text") return { text: text[0].value, marks: [] };
  const page = new Page(shape);
  page.blocks(blocks, "\n\n");
  return { text: page.text, marks: page.marks.filter((mark) => mark.end > mark.start) };
}

class Page {
  text = "";
  readonly marks: Mark[] = [];
  /** Stands at the start of every new line: indentation of lists, signs of quotes. */
  private margin = "";
  private readonly shape: Shape;

  constructor(shape: Shape) {
    this.shape = shape;
  }

  blocks(blocks: readonly Block[], gap: "\n" | "\n\n"): void {
    blocks.forEach((block, index) => {
      if (index > 0) this.gap(gap);
      this.block(block);
    });
  }

  private gap(gap: "\n" | "\n\n"): void {
    if (gap === "\n\n") this.text += `\n${this.margin.trimEnd()}`;
    this.text += `\n${this.margin}`;
  }

  private marked(kind: MarkKind, more: Partial<Mark>, write: () => void): void {
    const mark: Mark = { ...more, kind, start: this.text.length, end: 0 };
    this.marks.push(mark);
    write();
    mark.end = this.text.length;
  }

  private indented(margin: string, write: () => void): void {
    const before = this.margin;
    this.margin += margin;
    write();
    this.margin = before;
  }

  private block(block: Block): void {
    switch (block.type) {
      case "paragraph":
        this.inline(block.children);
        break;
      case "heading":
        this.heading(block.level, block.children);
        break;
      case "quote":
        this.quote(block.children);
        break;
      case "list":
        this.list(block);
        break;
      case "code": {
        const { language } = block;
        this.marked("pre", language ? { language } : {}, () => this.verbatim(block.value.replace(/\n$/, "")));
        break;
      }
      case "table":
        this.marked("pre", {}, () => this.verbatim(table(block)));
        break;
      case "rule":
        this.literal(this.shape.rule);
    }
  }

  private heading(level: number, children: Inline[]): void {
    const { heading } = this.shape;
    if (heading === "bold") this.marked("bold", {}, () => this.inline(children));
    else {
      this.literal(heading(level));
      this.inline(children);
    }
  }

  private quote(children: Block[]): void {
    if (this.shape.quote === "mark") this.marked("quote", {}, () => this.blocks(children, "\n\n"));
    else {
      this.literal("> ");
      this.indented("> ", () => this.blocks(children, "\n\n"));
    }
  }

  private list(list: Block & { type: "list" }): void {
    list.items.forEach((item, index) => {
      if (index > 0) this.gap(list.tight ? "\n" : "\n\n");
      const sign = list.start === undefined ? this.shape.bullet : `${list.start + index}. `;
      this.literal(sign);
      this.indented(" ".repeat(sign.length), () => this.blocks(item, list.tight ? "\n" : "\n\n"));
    });
  }

  private literal(sign: string): void {
    if (sign !== "") this.marked("literal", {}, () => this.write(sign));
  }

  /** Code keeps its own indentation: only the signs of quotes go before it. */
  private verbatim(text: string): void {
    const margin = this.margin.includes(">") ? this.margin : "";
    this.text += margin === "" ? text : text.replaceAll("\n", `\n${margin}`);
  }

  private write(text: string): void {
    this.text += this.margin !== "" && text.includes("\n") ? text.replaceAll("\n", `\n${this.margin}`) : text;
  }

  private inline(nodes: readonly Inline[]): void {
    for (const node of nodes) {
      switch (node.type) {
        case "text":
          this.write(node.value);
          break;
        case "break":
          this.write("\n");
          break;
        case "code":
          this.marked("code", {}, () => this.write(node.value));
          break;
        case "link":
          this.link(node.href, node.children);
          break;
        default:
          this.marked(node.type, {}, () => this.inline(node.children));
      }
    }
  }

  private link(href: string, children: Inline[]): void {
    if (this.shape.linkable(href)) {
      this.marked("link", { href }, () => this.inline(children));
      return;
    }
    this.inline(children);
    const label = textOf(children);
    if (label.trim() === "") this.write(href);
    else if (!saysAddress(label, href)) this.write(` (${bare(href)})`);
  }
}

/** True when the label already is the address. */
export function saysAddress(label: string, href: string): boolean {
  const said = label.trim();
  return said === href || said === bare(href) || encodeURI(said) === href || `${said}/` === href;
}

/** An address as people write it: mail and telephone without their scheme. */
export function bare(href: string): string {
  return href.replace(/^(?:mailto|tel):/i, "");
}
