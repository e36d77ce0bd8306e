/**
 * Who is next, fairly: those who have just come are served first, three for each one who was served and has more. So
 * a chat with a thousand messages does not keep a new one waiting, and many new ones do not starve it.
 */
import { Fifo } from "./fifo";

const NEW_IN_A_ROW = 3;

export class Rounds<T> {
  readonly #fresh = new Fifo<T>();
  readonly #more = new Fifo<T>();
  #inRow = 0;

  /** Comes with its first piece of work. */
  enter(one: T): void {
    this.#fresh.push(one);
  }

  /** Was served, and has more. */
  again(one: T): void {
    this.#more.push(one);
  }

  /** Was taken and could not be served: it does not lose its place. */
  giveBack(one: T): void {
    this.#fresh.unshift(one);
  }

  next(): T | undefined {
    if (this.#fresh.size > 0 && (this.#inRow < NEW_IN_A_ROW || this.#more.size === 0)) {
      this.#inRow += 1;
      return this.#fresh.shift();
    }
    this.#inRow = 0;
    return this.#more.shift();
  }
}
