/** Counts wrong signatures by source, so that somebody who guesses is told to wait. */

const FAILURES_MAX = 20;
const WITHIN_MS = 60_000;
const SOURCES_KEPT = 10_000;

/**
 * It only chooses the answer to a request whose signature was already found wrong, and never stands before the check:
 * behind a proxy or a tunnel a stranger and the platform have the same source, and whoever knocks 20 times a minute
 * would lock the platform out. The check costs microseconds; a secret is long enough to withstand guessing.
 */
export class Failures {
  readonly #sources = new Map<string, { count: number; since: number }>();

  /** Counts a failure; answers the seconds that this source should wait, 0 while it may still err. */
  add(source: string, now = performance.now()): number {
    const known = this.#sources.get(source);
    const failure = known && now - known.since < WITHIN_MS ? known : { count: 0, since: now };
    failure.count += 1;
    this.#sources.delete(source);
    this.#sources.set(source, failure);
    // The source that was quiet longest is forgotten.
    if (this.#sources.size > SOURCES_KEPT) this.#sources.delete(this.#sources.keys().next().value as string);
    return failure.count > FAILURES_MAX ? Math.ceil((failure.since + WITHIN_MS - now) / 1000) : 0;
  }
}
