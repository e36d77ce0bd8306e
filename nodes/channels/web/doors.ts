/** Who may come in and how fast: site, access code, visitor's pass, pace. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { addressOf, header, isHttps, type Origins } from "./origins";
import { Rates } from "./rates";
import { Refusal } from "./requests";
import { ACCESS_COOKIE, cookieLine, cookieOf, type Passes, same, VISITOR_COOKIE } from "./visitors";

export class Doors {
  readonly #passes: Passes;
  readonly #origins: Origins;
  /** The access code; empty: everybody may come in. */
  readonly #code: string;
  readonly #paces = {
    message: new Rates(20, 10),
    file: new Rates(20, 10),
    address: new Rates(60, 40),
    newcomers: new Rates(6, 30),
    codes: new Rates(6, 8),
    /** Tries of all together: addresses can be had by the thousand, or made up where no proxy stands in front. */
    codesInAll: new Rates(30, 60),
  };

  constructor(passes: Passes, origins: Origins, code: string) {
    this.#passes = passes;
    this.#origins = origins;
    this.#code = code;
  }

  get isPrivate(): boolean {
    return this.#code !== "";
  }

  get contentPolicy(): string {
    return [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data: blob:",
      "media-src 'self' blob:",
      "connect-src 'self'",
      "form-action 'none'",
      "base-uri 'none'",
      `frame-ancestors ${this.#origins.frameAncestors}`,
    ].join("; ");
  }

  /** A page of a listed site may talk to us itself, with a pass in a header and never with cookies. */
  greetForeignSite(request: IncomingMessage, response: ServerResponse): void {
    const origin = header(request, "origin");
    if (!origin || !this.#origins.listed(origin) || this.#origins.isOwn(request, origin)) return;
    response.setHeader("Access-Control-Allow-Origin", origin);
    response.setHeader("Vary", "Origin");
    if (request.method !== "OPTIONS") return;
    response.setHeader("Access-Control-Allow-Methods", "GET, POST");
    response.setHeader(
      "Access-Control-Allow-Headers",
      "Content-Type, Last-Event-ID, X-Redclaw, X-Redclaw-Visitor, X-Redclaw-Access, X-Redclaw-Name, X-Redclaw-Type",
    );
    response.setHeader("Access-Control-Max-Age", "600");
  }

  checkSite(request: IncomingMessage): void {
    if (this.#origins.allows(request)) return;
    const origin = header(request, "origin");
    throw new Refusal(
      403,
      "foreign-site",
      `The site ${origin && origin !== "null" ? origin : "you came from"} may not use this chat. Its owner can add it to "Sites with the widget" of the web account.`,
    );
  }

  /** Another site can make a browser post a form, but not with a header of ours. */
  checkPage(request: IncomingMessage): void {
    if (header(request, "x-redclaw") === undefined) {
      throw new Refusal(
        403,
        "not-our-page",
        "This request does not come from the chat page: the header X-Redclaw is missing.",
      );
    }
  }

  checkAccess(request: IncomingMessage): void {
    if (!this.isPrivate) return;
    const proof = header(request, "x-redclaw-access") ?? cookieOf(request, ACCESS_COOKIE);
    if (!this.#passes.readAccess(proof, this.#code))
      throw new Refusal(401, "access", "This chat asks for an access code first.");
  }

  /** Tries an access code; answers the proof, and leaves it as a cookie, when it is right. */
  tryCode(request: IncomingMessage, response: ServerResponse, code: string): string | undefined {
    const wait = this.#paces.codes.take(addressOf(request)) || this.#paces.codesInAll.take("all");
    if (wait) throw new Refusal(429, "too-fast", "Too many tries. Wait a little before the next one.", wait);
    if (!this.isPrivate || !same(code.trim(), this.#code)) return undefined;
    const proof = this.#passes.issueAccess(this.#code);
    response.appendHeader("Set-Cookie", cookieLine(ACCESS_COOKIE, proof, isHttps(request)));
    return proof;
  }

  /** Gives the page's visitor a cookie when there is none, or an aging one. Too many newcomers get it later. */
  welcome(request: IncomingMessage, response: ServerResponse): void {
    const known = this.#passes.read(cookieOf(request, VISITOR_COOKIE));
    if (known && !known.aging) return;
    if (!known && this.#paces.newcomers.take(addressOf(request))) return;
    const { pass } = this.#passes.issue(known?.id);
    response.appendHeader("Set-Cookie", cookieLine(VISITOR_COOKIE, pass, isHttps(request)));
  }

  /** The visitor who asks, or somebody new. `pass` only for a page that keeps it itself. */
  visitorOrNew(request: IncomingMessage, response: ServerResponse): { visitor: string; pass?: string } {
    const own = header(request, "x-redclaw-visitor");
    const known = this.#passes.read(own ?? cookieOf(request, VISITOR_COOKIE));
    if (known && !(own !== undefined && known.aging)) return { visitor: known.id };
    const wait = known ? 0 : this.#paces.newcomers.take(addressOf(request));
    if (wait)
      throw new Refusal(
        429,
        "too-fast",
        "Too many new visitors come from your address. Wait a little.",
        wait,
      );
    const { visitor, pass } = this.#passes.issue(known?.id);
    if (own !== undefined) return { visitor, pass };
    response.appendHeader("Set-Cookie", cookieLine(VISITOR_COOKIE, pass, isHttps(request)));
    return { visitor };
  }

  /** All that a post of a visitor must pass; answers who it is. */
  checkPost(request: IncomingMessage): string {
    this.checkSite(request);
    this.checkPage(request);
    this.checkAccess(request);
    const known = this.#passes.read(
      header(request, "x-redclaw-visitor") ?? cookieOf(request, VISITOR_COOKIE),
    );
    if (!known) throw new Refusal(401, "no-visitor", "The chat does not know you yet. Open its page first.");
    return known.id;
  }

  checkPace(request: IncomingMessage, visitor: string, what: "message" | "file"): void {
    const wait = this.#paces.address.take(addressOf(request)) || this.#paces[what].take(visitor);
    if (wait) throw new Refusal(429, "too-fast", "That was a bit fast. It is sent in a moment.", wait);
  }
}
