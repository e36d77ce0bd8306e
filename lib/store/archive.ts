/**
 * Rows that need no further work, packed into bytes: hundreds of thousands are remembered so that a message that
 * comes again is known, and as objects they would take three times the memory and slow down every garbage collection.
 *
 * They lie one after the other in chunks, the oldest in front; a table of hashes tells where. A row that leaves from
 * the middle is only marked, and its place is free when all before it have left.
 */
import { type Filter, isFinal, type RowRecord } from "./record";
import { FINAL_STATES } from "./store";

export interface Kept extends RowRecord {
  /** Grows with every row written: the order of insertion. */
  seq: number;
}

/** A row's place in the order of `find`, and where it lies. */
export interface Place {
  at: number;
  seq: number;
  position: number;
}

interface Chunk {
  bytes: Buffer;
  ints: Int32Array;
  doubles: Float64Array;
  /** Bytes written. */
  end: number;
}

const CHUNK = 1024 * 1024;
/** Six integers: hash, space and state, account, hash of the conversation, bytes of the text, free. Then at, expires, seq. */
const HEADER = 48;
const [HASH, SPACE, ACCOUNT, CONVERSATION, LENGTH] = [0, 1, 2, 3, 4];
const [AT, EXPIRES, SEQ] = [3, 4, 5];
/** State number of a row that has left; the others are places in `FINAL_STATES`, counted from 1. */
const GONE = 0;
const FEWEST_SLOTS = 1024;

export class Archive {
  size = 0;
  /** Chunk `i` begins at position `(#firstChunk + i) * CHUNK`. */
  readonly #chunks: Chunk[] = [];
  #firstChunk = 0;
  /** A chunk that became free: used again, because large pieces of memory are given back late. */
  #spare: Chunk | undefined;
  /** Offset in the first chunk: rows before it have left. */
  #head = 0;
  #goneBytes = 0;
  #liveBytes = 0;
  /** Positions plus 1; 0 is free. Collisions lie in the next slots. */
  #slots = new Float64Array(FEWEST_SLOTS);
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  /** So that nobody can choose keys that collide. */
  readonly #seed = Math.floor(Math.random() * 2 ** 31);

  /** Adds a row whose key is not here. */
  add(row: Kept): void {
    const { key, json, conversation, trail, body } = row;
    const tail = body === undefined ? "]" : `,${body}]`;
    const steps = trail === undefined ? "0" : `[${trail.slice(0, -1)}]`;
    const chat = conversation === undefined ? "0" : JSON.stringify(conversation);
    const text = `[${JSON.stringify(key)},${json},${chat},${steps}${tail}`;
    const size = sizeOf(Buffer.byteLength(text));
    const chunk = this.#chunkFor(size);
    const start = chunk.end;
    const i = start / 4;
    const d = start / 8;
    const hash = this.#hash(row.space, key);
    const { ints, doubles } = chunk;
    ints[i + HASH] = hash;
    ints[i + SPACE] = (this.#number(row.space) << 8) | (FINAL_STATES.indexOf(row.state as "sent") + 1);
    ints[i + ACCOUNT] = row.account === undefined ? 0 : this.#number(row.account);
    ints[i + CONVERSATION] = conversation === undefined ? 0 : this.#hash("", conversation);
    ints[i + LENGTH] = chunk.bytes.write(text, start + HEADER, "utf8");
    doubles[d + AT] = row.at;
    doubles[d + EXPIRES] = row.expires ?? Number.POSITIVE_INFINITY;
    doubles[d + SEQ] = row.seq;
    chunk.end += size;
    this.#liveBytes += size;
    this.size++;
    if (this.size * 2 > this.#slots.length) this.#resize();
    this.#enter(hash, (this.#firstChunk + this.#chunks.length - 1) * CHUNK + start);
  }

  get(space: string, key: string): Kept | undefined {
    const slot = this.#slotOf(space, key);
    return slot === -1 ? undefined : this.read((this.#slots[slot] as number) - 1);
  }

  remove(space: string, key: string): void {
    const slot = this.#slotOf(space, key);
    if (slot === -1) return;
    this.#markGone(slot);
    this.#tidy();
  }

  removeOldest(): void {
    const oldest = this.#skipGone();
    if (oldest !== undefined) this.#markGone(this.#slotAt(oldest));
  }

  /** Calls `visit` for each row that the filter takes, in no useful order. The place is good for this call only. */
  visit(filter: Filter, now: number, visit: (place: Place) => void): void {
    const space = this.#numbers.get(filter.space);
    const account = filter.account === undefined ? 0 : this.#numbers.get(filter.account);
    if (space === undefined || account === undefined) return;
    const states = filter.states?.map((state) => FINAL_STATES.indexOf(state as "sent") + 1);
    if (states && !filter.states?.some(isFinal)) return;
    const { conversation, prefix = "", before = Number.POSITIVE_INFINITY } = filter;
    const chat = conversation === undefined ? 0 : this.#hash("", conversation);
    this.#walk((chunk, offset, position) => {
      const i = offset / 4;
      const d = offset / 8;
      const both = chunk.ints[i + SPACE] as number;
      const at = chunk.doubles[d + AT] as number;
      if (both >> 8 !== space || at >= before || (chunk.doubles[d + EXPIRES] as number) <= now) return;
      if (states && !states.includes(both & 0xff)) return;
      if (account !== 0 && chunk.ints[i + ACCOUNT] !== account) return;
      if (conversation !== undefined && chunk.ints[i + CONVERSATION] !== chat) return;
      if (prefix !== "" || conversation !== undefined) {
        const row = this.read(position);
        if (!row.key.startsWith(prefix)) return;
        if (conversation !== undefined && row.conversation !== conversation) return;
      }
      visit({ at, seq: chunk.doubles[d + SEQ] as number, position });
    });
  }

  /** Removes expired rows; answers how many. */
  sweep(now: number): number {
    const gone: number[] = [];
    this.#walk((chunk, offset, position) => {
      if ((chunk.doubles[offset / 8 + EXPIRES] as number) <= now) gone.push(position);
    });
    for (const position of gone) this.#markGone(this.#slotAt(position));
    this.#tidy();
    return gone.length;
  }

