/** When to try again: full-jitter backoff, and a sleep that ends with its signal. */

/**
 * Milliseconds before try number `attempt` (1 = first retry): anything up to 1, 2, 4 ... 60 s, so that those who failed
 * together do not come back together; never less than a twentieth of it.
 */
export function backoff(attempt: number, firstMs = 1000, longestMs = 60_000): number {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 16));
  return Math.round(ceiling * Math.max(0.05, Math.random()));
}

/** Resolves after `ms`; rejects with the signal's reason when it is aborted first. No timer stays. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
