/** The files of the page, as the build made them: read once, named by their content so that browsers may keep them. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";

export interface Look {
  title: string;
  /** `#rrggbb` */
  color: string;
}

export interface Asset {
  type: string;
  body: string;
}

const TYPES: Readonly<Record<string, string>> = {
  "page.html": "text/html; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "page.css": "text/css; charset=utf-8",
  "widget.js": "text/javascript; charset=utf-8",
};

export class Assets {
  readonly #folder: string;
  readonly #look: Look;
  readonly #read = new Map<string, Promise<Asset>>();

  constructor(folder: string, look: Look) {
    this.#folder = folder;
    this.#look = look;
  }

  /** Undefined when the page has no file of this name. */
  get(name: string): Promise<Asset> | undefined {
    const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (!type) return undefined;
    const known = this.#read.get(name) ?? this.#fill(name, type);
    this.#read.set(name, known);
    known.catch(() => this.#read.delete(name));
    return known;
  }

  async #fill(name: string, type: string): Promise<Asset> {
    const text = await readFile(path.join(this.#folder, name), "utf8");
    if (name === "page.html") return { type, body: await this.#page(text) };
    // The widget runs on somebody else's site: it brings its title and colour along.
    return {
      type,
      body: name === "widget.js" ? text.replace('"__LOOK__"', () => jsonForScript(this.#look)) : text,
    };
  }

  async #page(template: string): Promise<string> {
    const versions = await Promise.all(
      ["page.js", "page.css"].map(async (name) => {
        const text = await readFile(path.join(this.#folder, name));
        return createHash("sha256").update(text).digest("hex").slice(0, 10);
      }),
    );
    const fill: Record<string, string> = {
      title: escapeHtml(this.#look.title),
      color: escapeHtml(this.#look.color),
      js: versions[0] as string,
      css: versions[1] as string,
    };
    return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => fill[name] ?? "");
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function jsonForScript(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
