/** The account's pages: which address does what, and who may. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { asError } from "../../../lib/errors";
import type { Assets } from "./assets";
import type { Doors } from "./doors";
import { serveFile, takeUpload } from "./downloads";
import type { Files } from "./files";
import type { Conversations } from "./history";
import { type Intake, MESSAGE_MAX, tooLong } from "./intake";
import { header } from "./origins";
import { viewOf } from "./render";
import { answerJson, answerRefusal, originalUrl, queryOf, Refusal, readJson } from "./requests";
import { line, type Streams } from "./streams";

/** What the page is told when it opens. `greeting` is HTML made from markdown. */
export interface Welcome {
  title: string;
  greeting: string;
  suggestions: string[];
}

export interface SiteParts {
  doors: Doors;
  assets: Assets;
  conversations: Conversations;
  streams: Streams;
  files: Files;
  intake: Intake;
  welcome: () => Welcome;
  warn: (text: string) => void;
}

type Answer = (request: IncomingMessage, response: ServerResponse, rest: string) => Promise<void>;

export class Site {
  readonly #parts: SiteParts;
  readonly #routes: Record<string, Answer>;
  #closed = false;

  constructor(parts: SiteParts) {
    this.#parts = parts;
    this.#routes = {
      "GET /": (request, response) => this.#page(request, response),
      "GET /events": (request, response) => this.#events(request, response),
      "GET /files/": (_request, response, id) => serveFile(parts.files, _request, response, id),
      "POST /messages": (request, response) => this.#message(request, response),
      "POST /files": (request, response) => this.#upload(request, response),
      "POST /access": (request, response) => this.#access(request, response),
    };
  }

  /** Answers a request; `path` is what follows the account's address. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    response.on("error", () => response.destroy());
    const place = path.split("?", 1)[0] || "/";
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
    try {
      if (this.#closed)
        throw new Refusal(503, "closing", "The chat is restarting. It goes on in a moment.", 2);
      this.#parts.doors.greetForeignSite(request, response);
      if (method === "OPTIONS") {
        response.writeHead(204).end();
        return;
      }
      const asset =
        method === "GET" && place !== "/page.html" ? this.#parts.assets.get(place.slice(1)) : undefined;
      if (asset) return await this.#asset(request, response, asset);
      const [, folder, rest = ""] = /^(\/files\/)(.+)$/.exec(place) ?? [];
      const answer = this.#routes[`${method} ${folder ?? place}`];
      if (!answer) throw new Refusal(404, "not-found", "There is nothing at this address.");
      await answer(request, response, rest);
    } catch (error) {
      if (!(error instanceof Refusal))
        this.#parts.warn(`The chat page met a problem: ${asError(error).message}`);
      const refusal =
        error instanceof Refusal ? error : new Refusal(503, "trouble", "The chat has a problem just now.", 5);
      answerRefusal(request, response, refusal);
    }
  }

  async #page(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [address = "", query] = originalUrl(request).split("?", 2);
    if (!address.endsWith("/")) {
      // Relative, so that it is right below any prefix that a proxy puts in front.
      const last = address.split("/").at(-1) as string;
      response.writeHead(302, { Location: `./${last}/${query ? `?${query}` : ""}` }).end();
      return;
    }
    const { doors, assets } = this.#parts;
    const embedded = queryOf(request).has("embed");
    const code = queryOf(request).get("token");
    if (code !== null && !embedded && doors.isPrivate) {
      // A code in the address would stay in histories and logs: it becomes a cookie, and the address is cleaned.
      doors.tryCode(request, response, code);
      response.writeHead(302, { Location: "./", "Referrer-Policy": "no-referrer" }).end();
      return;
    }
    if (!embedded) doors.welcome(request, response);
    const { body, type } = await (assets.get("page.html") as NonNullable<ReturnType<Assets["get"]>>);
    response.writeHead(200, {
      "Content-Type": type,
      "Cache-Control": "no-store",
      "Content-Security-Policy": doors.contentPolicy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "same-origin",
      "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async #asset(
    request: IncomingMessage,
    response: ServerResponse,
    asset: NonNullable<ReturnType<Assets["get"]>>,
  ): Promise<void> {
    const { body, type } = await asset;
    response.writeHead(200, {
      "Content-Type": type,
      "Cache-Control": queryOf(request).has("v")
        ? "public, max-age=31536000, immutable"
        : "public, max-age=300",
      "X-Content-Type-Options": "nosniff",
      // The widget is made for other sites.
      "Cross-Origin-Resource-Policy": "cross-origin",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async #events(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { doors, conversations, streams, welcome } = this.#parts;
    doors.checkSite(request);
    doors.checkAccess(request);
    if (streams.full) throw new Refusal(503, "full", "Too many people are here right now.", 20);
    const { visitor, pass } = doors.visitorOrNew(request, response);
    const after = Number(header(request, "last-event-id") ?? queryOf(request).get("after") ?? 0);
    const conversation = await conversations.of(visitor);
    if (this.#closed || response.destroyed) return void response.destroy();
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-cache, no-transform",
      "X-Accel-Buffering": "no",
      "X-Content-Type-Options": "nosniff",
      Connection: "keep-alive",
    });
    if (request.method === "HEAD") return void response.end();
    response.socket?.setNoDelay(true);
    // From here on nothing waits: what is said now is either in the replay or told to the stream.
    let text = `retry: 2000\n\n${line("hello", { visitor, ...(pass ? { pass } : {}), ...welcome() })}`;
    for (const entry of conversation.since(Number.isFinite(after) ? after : 0))
      text += line("message", viewOf(entry), entry.rev);
    response.write(text + line("ready", {}));
    streams.add(visitor, response);
  }

  async #message(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { doors, intake } = this.#parts;
    const visitor = doors.checkPost(request);
    doors.checkPace(request, visitor, "message");
    const body = await readJson(request, MESSAGE_MAX, tooLong);
    const taken = await intake.take(visitor, body, localeOf(request));
    answerJson(response, 202, taken);
  }

  async #upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { doors, files } = this.#parts;
    const visitor = doors.checkPost(request);
    doors.checkPace(request, visitor, "file");
    answerJson(response, 201, await takeUpload(files, request, visitor));
  }

  async #access(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { doors } = this.#parts;
    doors.checkSite(request);
    doors.checkPage(request);
    const wrong = () => new Refusal(401, "wrong-code", "This access code is not right.");
    const { token } = await readJson(request, 4096, wrong);
    if (typeof token !== "string") throw wrong();
    const proof = doors.tryCode(request, response, token);
    if (!proof) throw wrong();
    // Only a page without cookies keeps the proof itself.
    answerJson(response, 200, header(request, "x-redclaw-visitor") === undefined ? {} : { access: proof });
  }

  close(): void {
    this.#closed = true;
  }
}

function localeOf(request: IncomingMessage): string | undefined {
  return /^\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3})\s*(?:[,;]|$)/.exec(
    header(request, "accept-language") ?? "",
  )?.[1];
}
