/** Sentences for the log, each once for as long as it holds. */
import type { Log } from "../define";

export class Sentences {
  readonly #log: Log;
  #holding = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** These hold now: warns of those that did not hold before. */
  say(sentences: readonly string[]): void {
    for (const sentence of sentences) if (!this.#holding.has(sentence)) this.#log.warn(sentence);
    this.#holding = new Set(sentences);
  }
}
