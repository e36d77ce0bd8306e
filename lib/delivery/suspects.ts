/**
 * Suspects: an event that was there at several crashes goes out alone for a moment, so that the next crash tells who
 * it is.
 */
import type { WaitingEvent } from "./waiting";

/** Crashes. */
const SUSPECT_FROM = 3;
const ALONE_MS = 1000;

export class Suspects {
  /** The event that is out alone. */
  #alone?: { id: string; timer: NodeJS.Timeout };
  readonly #through: () => void;

  /** @param through the one that was out alone is through: others may go */
  constructor(through: () => void) {
    this.#through = through;
  }

  /** True while one is out alone. */
  get isOut(): boolean {
    return this.#alone !== undefined;
  }

  /** A suspect waits while another one is out; else it is the one from now on. */
  mayGo({ id, marks }: WaitingEvent): boolean {
    if ((marks.c ?? 0) < SUSPECT_FROM) return true;
    if (this.#alone) return false;
    const timer = setTimeout(() => this.isThrough(id), ALONE_MS);
    timer.unref();
    this.#alone = { id, timer };
    return true;
  }

  isThrough(id: string): void {
    if (this.#alone?.id !== id) return;
    clearTimeout(this.#alone.timer);
    this.#alone = undefined;
    this.#through();
  }

  close(): void {
    clearTimeout(this.#alone?.timer);
  }
}
