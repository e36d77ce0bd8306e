/**
 * What was said by and to one visitor: shown again after a reload, and sent to a page that missed some of it.
 *
 * Every entry has a place (`seq`) and a revision (`rev`); both grow with every change, also across a restart, so that
 * "everything after revision n" is always what a page has missed.
 */
import type { ButtonPart } from "../../../lib/channel/define";
import type { PostedFile } from "./parse";

export const ENTRIES_MAX = 200;
/** Characters of all texts of one visitor. */
const TEXT_MAX = 400_000;
/** An entry is shown for so long. */
export const KEEP_MS = 30 * 24 * 3_600_000;

export interface Entry {
  readonly id: string;
  /** Which one it is in this conversation, from 0 on: it is kept under this number. */
  readonly n: number;
  readonly seq: number;
  readonly rev: number;
  readonly from: "visitor" | "bot";
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Markdown from the bot, plain text from the visitor. */
  readonly text: string;
  /** A bot's text that is not markdown. */
  readonly plain?: boolean;
  readonly buttons?: ButtonPart[][];
  readonly files?: PostedFile[];
  readonly replyTo?: string;
  readonly reaction?: string;
  readonly edited?: boolean;
  readonly deleted?: boolean;
  /** Of a visitor's message: the page finds its own one by it. */
  readonly nonce?: string;
  /** Of the send that made it: a second try finds it. */
  readonly key?: string;
}

export type Draft = Omit<Entry, "n" | "seq" | "rev" | "at">;

/** One visitor's conversation. Entries are replaced, never changed. */
export class Conversation {
  readonly visitor: string;
  #entries: Entry[] = [];
  #size = 0;
  #newest = 0;
  #next: number;
  /** Numbers of entries that made room and are still kept. */
  #gone: number[] = [];
  /** Writes that are under way: so long it must stay in memory. */
  writing = 0;

  /** `entries` as they were kept, in their order; `next`: numbers below it were given to others. */
  constructor(visitor: string, entries: readonly Entry[] = [], next = 0) {
    this.visitor = visitor;
    this.#next = next;
    const since = Date.now() - KEEP_MS;
    for (const entry of entries) {
      if (entry.at <= since) continue;
      this.#append(entry);
      this.#newest = Math.max(this.#newest, entry.rev);
    }
  }

  /** Characters of all texts. */
  get size(): number {
    return this.#size;
  }

  /** Number of the next entry. */
  get next(): number {
    return this.#next;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** What changed after this revision, in the order it changed. A revision we never gave out: everything. */
  since(rev: number): Entry[] {
    const from = rev > this.#newest ? 0 : rev;
    return this.#entries.filter((entry) => entry.rev > from).sort((a, b) => a.rev - b.rev);
  }

  find(id: string): Entry | undefined {
    return this.#entries.find((entry) => entry.id === id);
  }

  sentWith(key: string): Entry | undefined {
    return this.#entries.find((entry) => entry.key === key);
  }

  add(draft: Draft): Entry {
    const rev = this.#nextRevision();
    const entry: Entry = { ...draft, n: this.#next, seq: rev, rev, at: Date.now() };
    this.#next += 1;
    this.#append(entry);
    return entry;
  }

  /** The oldest make room for it. */
  #append(entry: Entry): void {
    this.#entries.push(entry);
    this.#size += entry.text.length;
    while (this.#entries.length > ENTRIES_MAX || (this.#size > TEXT_MAX && this.#entries.length > 1)) {
      const { n, text } = this.#entries.shift() as Entry;
      this.#size -= text.length;
      this.#gone.push(n);
    }
  }

  /** Numbers of entries that are no longer shown and need not be kept any more; each is told once. */
  takeGone(): number[] {
    const gone = this.#gone;
    this.#gone = [];
    return gone;
  }

  /** The entry as it is now; undefined when it is not (or no longer) there. */
  change(
    id: string,
    change: Partial<Omit<Entry, "id" | "n" | "seq" | "rev" | "at" | "from">>,
  ): Entry | undefined {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    const old = this.#entries[index];
    if (!old || old.deleted) return undefined;
    const entry: Entry = { ...old, ...change, rev: this.#nextRevision() };
    this.#entries[index] = entry;
    this.#size += entry.text.length - old.text.length;
    return entry;
  }

  /** Takes away what it said and leaves a mark, so that a page that was away takes it away too. */
  remove(id: string): Entry | undefined {
    return this.change(id, {
      text: "",
      deleted: true,
      buttons: undefined,
      files: undefined,
      replyTo: undefined,
      reaction: undefined,
    });
  }

  /** Takes back an entry that did not come to be, as if it had never been there. */
  drop(id: string): void {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    const [entry] = index < 0 ? [] : this.#entries.splice(index, 1);
    if (!entry) return;
    this.#size -= entry.text.length;
    // The next one takes its place, also in the store.
    if (entry.n === this.#next - 1) this.#next -= 1;
  }

  #nextRevision(): number {
    this.#newest = Math.max(this.#newest + 1, Date.now());
    return this.#newest;
  }
}
