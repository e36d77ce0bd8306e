/**
 * The store that forgets everything when the process ends. Values are kept as JSON text, not as frozen or cloned
 * objects: a caller cannot change them afterwards, they behave exactly as in SQLite, and they take less memory.
 */
import { RedclawError } from "../errors";
import { Archive, type Kept, type Place } from "./archive";
import {
  closedError,
  type Filter,
  fromRecord,
  isFinal,
  type Step,
  toFilter,
  toSteps,
  toText,
} from "./record";
import type { Query, Row, Store, Write } from "./store";

export interface MemoryStoreOptions {
  /**
   * Rows kept, 250,000 unless told. When the store is full, the oldest that needs no further work makes room: first
   * of those in a final state, then of those that have no state and expire. When there is none, the commit is refused
   * with `store-full`.
   */
  maxRows?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** A store in memory. Holds nothing but memory: no timer, no file. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options.maxRows ?? 250_000, options.now ?? Date.now);
}

class MemoryStore implements Store {
  readonly kind = "memory";
  readonly durable = false;
  readonly notices = [];
  readonly #maxRows: number;
  readonly #now: () => number;
  /** Rows that are under way, or have no state: by space and key. */
  readonly #spaces = new Map<string, Map<string, Kept>>();
  /** How many those are. */
  #count = 0;
  /** Those of them that may make room, oldest first. */
  readonly #resting = new Set<Kept>();
  /** Goes along `#resting`; a new one each time would step over all that have left before. */
  #oldestResting = this.#resting.values();
  #archive = new Archive();
  #seq = 0;
  #closed = false;

  constructor(maxRows: number, now: () => number) {
    this.#maxRows = maxRows;
    this.#now = now;
  }

  commit(writes: readonly Write[]): Promise<boolean[]> {
    try {
      this.#open();
      const steps = toSteps(writes);
      this.#checkRoom(steps);
      const now = this.#now();
      return Promise.resolve(steps.map((step) => this.#apply(step, now)));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async get(space: string, key: string): Promise<Row | undefined> {
    this.#open();
    const row = this.#live(toText(space), toText(key), this.#now());
    return row && fromRecord(row);
  }

  async find(query: Query): Promise<Row[]> {
    this.#open();
    const filter = toFilter(query);
    const best = new Best(filter);
    const now = this.#now();
    for (const row of this.#matching(filter, now)) best.add(row);
    this.#archive.visit(filter, now, (place) => best.add(place));
    return best.rows().map((found) => {
      const row = fromRecord("position" in found ? this.#archive.read(found.position) : found);
      if (filter.bare) delete row.body;
      return row;
    });
  }

  async count(query: Query): Promise<number> {
    this.#open();
    const filter = toFilter(query);
    const now = this.#now();
    let count = 0;
    for (const _ of this.#matching(filter, now)) count++;
    this.#archive.visit(filter, now, () => count++);
    return count;
  }

  async sweep(now = this.#now()): Promise<number> {
    this.#open();
    let gone = 0;
    for (const rows of [...this.#spaces.values()]) {
      for (const row of rows.values()) {
        if (isLive(row, now)) continue;
        this.#drop(row);
        gone++;
      }
    }
    return gone + this.#archive.sweep(now);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#spaces.clear();
    this.#resting.clear();
    this.#archive = new Archive();
  }

  #open(): void {
    if (this.#closed) throw closedError();
  }

  /** Throws when the commit could fail half way. Takes it as larger than it is when that is quicker to tell. */
  #checkRoom(steps: readonly Step[]): void {
    const room = this.#maxRows - this.#count + this.#resting.size;
    // Each write may add a row, and make one that could have made room into work again.
    if (2 * steps.length <= room) return;
    const added = new Set<string>();
    let others = 0;
    for (const step of steps) {
      const isNew = (step.do === "put" || step.do === "insert") && !this.#get(step.space, step.key);
      if (isNew) added.add(JSON.stringify([step.space, step.key]));
      else if (step.do !== "delete" && this.#mayGo(step)) others++;
    }
    if (added.size === 0 || added.size + others <= room) return;
    throw new RedclawError(
      "store-full",
      `The memory of Redclaw is full (${this.#maxRows} messages are still under way). Add a Redclaw gateway node with a database, or wait until the queue is shorter.`,
    );
  }

  #mayGo({ space, key }: Step): boolean {
    const row = this.#get(space, key);
    return row !== undefined && mayMakeRoom(row);
  }

  #get(space: string, key: string): Kept | undefined {
    return this.#spaces.get(space)?.get(key) ?? this.#archive.get(space, key);
  }

  #live(space: string, key: string, now: number): Kept | undefined {
    const row = this.#get(space, key);
    return row && isLive(row, now) ? row : undefined;
  }

  #apply(step: Step, now: number): boolean {
    const before = this.#get(step.space, step.key);
    const present = before && isLive(before, now) ? before : undefined;
    switch (step.do) {
      case "insert":
        if (present) return false;
        break;
      case "delete":
        if (present) this.#drop(present);
        return present !== undefined;
      case "update":
        if (!present || (step.ifState !== undefined && step.ifState !== present.state)) return false;
        this.#change(present, step);
        return true;
    }
    if (before) this.#drop(before);
    this.#keep({ ...step.row, seq: ++this.#seq });
    while (this.#count + this.#archive.size > this.#maxRows && this.#makeRoom());
    return true;
  }

  #change(row: Kept, step: Step & { do: "update" }): void {
    const wasFinal = isFinal(row.state);
    if (wasFinal) this.#archive.remove(row.space, row.key);
    if (step.json !== undefined) row.json = step.json;
    if (step.body !== undefined) row.body = step.body ?? undefined;
    if (step.trail !== undefined) row.trail = (row.trail ?? "") + step.trail;
    if (step.state !== undefined) row.state = step.state;
    if (step.at !== undefined) row.at = step.at;
    if (step.expires !== undefined) row.expires = step.expires;
    if (wasFinal) this.#keep(row);
    else if (isFinal(row.state)) {
      this.#drop(row);
      this.#archive.add(row);
    } else if (!mayMakeRoom(row)) this.#resting.delete(row);
    else this.#resting.add(row);
  }

  #keep(row: Kept): void {
    if (isFinal(row.state)) {
      this.#archive.add(row);
      return;
    }
    let rows = this.#spaces.get(row.space);
    if (!rows) {
      rows = new Map();
      this.#spaces.set(row.space, rows);
    }
    rows.set(row.key, row);
    this.#count++;
    if (mayMakeRoom(row)) this.#resting.add(row);
  }

  #drop(row: Kept): void {
    const rows = this.#spaces.get(row.space);
    if (!rows?.delete(row.key)) {
      this.#archive.remove(row.space, row.key);
      return;
    }
    this.#count--;
    this.#resting.delete(row);
    if (rows.size === 0) this.#spaces.delete(row.space);
  }

  #makeRoom(): boolean {
    if (this.#archive.size > 0) {
      this.#archive.removeOldest();
      return true;
    }
    let oldest = this.#oldestResting.next();
    if (oldest.done) {
      this.#oldestResting = this.#resting.values();
      oldest = this.#oldestResting.next();
    }
    if (oldest.done) return false;
    this.#drop(oldest.value);
    return true;
  }