  read(position: number): Kept {
    const { chunk, offset } = this.#at(position);
    const i = offset / 4;
    const d = offset / 8;
    const text = chunk.bytes.toString(
      "utf8",
      offset + HEADER,
      offset + HEADER + (chunk.ints[i + LENGTH] as number),
    );
    const [key, value, conversation, trail, ...body] = JSON.parse(text);
    const both = chunk.ints[i + SPACE] as number;
    const account = chunk.ints[i + ACCOUNT] as number;
    const expires = chunk.doubles[d + EXPIRES] as number;
    return {
      space: this.#names[(both >> 8) - 1] as string,
      key,
      json: JSON.stringify(value),
      body: body.length === 0 ? undefined : JSON.stringify(body[0]),
      trail: trail === 0 ? undefined : trail.map((step: unknown) => `${JSON.stringify(step)},`).join(""),
      state: FINAL_STATES[(both & 0xff) - 1],
      account: account === 0 ? undefined : this.#names[account - 1],
      conversation: conversation === 0 ? undefined : conversation,
      at: chunk.doubles[d + AT] as number,
      expires: expires === Number.POSITIVE_INFINITY ? undefined : expires,
      seq: chunk.doubles[d + SEQ] as number,
    };
  }

  /** Calls `visit` for each row that is here. */
  #walk(visit: (chunk: Chunk, offset: number, position: number) => void): void {
    for (const [n, chunk] of this.#chunks.entries()) {
      const begin = (this.#firstChunk + n) * CHUNK;
      for (let offset = n === 0 ? this.#head : 0; offset < chunk.end; offset += sizeAt(chunk, offset)) {
        if (isHere(chunk, offset)) visit(chunk, offset, begin + offset);
      }
    }
  }

