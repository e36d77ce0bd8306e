/**
 * The conversations of all visitors, kept in the account's memory: a row for each visitor and a row for each entry. So
 * a message costs the same however long its conversation is and however many visitors there are, and its entry can be
 * stored in the same commit as its event. Entries are numbered, so that none has to be searched for.
 */
import type { AccountMemory } from "../../../lib/channel/define";
import { Conversation, ENTRIES_MAX, type Entry, KEEP_MS } from "./replay";

const VISITORS_MAX = 2_000;
/** Conversations held in memory (as many as pages may be open); the others are read again when they are needed. */
const OPEN_MAX = 1_000;
/** Characters of their texts. */
const OPEN_TEXT_MAX = 20_000_000;
const SEEN_FRESH_MS = 3_600_000;
/** A visitor's row is written again after so many entries, not with each. */
const STEP = 10;

const VISITOR = "visitor/";
export const visitorKey = (visitor: string) => VISITOR + visitor;
export const entryKey = (visitor: string, n: number) => `said/${visitor}/${n}`;
/** All numbers of `n` entries and perhaps some more. */
export const upToOf = (n: number) => Math.ceil(n / STEP) * STEP;

interface Seen {
  /** Milliseconds since 1970. */
  at: number;
  /** Entries have numbers below this. This is what the visitor's row holds. */
  upTo: number;
}

/** Stores rows for a time, in this order or in one commit; `undefined` forgets one. */
type Write = (rows: [key: string, value: unknown][], keepMs: number) => Promise<void>;

export class Conversations {
  readonly #memory: AccountMemory;
  readonly #open = new Map<string, Conversation>();
  readonly #reading = new Map<string, Promise<Conversation>>();
  readonly #writing = new Set<Promise<unknown>>();
  /** The one who was away longest first. */
  readonly #seen = new Map<string, Seen>();

  private constructor(memory: AccountMemory) {
    this.#memory = memory;
  }

  static async load(memory: AccountMemory): Promise<Conversations> {
    const conversations = new Conversations(memory);
    for (const { key, at, value } of await memory.list<number | undefined>(VISITOR))
      conversations.#seen.set(key.slice(VISITOR.length), { at, upTo: value ?? 0 });
    conversations.#forgetOld();
    return conversations;
  }

  /** Visitors who have a conversation, the latest first. */
  get visitors(): { id: string; at: number }[] {
    return Array.from(this.#seen, ([id, { at }]) => ({ id, at })).reverse();
  }

  /** True from the first message on. */
  has(visitor: string): boolean {
    return this.#seen.has(visitor) || (this.#open.get(visitor)?.entries.length ?? 0) > 0;
  }

  async of(visitor: string): Promise<Conversation> {
    const open = this.#open.get(visitor);
    if (open) {
      this.#open.delete(visitor); // put back at the end: the front is the longest unused
      this.#open.set(visitor, open);
      return open;
    }
    const reading = this.#reading.get(visitor) ?? this.#read(visitor);
    this.#reading.set(visitor, reading);
    try {
      return await reading;
    } finally {
      this.#reading.delete(visitor);
    }
  }

  async #read(visitor: string): Promise<Conversation> {
    const upTo = this.#seen.get(visitor)?.upTo ?? 0;
    const kept = await Promise.all(keysUpTo(visitor, upTo).map((key) => this.#memory.get<Entry>(key)));
    const entries = kept.filter((entry) => entry !== undefined);
    const last = entries.at(-1);
    const conversation = new Conversation(visitor, entries, last ? last.n + 1 : upTo);
    this.#open.set(visitor, conversation);
    this.#makeRoom(conversation);
    return conversation;
  }

  #makeRoom(forThis: Conversation): void {
    let size = 0;
    for (const { size: more } of this.#open.values()) size += more;
    for (const [id, other] of this.#open) {
      if (this.#open.size <= OPEN_MAX && size <= OPEN_TEXT_MAX) return;
      if (other.writing > 0 || other === forThis) continue;
      this.#open.delete(id);
      size -= other.size;
    }
  }

  /**
   * Keeps an entry as it is now: it is durable when this resolves. `write` stores it together with something else, in
   * one commit.
   */
  async keep(conversation: Conversation, entry: Entry, write: Write = this.#write): Promise<void> {
    const { visitor } = conversation;
    const now = Date.now();
    const seen = this.#seen.get(visitor);
    const upTo = upToOf(conversation.next);
    const isNews = !seen || upTo > seen.upTo || seen.at < now - SEEN_FRESH_MS;
    // The visitor first: without that row nobody looks for the entries.
    const rows: Parameters<Write>[0] = isNews ? [[visitorKey(visitor), upTo]] : [];
    for (const n of conversation.takeGone()) rows.push([entryKey(visitor, n), undefined]);
    rows.push([entryKey(visitor, entry.n), entry]);
    conversation.writing += 1;
    const writing = write(rows, KEEP_MS);
    this.#writing.add(writing);
    try {
      await writing;
    } finally {
      conversation.writing -= 1;
      this.#writing.delete(writing);
    }
    if (isNews) {
      // Another write may have been quicker.
      const known = this.#seen.get(visitor)?.upTo ?? 0;
      this.#seen.delete(visitor); // put back at the end
      this.#seen.set(visitor, { at: now, upTo: Math.max(known, upTo) });
      this.#forgetOld();
    }
  }

  readonly #write: Write = async (rows, keepMs) => {
    const writes = rows.map(([key, value]) => {
      const write = this.#memory.set(key, value, keepMs);
      // What made room goes after its time, at the latest.
      return value === undefined ? write.catch(() => undefined) : write;
    });
    await Promise.all(writes);
  };

  /** Rows go by themselves after their time; those of too many visitors are taken away. */
  #forgetOld(): void {
    const since = Date.now() - KEEP_MS;
    for (const [visitor, { at, upTo }] of this.#seen) {
      if (this.#seen.size <= VISITORS_MAX && at >= since) return;
      if (this.#open.get(visitor)?.writing) continue;
      this.#seen.delete(visitor);
      this.#open.delete(visitor);
      const forgetting = this.#forget(visitor, upTo).catch(() => {
        // They go after their time, at the latest.
      });
      this.#writing.add(forgetting);
      void forgetting.then(() => this.#writing.delete(forgetting));
    }
  }

  async #forget(visitor: string, upTo: number): Promise<void> {
    const keys = [visitorKey(visitor), ...keysUpTo(visitor, upTo)];
    await Promise.all(keys.map((key) => this.#memory.set(key, undefined)));
  }

  /** Resolves when all that was asked to be kept is kept. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writing);
  }
}

/** Keys of all entries that may be there. */
function keysUpTo(visitor: string, upTo: number): string[] {
  const first = Math.max(0, upTo - STEP - ENTRIES_MAX);
  return Array.from({ length: upTo - first }, (_, index) => entryKey(visitor, first + index));
}
