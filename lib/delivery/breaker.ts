/**
 * The circuit breaker of an account: when the platform fails several times in a row nothing more is sent for a while;
 * then one message tries, and only its success lets the others follow.
 */
import { backoff } from "./retry";

const FAILURES_MAX = 5;
const SHORTEST_MS = 1000;
const FIRST_MS = 1000;
const LONGEST_MS = 60_000;

export class Breaker {
  #failures = 0;
  #openings = 0;
  /** Milliseconds of performance.now(). */
  #openUntil = 0;
  #probing = false;

  /** True from the moment it opened until a message got through. */
  get open(): boolean {
    return this.#openings > 0;
  }

  /** Milliseconds until a message may leave: 0 now, Infinity while another one tries. */
  waitMs(now = performance.now()): number {
    if (!this.open) return 0;
    if (now < this.#openUntil) return this.#openUntil - now;
    return this.#probing ? Number.POSITIVE_INFINITY : 0;
  }

  /** A message leaves. */
  leaves(): void {
    if (this.open) this.#probing = true;
  }

  /** It neither got through nor failed by the platform's fault. */
  undecided(): void {
    this.#probing = false;
  }

  /** The platform answered. True when the breaker was open and is closed by it. */
  succeeded(): boolean {
    const was = this.open;
    this.#failures = 0;
    this.#openings = 0;
    this.#probing = false;
    return was;
  }

  /** The platform failed. True when this opens the breaker (and not only keeps it open). */
  failed(now = performance.now()): boolean {
    this.#failures += 1;
    const wasProbe = this.#probing;
    this.#probing = false;
    if (this.open && !wasProbe) return false;
    if (!this.open && this.#failures < FAILURES_MAX) return false;
    this.#openings += 1;
    this.#openUntil = now + SHORTEST_MS + backoff(this.#openings, FIRST_MS, LONGEST_MS);
    return this.#openings === 1;
  }
}
