/** Drives Node-RED's editor in a headless Chromium: drag, wire, fill in, deploy, look. */
import fs from "node:fs";
import path from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Runtime } from "../nodered/runtime";

/** A node as the editor has it. */
export interface EditedNode {
  id: string;
  type: string;
  valid?: boolean;
  changed?: boolean;
  validationErrors?: string[];
  [property: string]: unknown;
}

export class Editor {
  readonly page: Page;
  /** What the page threw or logged as an error. */
  readonly faults: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = page;
    page.on("pageerror", (error) => this.faults.push(String(error)));
    page.on("console", (message) => {
      // Node-RED's own page asks a server on the internet for news, which a test machine does not reach.
      if (message.type() === "error" && !/ERR_(NAME_NOT_RESOLVED|INTERNET_DISCONNECTED)/.test(message.text()))
        this.faults.push(`${message.text()} ${message.location().url}`);
    });
  }

  static async open(
    runtime: Runtime,
    options: { dark?: boolean; login?: { username: string; password: string }; width?: number } = {},
  ): Promise<Editor> {
    const browser = await chromium.launch({
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
    const page = await browser.newPage({ viewport: { width: options.width ?? 1360, height: 860 } });
    const editor = new Editor(browser, page);
    // tsx marks inner functions with a helper of its own, which the page does not have.
    await page.addInitScript({ content: "globalThis.__name = (named) => named" });
    if (options.dark) await page.addInitScript(() => localStorage.setItem("view-dark-theme", "dark"));
    await page.goto(`${runtime.adminUrl}/`);
    if (options.login) {
      await page.fill("#node-dialog-login-username", options.login.username);
      await page.fill("#node-dialog-login-password", options.login.password);
      await page.click("#node-dialog-login-submit");
    }
    await page.waitForSelector("#red-ui-palette .red-ui-palette-node", { timeout: 30_000 });
    await page.waitForFunction(
      "window.RED && RED.workspaces.active() && !document.querySelector('#red-ui-loading-progress:not([style*=none])')",
    );
    return editor;
  }

  /** Drags a node type from the palette to a place on the canvas; answers the new node's id. */
  async drag(type: string, x: number, y: number): Promise<string> {
    const { page } = this;
    const before = new Set((await this.nodes()).map((node) => node.id));
    const source = page.locator(`.red-ui-palette-node[data-palette-type="${type}"]`);
    await source.scrollIntoViewIfNeeded();
    const from = await source.boundingBox();
    const to = await page.locator("#red-ui-workspace-chart").boundingBox();
    if (!from || !to) throw new Error(`no ${type} in the palette`);
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x + x + 10, to.y + y + 10, { steps: 8 });
    await page.mouse.move(to.x + x, to.y + y, { steps: 4 });
    await page.mouse.up();
    await page.waitForFunction(
      (known) => {
        let found = false;
        RED.nodes.eachNode((node) => {
          if (!known.includes(node.id)) found = true;
        });
        return found;
      },
      [...before],
    );
    const added = (await this.nodes()).find((node) => !before.has(node.id));
    await page.mouse.move(to.x + 5, to.y + 5);
    return added?.id ?? "";
  }

  /** Draws a wire from an output to an input with the mouse. */
  async wire(from: string, to: string, output = 0): Promise<void> {
    const { page } = this;
    const start = await page
      .locator(`[id="${from}"] .red-ui-flow-port-output .red-ui-flow-port`)
      .nth(output)
      .boundingBox();
    const end = await page.locator(`[id="${to}"] .red-ui-flow-port-input .red-ui-flow-port`).boundingBox();
    if (!start || !end) throw new Error("no port to wire");
    await page.mouse.move(start.x + start.width / 2, start.y + start.height / 2);
    await page.mouse.down();
    await page.mouse.move((start.x + end.x) / 2, (start.y + end.y) / 2, { steps: 6 });
    await page.mouse.move(end.x + end.width / 2, end.y + end.height / 2, { steps: 6 });
    await page.mouse.up();
    await page.waitForFunction(
      ([a, b]) => RED.nodes.getNodeLinks(a as string, 0).some((link) => link.target.id === b),
      [from, to],
    );
  }

  /** Opens the form of a node; `*-config` nodes as well. */
  async edit(id: string): Promise<void> {
    await this.page.evaluate((node) => {
      const found = RED.nodes.node(node);
      if (found?._def.category === "config") RED.editor.editConfig("", found.type, node);
      else RED.editor.edit(found);
    }, id);
    await this.page.waitForSelector(".red-ui-tray .redclaw-form, .red-ui-tray form", { state: "visible" });
    await this.page.waitForTimeout(400);
  }

  async done(): Promise<void> {
    await this.page.locator("#node-config-dialog-ok, #node-dialog-ok").last().click();
    await this.page.waitForTimeout(500);
  }

  async cancel(): Promise<void> {
    await this.page.locator("#node-config-dialog-cancel, #node-dialog-cancel").last().click();
    await this.page.waitForTimeout(500);
  }

  async deploy(): Promise<void> {
    await this.page.click("#red-ui-header-button-deploy");
    await this.page.waitForFunction(() => !RED.nodes.dirty());
  }

  /** All nodes of the editor, config nodes too, without what JSON cannot hold. */
  async nodes(): Promise<EditedNode[]> {
    return this.page.evaluate(() => {
      const found: EditedNode[] = [];
      const add = (node: EditorSideNode) => {
        const plain: EditedNode = { id: node.id, type: node.type };
        for (const name of [
          "valid",
          "changed",
          "validationErrors",
          ...Object.keys(node._def?.defaults ?? {}),
        ]) {
          plain[name] = node[name];
        }
        found.push(JSON.parse(JSON.stringify(plain)));
      };
      RED.nodes.eachNode(add);
      RED.nodes.eachConfig(add);
      return found;
    });
  }

  async node(id: string): Promise<EditedNode> {
    const found = (await this.nodes()).find((node) => node.id === id);
    if (!found) throw new Error(`no node ${id} in the editor`);
    return found;
  }

  /** What a person reads there. */
  async text(selector: string): Promise<string> {
    // Not textContent: hidden words do not count.
    return this.page.locator(selector).first().innerText();
  }

  async screenshot(name: string): Promise<void> {
    const folder = process.env["REDCLAW_SCREENSHOTS"];
    if (!folder) return;
    fs.mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, `${name}.png`) });
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}

interface EditorSideNode {
  id: string;
  type: string;
  _def?: { category?: string; defaults?: Record<string, unknown> };
  [property: string]: unknown;
}

declare const RED: {
  nodes: {
    eachNode(visit: (node: EditorSideNode) => void): void;
    eachConfig(visit: (node: EditorSideNode) => void): void;
    node(id: string): { type: string; _def: { category?: string } } | null;
    dirty(): boolean;
    getNodeLinks(id: string, portType: number): { target: { id: string } }[];
  };
  editor: { edit(node: unknown): void; editConfig(property: string, type: string, id: string): void };
};