  #chunkFor(size: number): Chunk {
    const last = this.#chunks.at(-1);
    if (last && last.end + size <= last.bytes.length) return last;
    const chunk = (size <= CHUNK && this.#spare) || emptyChunk(size);
    if (chunk === this.#spare) this.#spare = undefined;
    chunk.end = 0;
    this.#chunks.push(chunk);
    return chunk;
  }

  #at(position: number): { chunk: Chunk; offset: number } {
    const n = Math.floor(position / CHUNK);
    return { chunk: this.#chunks[n - this.#firstChunk] as Chunk, offset: position - n * CHUNK };
  }

  /** Marks the row at a slot as gone, and closes the gap in the table. */
  #markGone(slot: number): void {
    const { chunk, offset } = this.#at((this.#slots[slot] as number) - 1);
    const size = sizeAt(chunk, offset);
    chunk.ints[offset / 4 + SPACE] = GONE;
    this.#liveBytes -= size;
    this.#goneBytes += size;
    this.size--;
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = slot;
    for (let next = (free + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#hashAt((slots[next] as number) - 1) & mask;
      // Moves to the gap unless it would come to lie before its home.
      if (((next - home) & mask) >= ((next - free) & mask)) {
        slots[free] = slots[next] as number;
        free = next;
      }
    }
    slots[free] = 0;
  }

  /** Gives back what lies before the oldest row; answers its position. */
  #skipGone(): number | undefined {
    for (let chunk = this.#chunks[0]; chunk; chunk = this.#chunks[0]) {
      while (this.#head < chunk.end && !isHere(chunk, this.#head)) {
        const size = sizeAt(chunk, this.#head);
        this.#head += size;
        this.#goneBytes -= size;
      }
      if (this.#head < chunk.end) return this.#firstChunk * CHUNK + this.#head;
      this.#chunks.shift();
      if (chunk.bytes.length === CHUNK) this.#spare = chunk;
      this.#firstChunk++;
      this.#head = 0;
    }
    return undefined;
  }

  /** When more is gone than here, the oldest rows move behind the newest, and their chunks are given back. */
  #tidy(): void {
    this.#skipGone();
    while (this.#goneBytes > this.#liveBytes + 2 * CHUNK) {
      const oldest = this.#skipGone();
      if (oldest === undefined) return;
      const row = this.read(oldest);
      this.#markGone(this.#slotAt(oldest));
      this.add(row);
      this.#skipGone();
    }
  }

  #slotOf(space: string, key: string): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const hash = this.#hash(space, key);
    for (let slot = hash & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const position = (slots[slot] as number) - 1;
      if (this.#hashAt(position) !== hash) continue;
      const row = this.read(position);
      if (row.key === key && row.space === space) return slot;
    }
    return -1;
  }

  #slotAt(position: number): number {
    const mask = this.#slots.length - 1;
    let slot = this.#hashAt(position) & mask;
    while (this.#slots[slot] !== position + 1) slot = (slot + 1) & mask;
    return slot;
  }

  #hashAt(position: number): number {
    const { chunk, offset } = this.#at(position);
    return chunk.ints[offset / 4 + HASH] as number;
  }

  #enter(hash: number, position: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = position + 1;
  }

  #resize(): void {
    const before = this.#slots;
    this.#slots = new Float64Array(before.length * 2);
    for (const entry of before) if (entry !== 0) this.#enter(this.#hashAt(entry - 1), entry - 1);
  }

  /** Spaces and accounts are few: each is written once. */
  #number(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.#names.push(name);
      this.#numbers.set(name, number);
    }
    return number;
  }

  /** FNV-1a. */
  #hash(space: string, key: string): number {
    let hash = this.#seed ^ space.length;
    for (let i = 0; i < space.length; i++) hash = Math.imul(hash ^ space.charCodeAt(i), 0x01000193);
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    return hash ^ (hash >>> 15);
  }
}

/** A row that is larger than a chunk has one to itself. */
function emptyChunk(size: number): Chunk {
  const bytes = Buffer.allocUnsafeSlow(Math.max(CHUNK, size));
  return { bytes, ints: new Int32Array(bytes.buffer), doubles: new Float64Array(bytes.buffer), end: 0 };
}

function sizeOf(textBytes: number): number {
  return HEADER + Math.ceil(textBytes / 8) * 8;
}

function sizeAt(chunk: Chunk, offset: number): number {
  return sizeOf(chunk.ints[offset / 4 + LENGTH] as number);
}

function isHere(chunk: Chunk, offset: number): boolean {
  return ((chunk.ints[offset / 4 + SPACE] as number) & 0xff) !== GONE;
}
