/** How fast somebody may do something: a token bucket per name, with a bounded number of names. */
const NAMES_MAX = 10_000;

export class Rates {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  /** `perMinute` in the long run, up to `burst` at once. */
  constructor(perMinute: number, burst: number) {
    this.#perSecond = perMinute / 60;
    this.#burst = burst;
  }

  /** Takes one. Answers 0 when it was granted, else the whole seconds until it would be. */
  take(name: string, now = Date.now()): number {
    const known = this.#buckets.get(name);
    const elapsed = known ? Math.max(0, now - known.at) / 1000 : 0;
    const tokens = known ? Math.min(this.#burst, known.tokens + elapsed * this.#perSecond) : this.#burst;
    this.#buckets.delete(name); // put back at the end: the front is the longest unused
    this.#buckets.set(name, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > NAMES_MAX) this.#buckets.delete(this.#buckets.keys().next().value as string);
    return tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / this.#perSecond));
  }
}
