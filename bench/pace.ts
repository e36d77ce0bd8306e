/** When the next message is made: as soon as one is answered (window), or by the clock (rate). */
import type { Order } from "./orders";

/** Longest wait for answers after the load has ended. */
const ANSWERS_WITHIN_MS = 20_000;

export interface Source {
  /** Makes one message; false when there is nobody who may write just now. */
  make(): boolean;
  /** After some messages were made at once. */
  flush(): void;
  /** Messages without an answer. */
  open(): number;
}

export class Pace {
  readonly #order: Order;
  readonly #source: Source;
  readonly #startedAt = performance.now();
  #made = 0;
  #dry = false;
  #timer?: NodeJS.Timeout;
  #finish?: () => void;

  constructor(order: Order, source: Source) {
    this.#order = order;
    this.#source = source;
  }

  /** Resolves when the load is over and everything is answered, or waiting for it is. */
  run(): Promise<void> {
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.#finish?.(), this.#order.forMs + ANSWERS_WITHIN_MS);
      this.#finish = () => {
        clearTimeout(limit);
        clearTimeout(this.#timer);
        this.#finish = undefined;
        resolve();
      };
      this.#make();
      if ("perSecond" in this.#order.pace) this.#tick();
      else this.#timer = setTimeout(() => this.answered(), this.#order.forMs + 1);
    });
  }

  /** An answer came: the next message may go. */
  answered(): void {
    if ("window" in this.#order.pace) this.#make();
    if (this.#isOver() && this.#source.open() === 0) this.#finish?.();
  }

  #isOver(): boolean {
    const { forMs, messages = Number.POSITIVE_INFINITY } = this.#order;
    return this.#dry || this.#made >= messages || performance.now() - this.#startedAt >= forMs;
  }

  #make(): void {
    const { pace } = this.#order;
    const before = this.#made;
    while (!this.#isOver()) {
      const due =
        "window" in pace
          ? this.#source.open() < pace.window
          : this.#made < ((performance.now() - this.#startedAt) / 1000) * pace.perSecond;
      if (!due) break;
      if (!this.#source.make()) {
        this.#dry = this.#source.open() === 0;
        break;
      }
      this.#made += 1;
    }
    if (this.#made > before) this.#source.flush();
  }

  #tick(): void {
    const { pace } = this.#order;
    if (!("perSecond" in pace)) return;
    this.#make();
    const nextAt = this.#startedAt + (this.#made / pace.perSecond) * 1000;
    if (this.#isOver()) this.answered();
    else this.#timer = setTimeout(() => this.#tick(), Math.max(1, nextAt - performance.now()));
  }
}
