/** The open pages: one server-sent event stream per tab, all tabs of a visitor hear the same. */
import type { ServerResponse } from "node:http";

/** Browsers open six connections to a server; one of them must stay free for posting. */
const PER_VISITOR = 5;
const IN_TOTAL = 1_000;
/** A page that does not read is cut off; it comes back and gets what it missed. */
const BUFFER_MAX = 4 * 1024 * 1024;

export class Streams {
  readonly #open = new Map<string, Set<ServerResponse>>();
  readonly #changed: (visitors: number) => void;
  readonly #beat: NodeJS.Timeout;
  #count = 0;

  /** `changed` hears how many visitors have a page open. */
  constructor(changed: (visitors: number) => void, heartbeatMs: number) {
    this.#changed = changed;
    this.#beat = setInterval(() => this.#everywhere(": here\n\n"), heartbeatMs);
    this.#beat.unref();
  }

  get visitors(): number {
    return this.#open.size;
  }

  get full(): boolean {
    return this.#count >= IN_TOTAL;
  }

  has(visitor: string): boolean {
    return this.#open.has(visitor);
  }

  /** Starts a stream on this response. The oldest page of a visitor makes room when there are too many. */
  add(visitor: string, response: ServerResponse): void {
    const mine = this.#open.get(visitor) ?? new Set();
    if (mine.size >= PER_VISITOR) {
      const oldest = mine.values().next().value as ServerResponse;
      oldest.end(line("bye", { reason: "tabs" }));
      this.#remove(visitor, oldest);
    }
    const known = this.#open.has(visitor);
    this.#open.set(visitor, mine.add(response));
    this.#count += 1;
    response.once("close", () => this.#remove(visitor, response));
    response.on("error", () => response.destroy());
    if (!known) this.#changed(this.visitors);
  }

  #remove(visitor: string, response: ServerResponse): void {
    const mine = this.#open.get(visitor);
    if (!mine?.delete(response)) return;
    this.#count -= 1;
    if (mine.size > 0) return;
    this.#open.delete(visitor);
    this.#changed(this.visitors);
  }

  /** Says something to all pages of a visitor. */
  tell(visitor: string, event: string, data: unknown, id?: number): void {
    const text = line(event, data, id);
    for (const response of this.#open.get(visitor) ?? []) put(response, text);
  }

  #everywhere(text: string): void {
    for (const responses of this.#open.values()) for (const response of responses) put(response, text);
  }

  /** Ends all streams. */
  close(): void {
    clearInterval(this.#beat);
    for (const responses of [...this.#open.values()]) {
      for (const response of responses) {
        response.end();
        // A page that does not read its end must not hold the server up.
        response.socket?.destroySoon();
      }
    }
    this.#open.clear();
    this.#count = 0;
  }
}

/** One event as it goes over the wire. `data` is JSON and so has no line break in it. */
export function line(event: string, data: unknown, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function put(response: ServerResponse, text: string): void {
  if (response.writableLength > BUFFER_MAX) response.destroy();
  else if (!response.writableEnded) response.write(text);
}
