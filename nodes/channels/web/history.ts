/**
 * The conversations of all visitors, kept in the account's memory: a row for each visitor, which tells when they were
 * here, and a row for each entry. So a message costs the same however long its conversation is and however many
 * visitors there are, and its entry can be stored in the same commit as its event.
 */
import type { AccountMemory } from "../../../lib/channel/define";
import { Conversation, type Entry, KEEP_MS } from "./replay";

const VISITORS_MAX = 2_000;
/** Conversations held in memory; the others are read again when they are needed. */
const OPEN_MAX = 300;
const SEEN_FRESH_MS = 3_600_000;

const VISITOR = "visitor/";
export const visitorKey = (visitor: string) => VISITOR + visitor;
export const entryKey = (visitor: string, id: string) => `said/${visitor}/${id}`;

/** Stores rows in one commit, for a time; `undefined` forgets one. */
type Write = (rows: Record<string, unknown>, keepMs: number) => Promise<void>;

export class Conversations {
  readonly #memory: AccountMemory;
  readonly #open = new Map<string, Conversation>();
  readonly #reading = new Map<string, Promise<Conversation>>();
  readonly #writing = new Set<Promise<unknown>>();
  /** When each was seen (ms since 1970), the one who was away longest first. */
  readonly #seen = new Map<string, number>();

  private constructor(memory: AccountMemory) {
    this.#memory = memory;
  }

  static async load(memory: AccountMemory): Promise<Conversations> {
    const conversations = new Conversations(memory);
    for (const { key, at } of await memory.list(VISITOR))
      conversations.#seen.set(key.slice(VISITOR.length), at);
    conversations.#forgetOld();
    return conversations;
  }

  /** Visitors who have a conversation, the latest first. */
  get visitors(): { id: string; at: number }[] {
    return Array.from(this.#seen, ([id, at]) => ({ id, at })).reverse();
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
    const rows = this.#seen.has(visitor) ? await this.#memory.list<Entry>(entryKey(visitor, "")) : [];
    // What cannot be read any more (the key of the database was lost) is not shown.
    const entries = rows.flatMap(({ value }) => value ?? []);
    const conversation = new Conversation(visitor, entries);
    this.#open.set(visitor, conversation);
    for (const [id, other] of this.#open) {
      if (this.#open.size <= OPEN_MAX) break;
      if (other.writing === 0 && other !== conversation) this.#open.delete(id);
    }
    return conversation;
  }

  /**
   * Keeps an entry as it is now. It is durable when this resolves, and was not written when it rejects. `write` stores
   * it together with something else.
   */
  async keep(conversation: Conversation, entry: Entry, write: Write = this.#write): Promise<void> {
    const { visitor } = conversation;
    const now = Date.now();
    const isNews = (this.#seen.get(visitor) ?? 0) < now - SEEN_FRESH_MS;
    // The visitor first: without that row nobody looks for the entries.
    const rows: Record<string, unknown> = isNews ? { [visitorKey(visitor)]: null } : {};
    for (const id of conversation.takeGone()) rows[entryKey(visitor, id)] = undefined;
    rows[entryKey(visitor, entry.id)] = entry;
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
      this.#seen.delete(visitor);
      this.#seen.set(visitor, now);
      this.#forgetOld();
    }
  }

  readonly #write: Write = async (rows, keepMs) => {
    const keys = Object.keys(rows);
    await Promise.all(keys.map((key) => this.#memory.set(key, rows[key], keepMs)));
  };

  /** Rows go by themselves after their time; those of too many visitors are taken away. */
  #forgetOld(): void {
    const since = Date.now() - KEEP_MS;
    for (const [visitor, at] of this.#seen) {
      if (this.#seen.size <= VISITORS_MAX && at >= since) return;
      if (this.#open.get(visitor)?.writing) continue;
      this.#seen.delete(visitor);
      this.#open.delete(visitor);
      const forgetting = this.#forget(visitor).catch(() => {
        // They go after their time, at the latest.
      });
      this.#writing.add(forgetting);
      void forgetting.then(() => this.#writing.delete(forgetting));
    }
  }

  async #forget(visitor: string): Promise<void> {
    const rows = await this.#memory.list(entryKey(visitor, ""));
    const keys = [visitorKey(visitor), ...rows.map(({ key }) => key)];
    await Promise.all(keys.map((key) => this.#memory.set(key, undefined)));
  }

  /** Resolves when all that was asked to be kept is kept. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writing);
  }
}