  *#matching(filter: Filter, now: number): Generator<Kept> {
    const { states, account, conversation, prefix = "", before = Number.POSITIVE_INFINITY } = filter;
    for (const row of this.#spaces.get(filter.space)?.values() ?? []) {
      if (states && (row.state === undefined || !states.includes(row.state))) continue;
      if (account !== undefined && row.account !== account) continue;
      if (conversation !== undefined && row.conversation !== conversation) continue;
      if (row.at < before && row.key.startsWith(prefix) && isLive(row, now)) yield row;
    }
  }
}

/** The rows that a query asks for, out of as many as there may be: remembers little more than those. */
class Best {
  readonly #filter: Filter;
  readonly #wanted: number;
  #found: (Kept | Place)[] = [];
  /** What is behind it is not wanted. */
  #last: Kept | Place | undefined;

  constructor(filter: Filter) {
    this.#filter = filter;
    this.#wanted = filter.offset + filter.limit;
  }

  add(row: Kept | Place): void {
    if (this.#last && this.#order(row, this.#last) > 0) return;
    this.#found.push(row);
    if (this.#found.length > 2 * this.#wanted + 1000) {
      this.#sort();
      this.#found.length = this.#wanted;
      this.#last = this.#found.at(-1);
    }
  }

  rows(): (Kept | Place)[] {
    this.#sort();
    return this.#found.slice(this.#filter.offset, this.#wanted);
  }

  #sort(): void {
    this.#found.sort((a, b) => this.#order(a, b));
  }

  #order(a: Kept | Place, b: Kept | Place): number {
    const oldestFirst = a.at - b.at || a.seq - b.seq;
    return this.#filter.newest ? -oldestFirst : oldestFirst;
  }
}

function isLive(row: Kept, now: number): boolean {
  return row.expires === undefined || row.expires > now;
}

/** What is under way is never forgotten, nor what has no end. */
function mayMakeRoom({ state, expires }: Kept): boolean {
  return isFinal(state) || (state === undefined && expires !== undefined);
}
