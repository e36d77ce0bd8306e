/** One more try of what may succeed a little later, within a time limit that the caller sets by the signal. */
import { ModelError } from "./errors";

export interface RetryOptions {
  /** Further tries after the first. */
  retries: number;
  /** Milliseconds since some moment, monotonic, by which everything must be over. */
  deadline: number;
  now: () => number;
  signal: AbortSignal;
  onRetry?: (error: ModelError, waitMs: number) => void;
}

const FIRST_WAIT_MS = 500;

/** Runs `work`; a retryable ModelError is waited out. Gives up at once when the wait would not fit. */
export async function withRetry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ModelError) || !error.retryable || tried >= options.retries) throw error;
      // Jitter: a thousand conversations must not come back in the same millisecond.
      const waitMs = error.retryAfterMs ?? FIRST_WAIT_MS * 2 ** tried * (0.5 + Math.random() / 2);
      if (options.now() + waitMs >= options.deadline) throw error;
      options.onRetry?.(error, waitMs);
      await pause(waitMs, options.signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
