/** What can end a request from outside - the caller's signal, the time limit, `close()` - as one thing. */

/** Makes the error, knowing whether the request had left. */
export type StopReason = (left: boolean) => unknown;

/** Only what we use of AbortSignal: grammY brings a signal of its own, which has no `reason`. */
export type Signal = Pick<AbortSignal, "aborted" | "addEventListener" | "removeEventListener"> & {
  reason?: unknown;
};

/** What can be ended. */
interface Stoppable {
  stop(reason: StopReason): void;
}

interface StopRules {
  signal: Signal | undefined;
  timeoutMs: number;
  /** Makes the error of the time limit. */
  onTime: StopReason;
  /** Makes the error of an abort; without it the reason of the abort is the error, as with `fetch`. */
  onAbort?: (reason: unknown, left: boolean) => unknown;
  /** Called once, when nothing can be stopped any more. */
  onRelease(stop: Stop): void;
}

export class Stop {
  /** Where it stands among the running ones; theirs to set. */
  place = 0;
  readonly #rules: StopRules;
  readonly #timer: NodeJS.Timeout;
  #onAbort: (() => void) | undefined;
  #stopped: StopReason | undefined;
  #released = false;
  #running: Stoppable | undefined;

  constructor(rules: StopRules) {
    this.#rules = rules;
    const { signal, timeoutMs } = rules;
    this.#timer = setTimeout(stopInTime, timeoutMs, this, rules.onTime);
    if (!signal) return;
    const onAbort = (): void => this.stop((left) => this.#abortError(left));
    if (signal.aborted) onAbort();
    else {
      this.#onAbort = onAbort;
      signal.addEventListener("abort", onAbort);
    }
  }

  /** What is to be ended. Replaces the one before (each redirect is a request of its own). */
  attach(running: Stoppable): void {
    this.#running = running;
    if (this.#stopped) running.stop(this.#stopped);
  }

  stop(reason: StopReason): void {
    if (this.#stopped) return;
    this.#stopped = reason;
    this.#running?.stop(reason);
  }

  /** The answer is complete: no timer and no listener stays. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    clearTimeout(this.#timer);
    if (this.#onAbort) this.#rules.signal?.removeEventListener("abort", this.#onAbort);
    this.#rules.onRelease(this);
  }

  #abortError(left: boolean): unknown {
    const { signal, onAbort } = this.#rules;
    const reason = signal?.reason ?? new DOMException("The request was aborted.", "AbortError");
    return onAbort ? onAbort(reason, left) : reason;
  }
}

function stopInTime(stop: Stop, onTime: StopReason): void {
  stop.stop(onTime);
}
