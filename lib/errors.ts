/**
 * Errors that a person reads. Each has a stable `code` (what Catch nodes and tests look at), a sentence that says
 * what happened and the next step, and never a secret (`redact` in `lib/http/redact.ts` is applied at the edge).
 */
export class RedclawError extends Error {
  /** Stable, kebab-case, for example `no-chat`. */
  readonly code: string;
  constructor(code: string, sentence: string, options?: { cause?: unknown }) {
    super(sentence, options);
    this.name = "RedclawError";
    this.code = code;
  }
  /** Node-RED shows an error by this, to people: the sentence alone, without the name of a class. */
  override toString(): string {
    return this.message;
  }
}

/** Why a platform call did not succeed; decides what delivery does next. */
export type Fault =
  /** The credential is wrong or revoked: stop the account, keep the queue. */
  | "auth"
  /** Too fast: wait `retryAfterMs`, then go on. */
  | "rate"
  /** Another copy of this bot is receiving. */
  | "conflict"
  /** The request never left (DNS, connection refused): safe to try again. */
  | "unreachable"
  /** The request may have arrived (cut off, timed out, 5xx after the body): ambiguous. */
  | "interrupted"
  /** The platform is there but could not serve; nothing was done (for example 502 before processing, 503). */
  | "unavailable"
  /** The platform could not read our formatting: send it again as plain text. */
  | "formatting"
  /** The chat is gone, or the bot was blocked or removed. */
  | "gone"
  /** The platform said no for a reason of the request's own: trying again does not help. */
  | "refused";

/** A failed call to a platform (or to a model server). */
export class ChannelError extends RedclawError {
  readonly fault: Fault;
  /** Milliseconds to wait, when the platform says so. */
  readonly retryAfterMs?: number;
  /** Whom a `rate` fault slows down: this chat (default) or the whole account. */
  readonly scope: "chat" | "account";
  constructor(
    fault: Fault,
    sentence: string,
    options?: { code?: string; retryAfterMs?: number; scope?: "chat" | "account"; cause?: unknown },
  ) {
    super(options?.code ?? `channel-${fault}`, sentence, { cause: options?.cause });
    this.name = "ChannelError";
    this.fault = fault;
    this.retryAfterMs = options?.retryAfterMs;
    this.scope = options?.scope ?? "chat";
  }
  /** True when the same request may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return ["rate", "unreachable", "unavailable", "conflict"].includes(this.fault);
  }
}

/** Any thrown value as an Error with a sentence. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
