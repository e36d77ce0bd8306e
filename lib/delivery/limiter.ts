/** The platform's speed limits as token buckets: a wait is computed before a request, never a request dropped. */
import { RedclawError } from "../errors";

export interface Limits {
  perChat?: string;
  perAccount?: string;
  /** All accounts of the channel in this Node-RED together. */
  global?: string;
}

interface Bucket {
  tokens: number;
  at: number;
}

interface ParsedRate {
  count: number;
  /** Milliseconds between two tokens. */
  every: number;
}

const PERIODS: Record<string, number> = { s: 1000, min: 60_000, h: 3_600_000 };
/** Chats whose bucket is full again are forgotten beyond this number. */
const BUCKETS_KEPT = 10_000;

/** `"30/s"` -> 30 tokens, one each 33 ms. Throws RedclawError `bad-limit`. */
export function parseRate(rate: string): ParsedRate {
  const match = /^\s*(\d+(?:\.\d+)?)\s*\/\s*(s|min|h)\s*$/.exec(rate);
  const count = match ? Number(match[1]) : 0;
  if (!match || !(count > 0)) {
    throw new RedclawError(
      "bad-limit",
      `The limit "${rate}" cannot be read. Write it like 1/s, 20/min or 30/s.`,
    );
  }
  const period = PERIODS[match[2] as string] as number;
  return { count: Math.max(1, count), every: period / count };
}

/** A bucket that several accounts of one channel share. */
export class SharedRate {
  readonly rate: string;
  readonly #rate: ParsedRate;
  readonly #bucket: Bucket = { tokens: Number.NaN, at: 0 };

  constructor(rate: string) {
    this.rate = rate;
    this.#rate = parseRate(rate);
  }

  wait(now: number): number {
    return waitFor(this.#bucket, this.#rate, now);
  }

  take(): void {
    this.#bucket.tokens -= 1;
  }
}

/** One per account. Times are milliseconds of a clock that nobody sets (`performance.now()`). */
export class Limiter {
  readonly #perChat?: ParsedRate;
  readonly #perAccount?: ParsedRate;
  readonly #shared?: SharedRate;
  readonly #chats = new Map<string, Bucket>();
  readonly #account: Bucket = { tokens: Number.NaN, at: 0 };
  /** Platform said "slow down" until then, by chat. */
  readonly #paused = new Map<string, number>();
  /** The same for the whole account. */
  #allPaused = 0;

  constructor(limits: Limits, shared?: SharedRate) {
    if (limits.perChat) this.#perChat = parseRate(limits.perChat);
    if (limits.perAccount) this.#perAccount = parseRate(limits.perAccount);
    this.#shared = shared;
  }

  /** Milliseconds until a request to anybody may leave. */
  wait(now = performance.now()): number {
    return Math.max(
      this.#allPaused - now,
      this.#perAccount ? waitFor(this.#account, this.#perAccount, now) : 0,
      this.#shared ? this.#shared.wait(now) : 0,
      0,
    );
  }

  /** Milliseconds that the platform wants us to leave `chat` alone. */
  pausedMs(chat: string, now = performance.now()): number {
    return Math.max(this.#allPaused - now, (this.#paused.get(chat) ?? 0) - now, 0);
  }

  /** Milliseconds until a request to `chat` may leave; a token is taken when the answer is 0. */
  take(chat: string, now = performance.now()): number {
    const paused = this.#paused.size > 0 ? (this.#paused.get(chat) ?? 0) - now : 0;
    const bucket = this.#perChat && this.#bucket(chat);
    const wait = Math.max(
      paused,
      bucket && this.#perChat ? waitFor(bucket, this.#perChat, now) : 0,
      this.wait(now),
    );
    if (wait > 0) return wait;
    if (bucket) bucket.tokens -= 1;
    if (this.#perAccount) this.#account.tokens -= 1;
    this.#shared?.take();
    return 0;
  }

  /** The platform asked to wait: nothing goes to `chat` (or, without one, anywhere) before it is over. */
  pause(forMs: number, chat?: string, now = performance.now()): void {
    if (chat === undefined) {
      this.#allPaused = Math.max(this.#allPaused, now + forMs);
      return;
    }
    this.#paused.set(chat, Math.max(this.#paused.get(chat) ?? 0, now + forMs));
    if (this.#paused.size > BUCKETS_KEPT) {
      for (const [key, until] of this.#paused) if (until <= now) this.#paused.delete(key);
    }
  }

  #bucket(chat: string): Bucket {
    let bucket = this.#chats.get(chat);
    if (!bucket) {
      if (this.#chats.size >= BUCKETS_KEPT) this.#forgetFull();
      bucket = { tokens: Number.NaN, at: 0 };
      this.#chats.set(chat, bucket);
    }
    return bucket;
  }

  /** Forgets the chats whose bucket is full again; all of them when that is none. */
  #forgetFull(now = performance.now()): void {
    const rate = this.#perChat as ParsedRate;
    for (const [chat, bucket] of this.#chats)
      if (waitFor(bucket, rate, now) === 0 && bucket.tokens >= rate.count) this.#chats.delete(chat);
    if (this.#chats.size >= BUCKETS_KEPT) this.#chats.delete(this.#chats.keys().next().value as string);
  }
}

function waitFor(bucket: Bucket, rate: ParsedRate, now: number): number {
  const refilled = bucket.tokens + Math.max(0, now - bucket.at) / rate.every;
  bucket.tokens = Number.isNaN(refilled) ? rate.count : Math.min(rate.count, refilled);
  bucket.at = now;
  return bucket.tokens >= 1 ? 0 : Math.ceil((1 - bucket.tokens) * rate.every);
}
