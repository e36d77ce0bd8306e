/** The web channel on a real HTTP server, and a visitor who speaks its protocol. */

import { mkdtempSync, rmSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import type { AccountSettings, Client } from "../../lib/channel/define";
import definition from "../../nodes/channels/web/channel";
import { openWeb, type WebOptions } from "../../nodes/channels/web/client";
import { buildWebPage } from "../../scripts/build-web-page";
import { type TestContext, testContext } from "../channels/context";

/** For this run: the built page, and the files of conversations. */
const folder = mkdtempSync(path.join(os.tmpdir(), "redclaw-test-web-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
export const filesIn = path.join(folder, "files");
let built: Promise<string> | undefined;

/** Folder with the page built from the sources, once per run. */
export function builtPage(): Promise<string> {
  const page = path.join(folder, "page");
  built ??= buildWebPage(page).then(() => page);
  return built;
}

export interface WebSite {
  ctx: TestContext;
  client: Client;
  server: Server;
  port: number;
  /** Address of the page, with a slash at its end. */
  base: string;
  close(): Promise<void>;
}

export interface SiteSettings extends WebOptions {
  settings?: Partial<AccountSettings>;
  kept?: Map<string, string>;
  port?: number;
  /** What stands in front of the account's path on this server. */
  root?: string;
  /** Something between the server and the client, such as a body parser. */
  around?: (handle: RequestListener) => RequestListener;
}

/** Serves one account as the gateway does. */
export async function serveWeb({
  settings,
  kept,
  port = 0,
  root = "",
  around,
  ...options
}: SiteSettings = {}): Promise<WebSite> {
  const ctx = testContext(definition, settings, kept);
  const client = await openWeb(ctx, { pageFolder: await builtPage(), filesIn, ...options });
  const place = `${root}${ctx.path}`;
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "/";
    if (url.startsWith(place)) return void client.handle?.(request, response, url.slice(place.length));
    response.writeHead(404).end();
  };
  const server = createServer(around ? around(handle) : handle);
  await new Promise<void>((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", resolve),
  );
  const { port: listening } = server.address() as AddressInfo;
  return {
    ctx,
    client,
    server,
    port: listening,
    base: `http://127.0.0.1:${listening}${place}/`,
    async close() {
      ctx.abort();
      await client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Heard {
  event: string;
  id?: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the server sent is looked at by tests
  data: any;
}

/** One stream of a visitor. */
export class Listening {
  readonly heard: Heard[] = [];
  comments = 0;
  ended = false;
  readonly #stop = new AbortController();

  static async open(
    address: string,
    headers: Record<string, string> = {},
  ): Promise<{ response: Response; stream: Listening }> {
    const stream = new Listening();
    const response = await fetch(address, { headers, signal: stream.#stop.signal });
    if (response.ok) void stream.#read(response);
    return { response, stream };
  }

  async #read(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        rest += decoder.decode(chunk, { stream: true });
        const blocks = rest.split("\n\n");
        rest = blocks.pop() as string;
        for (const block of blocks) this.#hear(block);
      }
    } catch {
      // stopped, or cut off
    }
    this.ended = true;
  }

  #hear(block: string): void {
    const fields = Object.fromEntries(
      block.split("\n").map((line) => [line.split(": ", 1)[0], line.replace(/^\w*: /, "")]),
    );
    if (block.startsWith(":")) this.comments += 1;
    if (!fields["event"]) return;
    this.heard.push({
      event: fields["event"],
      data: JSON.parse(fields["data"] as string),
      ...(fields["id"] ? { id: Number(fields["id"]) } : {}),
    });
  }

  get messages(): Heard["data"][] {
    return this.heard.filter(({ event }) => event === "message").map(({ data }) => data);
  }

  stop(): void {
    this.#stop.abort();
  }
}

/** A browser's part, without a browser: keeps cookies, posts, listens. */
export class TestVisitor {
  readonly base: string;
  cookie = "";
  headers: Record<string, string> = {};
  readonly streams: Listening[] = [];

  constructor(base: string) {
    this.base = base;
  }

  get known(): Record<string, string> {
    return { "X-Redclaw": "1", ...(this.cookie ? { Cookie: this.cookie } : {}), ...this.headers };
  }

  async arrive(): Promise<Response> {
    const response = await fetch(this.base, { headers: this.known, redirect: "manual" });
    this.keepCookies(response);
    return response;
  }

  keepCookies(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const name = pair.split("=")[0];
      const others = this.cookie.split("; ").filter((other) => other && !other.startsWith(`${name}=`));
      this.cookie = [...others, pair].join("; ");
    }
  }

  async listen(after = 0): Promise<Listening> {
    const { response, stream } = await Listening.open(`${this.base}events?after=${after}`, this.known);
    if (!response.ok) throw new Error(`events: ${response.status} ${await response.text()}`);
    this.keepCookies(response);
    this.streams.push(stream);
    await until(() => stream.heard.some(({ event }) => event === "ready"));
    return stream;
  }

  post(place: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.base + place, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...this.known, ...headers },
      body:
        typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body),
    });
  }

  say(text: string, nonce = `nonce-${Math.random().toString(36).slice(2)}`): Promise<Response> {
    return this.post("messages", { nonce, text });
  }

  upload(data: Uint8Array, name: string, mime = ""): Promise<Response> {
    return this.post("files", data, {
      "Content-Type": "application/octet-stream",
      "X-Redclaw-Name": encodeURIComponent(name),
      "X-Redclaw-Type": mime,
    });
  }

  leave(): void {
    for (const stream of this.streams) stream.stop();
  }
}

export async function until(done: () => boolean, what = done.toString(), withinMs = 4_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!done()) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
