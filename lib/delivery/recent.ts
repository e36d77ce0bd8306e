/**
 * Remembers the latest few thousand keys. Two maps of which the older one is thrown away as a whole: taking single keys
 * out of a map all the time costs more than everything else that is done with it.
 */
export class Recent<T> {
  readonly #most: number;
  #now = new Map<string, T>();
  #before = new Map<string, T>();

  /** Keeps at least the latest `most` keys, and at most twice as many. */
  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): T | undefined {
    return this.#now.get(key) ?? this.#before.get(key);
  }

  has(key: string): boolean {
    return this.#now.has(key) || this.#before.has(key);
  }

  set(key: string, value: T): void {
    this.#now.set(key, value);
    if (this.#now.size < this.#most) return;
    this.#before = this.#now;
    this.#now = new Map();
  }
}
