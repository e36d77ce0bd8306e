/** What can end a request from outside - the caller's signal, the time limit, `close()` - as one thing. */
import { type Place, Running } from "./running";

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
  /** All requests of the client. */
  running: Running;
  /** Makes the error of the time limit. */
  onTime: StopReason;
  /** Makes the error of an abort; without it the reason of the abort is the error, as with `fetch`. */
  onAbort?: (reason: unknown, left: boolean) => unknown;
}

export class Stop {
  readonly #rules: StopRules;
  readonly #timer: NodeJS.Timeout;
  readonly #place: Place;
  readonly #watch: { place: Place; watch: Watch } | undefined;
  #stopped: StopReason | undefined;
  #released = false;
  #talk: Stoppable | undefined;

  constructor(rules: StopRules) {
    this.#rules = rules;
    const { signal, timeoutMs, running } = rules;
    this.#place = running.add(this);
    this.#timer = setTimeout(stopInTime, timeoutMs, this, rules.onTime);
    if (signal?.aborted) this.abort();
    else if (signal) {
      const watch = watchOf(signal);
      this.#watch = { watch, place: watch.running.add(this) };
    }
  }

  /** What is to be ended. Replaces the one before (each redirect is a request of its own). */
  attach(talk: Stoppable): void {
    this.#talk = talk;
    if (this.#stopped) talk.stop(this.#stopped);
  }

  stop(reason: StopReason): void {
    if (this.#stopped) return;
    this.#stopped = reason;
    this.#talk?.stop(reason);
  }

  /** The caller's signal was aborted. */
  abort(): void {
    const { signal, onAbort } = this.#rules;
    const reason = signal?.reason ?? new DOMException("The request was aborted.", "AbortError");
    this.stop((left) => (onAbort ? onAbort(reason, left) : reason));
  }

  /** The answer is complete: no timer and no listener stays. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    clearTimeout(this.#timer);
    this.#rules.running.delete(this.#place);
    this.#watch?.watch.running.delete(this.#watch.place);
    if (this.#watch?.watch.running.isEmpty) this.#watch.watch.end();
  }
}

function stopInTime(stop: Stop, onTime: StopReason): void {
  stop.stop(onTime);
}

/** The one listener on a signal, while there are requests that it can end. */
interface Watch {
  running: Running;
  end(): void;
}

const watches = new WeakMap<Signal, Watch>();

function watchOf(signal: Signal): Watch {
  const known = watches.get(signal);
  if (known) return known;
  const running = new Running();
  const onAbort = (): void => {
    for (const stop of running.all) stop.abort();
  };
  const watch: Watch = {
    running,
    end() {
      signal.removeEventListener("abort", onAbort);
      watches.delete(signal);
    },
  };
  signal.addEventListener("abort", onAbort);
  watches.set(signal, watch);
  return watch;
}
