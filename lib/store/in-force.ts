/** The store in force: opened when it is first needed; another choice takes over what the one before held. */
import type { Log } from "../channel/define";
import { asError } from "../errors";
import { carryOver } from "./carry";
import { openStore, type StoreChoice } from "./open";
import type { Row, Store } from "./store";

export interface InForceOptions {
  log: Log;
  /** Accounts whose memory belongs to what is taken over. */
  accounts(): Iterable<string>;
  /** True while the response with this key is on its way: its end is written into the store where it began. */
  isOnItsWay(key: string): boolean;
  /** Resolves when what is on its way now has ended. */
  idle(): Promise<void>;
  /** See `SqliteStoreOptions`. */
  expectMore(): boolean;
  /** The store that was in force is so no longer. */
  changed(): void;
}

export class StoreInForce {
  readonly #o: InForceOptions;
  #choice: Pick<StoreChoice, "kind" | "path"> = { kind: "memory" };
  #store?: Promise<Store>;

  constructor(options: InForceOptions) {
    this.#o = options;
  }

  /** Rejects as `openStore` does; the next call tries again. */
  get(): Promise<Store> {
    this.#store ??= this.#open();
    return this.#store;
  }

  /** Another store takes over at once; the old one is closed when nobody needs it any more. */
  choose(choice: Pick<StoreChoice, "kind" | "path">): void {
    const { kind, path } = this.#choice;
    this.#choice = choice;
    if (kind === choice.kind && (kind === "memory" || path === choice.path)) return;
    const before = this.#store;
    this.#forget();
    if (!before) return;
    this.#store = this.#takeOver(before);
    Promise.all([before, this.#store, this.#o.idle()])
      .then(async ([from, to]) => {
        // What was on its way wrote its end into the old store.
        await carryOver(from, to, ["response"]);
        await from.close();
      })
      .catch((error) => this.#o.log.warn(asError(error).message));
  }

  /** The store of the choice in force, with all that the one before held. */
  async #takeOver(before: Promise<Store>): Promise<Store> {
    const store = await this.#open();
    try {
      const ofAccounts = Array.from(this.#o.accounts(), (id) => `account:${id}`);
      const spaces = ["event", "response", "chat", "history", ...ofAccounts];
      const ended = ({ space, key }: Row) => space !== "response" || !this.#o.isOnItsWay(key);
      await carryOver(await before, store, spaces, ended);
    } catch (error) {
      this.#o.log.warn(`Not everything could be taken over into the new store: ${asError(error).message}`);
    }
    return store;
  }

  async #open(): Promise<Store> {
    try {
      const store = await openStore({ ...this.#choice, expectMore: () => this.#o.expectMore() });
      for (const notice of store.notices) this.#o.log.warn(notice);
      return store;
    } catch (error) {
      this.#store = undefined;
      throw error;
    }
  }

  #forget(): void {
    this.#store = undefined;
    this.#o.changed();
  }

  /** The next that needs it opens it again. */
  async close(): Promise<void> {
    const closing = this.#store;
    this.#forget();
    await closing?.then(
      (store) => store.close(),
      () => undefined,
    );
  }
}
