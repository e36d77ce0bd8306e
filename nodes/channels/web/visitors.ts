/**
 * Who is asking: visitors carry a signed pass, so that nobody has to be stored before the first message.
 *
 * The page itself keeps it in an httpOnly cookie. A widget on a foreign site gets no cookie (SameSite=Lax), so it
 * keeps the same pass in its own storage and sends it in a header.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

const DAY_MS = 24 * 3_600_000;
/** As long as the conversation is kept. */
const PASS_DAYS = 30;
/** A pass older than this is issued anew when the page is opened. */
const RENEW_DAYS = 3;
const ACCESS_DAYS = 30;
const VISITOR_ID = /^[A-Za-z0-9_-]{16,32}$/;

export const VISITOR_COOKIE = "redclaw_visitor";
export const ACCESS_COOKIE = "redclaw_access";

export interface Visitor {
  id: string;
  /** True when the pass should be issued anew. */
  aging: boolean;
}

/** Issues and checks the passes of one account. `secret` never leaves the server. */
export class Passes {
  readonly #secret: string;
  readonly #account: string;

  constructor(secret: string, account: string) {
    this.#secret = secret;
    this.#account = account;
  }

  /** A pass for a visitor: a known one, or somebody new. */
  issue(
    visitor = randomBytes(16).toString("base64url"),
    now = Date.now(),
  ): { visitor: string; pass: string } {
    const issued = now.toString(36);
    return { visitor, pass: `v1.${visitor}.${issued}.${this.#sign("visitor", visitor, issued)}` };
  }

  /** The visitor of a pass; undefined when it is forged, damaged, of another account, or too old. */
  read(pass: string | undefined, now = Date.now()): Visitor | undefined {
    const [version, id = "", issued = "", signature = "", more] = (pass ?? "").split(".");
    if (version !== "v1" || more !== undefined || !VISITOR_ID.test(id)) return undefined;
    if (!sameSignature(signature, this.#sign("visitor", id, issued))) return undefined;
    const age = now - Number.parseInt(issued, 36);
    if (!(age <= PASS_DAYS * DAY_MS)) return undefined;
    return { id, aging: age > RENEW_DAYS * DAY_MS };
  }

  /** Proof that somebody knew the access code. A new code makes all proofs void. */
  issueAccess(code: string, now = Date.now()): string {
    const until = (now + ACCESS_DAYS * DAY_MS).toString(36);
    return `v1.${until}.${this.#sign("access", until, code)}`;
  }

  readAccess(proof: string | undefined, code: string, now = Date.now()): boolean {
    const [version, until = "", signature = "", more] = (proof ?? "").split(".");
    if (version !== "v1" || more !== undefined) return false;
    return sameSignature(signature, this.#sign("access", until, code)) && Number.parseInt(until, 36) > now;
  }

  #sign(...parts: string[]): string {
    // JSON keeps the parts apart, whatever is in them.
    return createHmac("sha256", this.#secret)
      .update(JSON.stringify([this.#account, ...parts]))
      .digest("base64url");
  }
}

/** Compares without telling by its time where the difference is, nor how long the secret is. */
export function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** The same for two of our signatures, whose length is no secret. */
function sameSignature(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

export function isVisitorId(id: string): boolean {
  return VISITOR_ID.test(id);
}

/** Name to show where no better one is known. */
export function visitorName(id: string): string {
  return `Visitor ${id
    .replace(/[^A-Za-z0-9]/g, "")
    .slice(0, 4)
    .toUpperCase()}`;
}

/** Value of a cookie. Two cookies of one name: the first, as browsers put the closest path first. */
export function cookieOf(request: IncomingMessage, name: string): string | undefined {
  for (const part of (request.headers.cookie ?? "").split(";")) {
    const [key, value] = part.split("=", 2);
    if (key?.trim() === name) return value?.trim();
  }
  return undefined;
}

/**
 * A Set-Cookie line. It has no Path on purpose: the browser then takes the folder of the address it asked, which is
 * this account's address as seen from outside, whatever prefix a proxy has put in front.
 */
export function cookieLine(name: string, value: string, secure: boolean): string {
  const days = name === ACCESS_COOKIE ? ACCESS_DAYS : PASS_DAYS;
  return `${name}=${value}; Max-Age=${days * 86_400}; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`;
}
