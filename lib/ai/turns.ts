/** One turn at a time in a conversation, in the order they came; different conversations side by side. */
import { RedclawError } from "../errors";

export interface TurnOptions {
  /** Aborted when the node closes: waiting turns are dropped, the running one is told. */
  signal?: AbortSignal;
  /** The turn leaves the queue and starts. */
  onStart?: () => void;
}

export class Turns {
  /** The end of the last turn in line. A conversation with nothing to do has no entry. */
  readonly #last = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, number>();
  readonly #mostWaiting: number;

  /** `mostWaiting`: turns that may wait in one conversation; further ones are refused with a sentence. */
  constructor(mostWaiting = 20) {
    this.#mostWaiting = mostWaiting;
  }

  /** Conversations with a running or waiting turn. */
  get size(): number {
    return this.#last.size;
  }

  /** Runs `work` when the turns before it in the same conversation are over, however they ended. */
  async run<T>(conversation: string, work: () => Promise<T>, options: TurnOptions = {}): Promise<T> {
    const { signal, onStart } = options;
    signal?.throwIfAborted();
    const before = this.#last.get(conversation);
    if (before && (this.#waiting.get(conversation) ?? 0) >= this.#mostWaiting) {
      throw new RedclawError(
        "too-many-waiting",
        `${this.#mostWaiting} messages of this chat are already waiting for an answer. This one was not taken; wait for the answers.`,
      );
    }
    let over = () => {};
    const end = new Promise<void>((resolve) => {
      over = resolve;
    });
    // Even when this turn gives up while waiting, the next one waits for those before it.
    const line = Promise.all([before, end]).then(() => {});
    this.#last.set(conversation, line);
    try {
      if (before) await this.#wait(conversation, before, signal);
      onStart?.();
      return await work();
    } finally {
      over();
      line.then(() => {
        if (this.#last.get(conversation) === line) this.#last.delete(conversation);
      });
    }
  }

  async #wait(conversation: string, before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const count = (by: number) => {
      const left = (this.#waiting.get(conversation) ?? 0) + by;
      if (left > 0) this.#waiting.set(conversation, left);
      else this.#waiting.delete(conversation);
    };
    count(1);
    let stop = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal?.reason);
    });
    signal?.addEventListener("abort", stop, { once: true });
    try {
      await Promise.race([before, aborted]);
    } finally {
      signal?.removeEventListener("abort", stop);
      count(-1);
    }
  }
}
