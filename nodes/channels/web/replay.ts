/**
 * What was said, per visitor: shown again after a reload, and sent to a page that missed some of it.
 *
 * Every entry has a place (`seq`) and a revision (`rev`); both grow with every change, also across a restart, so that
 * "everything after revision n" is always what a page has missed.
 */
import type { ButtonPart, ConnectContext } from "../../../lib/channel/define";
import type { PostedFile } from "./parse";

const ENTRIES_MAX = 200;
/** Characters of all texts of one visitor. */
const TEXT_MAX = 400_000;
const KEEP_MS = 30 * 24 * 3_600_000;
const VISITORS_MAX = 2_000;
/** Conversations held in memory; the others are read again when they are needed. */
const OPEN_MAX = 300;
const SEEN_FRESH_MS = 3_600_000;

export interface Entry {
  readonly id: string;
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

export type Draft = Omit<Entry, "seq" | "rev" | "at">;
type Memory = ConnectContext["memory"];

/** One visitor's conversation. Entries are replaced, never changed. */
export class Conversation {
  readonly visitor: string;
  #entries: Entry[];
  #newest: number;
  /** The revision that was kept last. */
  kept: number;

  constructor(visitor: string, entries: Entry[] = [], newest = 0) {
    this.visitor = visitor;
    this.#entries = entries.filter((entry) => entry.at > Date.now() - KEEP_MS);
    this.#newest = newest;
    this.kept = newest;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get newest(): number {
    return this.#newest;
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
    const entry: Entry = { ...draft, seq: rev, rev, at: Date.now() };
    this.#entries.push(entry);
    let size = this.#entries.reduce((sum, { text }) => sum + text.length, 0);
    while (this.#entries.length > ENTRIES_MAX || (size > TEXT_MAX && this.#entries.length > 1)) {
      size -= this.#entries.shift()?.text.length ?? 0;
    }
    return entry;
  }

  /** The entry as it is now; undefined when it is not (or no longer) there. */
  change(id: string, change: Partial<Omit<Entry, "id" | "seq" | "rev" | "at" | "from">>): Entry | undefined {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    const old = this.#entries[index];
    if (!old || old.deleted) return undefined;
    const entry: Entry = { ...old, ...change, rev: this.#nextRevision() };
    this.#entries[index] = entry;
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
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
  }

  #nextRevision(): number {
    this.#newest = Math.max(this.#newest + 1, Date.now());
    return this.#newest;
  }
}

/** All conversations of an account, kept in the account's memory. */
export class Conversations {
  readonly #memory: Memory;
  readonly #open = new Map<string, Conversation>();
  readonly #reading = new Map<string, Promise<Conversation>>();
  readonly #writing = new Map<string, { running: Promise<void>; next?: Promise<void> }>();
  #visitors: Record<string, number>;

  private constructor(memory: Memory, visitors: Record<string, number>) {
    this.#memory = memory;
    this.#visitors = visitors;
  }

  static async load(memory: Memory): Promise<Conversations> {
    const conversations = new Conversations(memory, {
      ...((await memory.get<Record<string, number>>("visitors")) ?? {}),
    });
    await conversations.#forgetOld();
    return conversations;
  }

  /** Visitors who have a conversation, the latest first. */
  get visitors(): { id: string; at: number }[] {
    return Object.entries(this.#visitors)
      .map(([id, at]) => ({ id, at }))
      .sort((a, b) => b.at - a.at);
  }

  /** True from the first message on. */
  has(visitor: string): boolean {
    return Object.hasOwn(this.#visitors, visitor) || (this.#open.get(visitor)?.entries.length ?? 0) > 0;
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
    const kept = this.has(visitor)
      ? await this.#memory.get<{ entries: Entry[]; newest: number }>(`log:${visitor}`)
      : undefined;
    const conversation = new Conversation(visitor, kept?.entries, kept?.newest);
    this.#open.set(visitor, conversation);
    for (const [id, other] of this.#open) {
      if (this.#open.size <= OPEN_MAX) break;
      if (other.kept === other.newest && other !== conversation) this.#open.delete(id);
    }
    return conversation;
  }

  /** Keeps a conversation. One write at a time per visitor; those who ask meanwhile share the next one. */
  save(conversation: Conversation): Promise<void> {
    const { visitor } = conversation;
    const writing = this.#writing.get(visitor);
    if (writing) {
      writing.next ??= writing.running.catch(() => undefined).then(() => this.#start(conversation));
      return writing.next;
    }
    return this.#start(conversation);
  }

  #start(conversation: Conversation): Promise<void> {
    const running = this.#write(conversation);
    const entry: { running: Promise<void>; next?: Promise<void> } = { running };
    this.#writing.set(conversation.visitor, entry);
    const finished = () => {
      if (this.#writing.get(conversation.visitor) === entry && !entry.next)
        this.#writing.delete(conversation.visitor);
    };
    running.then(finished, finished);
    return running;
  }

  async #write(conversation: Conversation): Promise<void> {
    const { visitor, entries, newest } = conversation;
    if ((this.#visitors[visitor] ?? 0) < Date.now() - SEEN_FRESH_MS) {
      this.#visitors[visitor] = Date.now();
      await this.#forgetOld();
      await this.#memory.set("visitors", { ...this.#visitors });
    }
    await this.#memory.set(`log:${visitor}`, { entries: [...entries], newest });
    conversation.kept = newest;
  }

  async #forgetOld(): Promise<void> {
    const old = this.visitors.filter(({ at }, index) => index >= VISITORS_MAX || at < Date.now() - KEEP_MS);
    for (const { id } of old) {
      delete this.#visitors[id];
      this.#open.delete(id);
      await this.#memory.set(`log:${id}`, null);
    }
  }

  /** Resolves when all that was asked to be kept is kept. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#writing.values()].map(({ running, next }) => next ?? running));
  }
}
