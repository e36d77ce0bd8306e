/** Who watches the counts of an account (sent, waiting, held); told a few times a second at most. */

/** Counts change faster than anybody can read. */
const TELL_EVERY_MS = 200;

export class CountWatchers {
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #changed = new Set<string>();
  #timer?: NodeJS.Timeout;

  /** Answers the way to stop. */
  watch(account: string, watcher: () => void): () => void {
    const watchers = this.#watchers.get(account) ?? new Set();
    this.#watchers.set(account, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(account);
    };
  }

  changed(account: string): void {
    if (!this.#watchers.has(account)) return;
    this.#changed.add(account);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const id of this.#changed) for (const watcher of this.#watchers.get(id) ?? []) watcher();
      this.#changed.clear();
    }, TELL_EVERY_MS).unref();
  }

  allChanged(): void {
    for (const account of this.#watchers.keys()) this.changed(account);
  }

  /** Nobody is told until something changes again. */
  rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
