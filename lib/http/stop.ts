/** What can end a request from outside - the caller's signal, the time limit, `close()` - as one thing. */

/** Makes the error, knowing whether the request had left. */
export type StopReason = (left: boolean) => unknown;

/** Only what we use of AbortSignal: grammY brings a signal of its own, which has no `reason`. */
export type Signal = Pick<AbortSignal, "aborted" | "addEventListener" | "removeEventListener"> & {
  reason?: unknown;
};

export class Stop {
  readonly #signal: Signal | undefined;
  readonly #onAbort = (): void => this.stop(() => abortReason(this.#signal));
  readonly #timer: NodeJS.Timeout;
  readonly #onRelease: (stop: Stop) => void;
  #stopped: StopReason | undefined;
  #released = false;
  #end: ((reason: StopReason) => void) | undefined;

  /** `onTime` makes the error of the time limit. `onRelease` is called once, when nothing can be stopped any more. */
  constructor(
    signal: Signal | undefined,
    timeoutMs: number,
    onTime: StopReason,
    onRelease: (stop: Stop) => void,
  ) {
    this.#signal = signal;
    this.#onRelease = onRelease;
    this.#timer = setTimeout(() => this.stop(onTime), timeoutMs);
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) this.#onAbort();
  }

  /** What is to be ended. Replaces the one before (each redirect is a request of its own). */
  attach(end: (reason: StopReason) => void): void {
    this.#end = end;
    if (this.#stopped) end(this.#stopped);
  }

  stop(reason: StopReason): void {
    if (this.#stopped) return;
    this.#stopped = reason;
    this.#end?.(reason);
  }

  /** The answer is complete: no timer and no listener stays. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#onRelease(this);
  }
}

function abortReason(signal: Signal | undefined): unknown {
  return signal?.reason ?? new DOMException("The request was aborted.", "AbortError");
}
