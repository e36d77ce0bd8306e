/**
 * The body of an answer on its way in: decoded, counted, held back when nobody reads. Small bodies arrive without
 * being asked for, so that their connection is free again at once.
 */
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib";

/** Bytes that may wait to be read before the server is told to wait. */
const HIGH_WATER = 64 * 1024;

/** The connection, as far as the body needs it. */
export interface Source {
  pause(): void;
  resume(): void;
  /** Cuts the connection. */
  abort(): void;
}

export interface BodyRules {
  encodings: string[];
  maxBytes: number;
  tooLarge(): Error;
  /** A body that cannot be decoded. */
  damaged(cause: unknown): Error;
  /** Called once, when nothing more will come from the network. */
  onEnd(): void;
}

export class Body {
  readonly #source: Source;
  readonly #rules: BodyRules;
  readonly #chunks: Buffer[] = [];
  #waiting = 0;
  #size = 0;
  #state: "coming" | "complete" | "failed" = "coming";
  #error: unknown;
  #discarding = false;
  #onNews: (() => void) | undefined;
  #ended = false;
  #decoder: Decoder | undefined;

  constructor(source: Source, rules: BodyRules) {
    this.#source = source;
    this.#rules = rules;
  }

  /** Bytes from the network. */
  receive(chunk: Buffer): void {
    if (this.#state !== "coming") return;
    if (this.#rules.encodings.length === 0) this.#deliver(chunk);
    else {
      this.#decoder ??= this.#startDecoder(chunk);
      if (!this.#decoder.first.write(chunk)) this.#source.pause();
    }
  }

  /** The network has no more. */
  end(): void {
    this.#endOfNetwork();
    if (this.#decoder) this.#decoder.first.end();
    else this.#finish();
  }

  /** Ends the body with an error; what was not read yet is gone. */
  fail(error: unknown): void {
    if (this.#state !== "coming") return;
    this.#state = "failed";
    this.#error = error;
    this.#chunks.length = 0;
    this.#close();
  }

  /** Nobody wants it: a short rest is let through to keep the connection, a long one cut. */
  discard(): void {
    this.#discarding = true;
    this.#chunks.length = 0;
    this.#waiting = 0;
    this.#flow();
  }

  /** The next piece, or undefined at the end. Throws what `fail` was given. */
  async next(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#state === "failed") throw this.#error;
      if (this.#state === "complete") return undefined;
      await new Promise<void>((resolve) => {
        this.#onNews = resolve;
      });
    }
    const chunk = this.#chunks.shift() as Buffer;
    this.#waiting -= chunk.length;
    if (this.#waiting < HIGH_WATER) this.#flow();
    return chunk;
  }

  #deliver(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > (this.#discarding ? HIGH_WATER : this.#rules.maxBytes)) {
      this.fail(this.#rules.tooLarge());
      return;
    }
    if (this.#discarding) return;
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting >= HIGH_WATER) {
      if (this.#decoder) this.#decoder.last.pause();
      else this.#source.pause();
    }
    this.#tell();
  }

  #flow(): void {
    if (this.#decoder) this.#decoder.last.resume();
    else this.#source.resume();
  }

  #finish(): void {
    if (this.#state === "coming") this.#state = "complete";
    this.#tell();
  }

  #close(): void {
    const already = this.#ended;
    this.#endOfNetwork();
    if (!already) this.#source.abort();
    this.#decoder?.destroy();
    this.#tell();
  }

  #endOfNetwork(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#rules.onEnd();
  }

  #tell(): void {
    const tell = this.#onNews;
    this.#onNews = undefined;
    tell?.();
  }

  #startDecoder(firstChunk: Buffer): Decoder {
    // The encoding applied last is undone first.
    const stages = this.#rules.encodings.toReversed().map((encoding) => stage(encoding, firstChunk));
    const first = stages[0] as Transform;
    const last = stages.at(-1) as Transform;
    for (const [i, each] of stages.entries()) {
      each.on("error", (cause) => this.fail(this.#rules.damaged(cause)));
      const following = stages[i + 1];
      if (following) each.pipe(following);
    }
    first.on("drain", () => this.#source.resume());
    last.on("data", (chunk: Buffer) => {
      if (this.#state === "coming") this.#deliver(chunk);
    });
    last.on("end", () => this.#finish());
    return {
      first,
      last,
      destroy: () => {
        for (const each of stages) each.destroy();
      },
    };
  }
}

interface Decoder {
  first: Transform;
  last: Transform;
  destroy(): void;
}

/** The encodings named by a Content-Encoding header that have to be undone; undefined when we do not know one. */
export function encodingsOf(header: string | undefined): string[] | undefined {
  const names = (header ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());
  const real = names.filter((name) => name !== "" && name !== "identity");
  const known = ["gzip", "x-gzip", "deflate", "br"];
  return real.length <= 3 && real.every((name) => known.includes(name)) ? real : undefined;
}

function stage(encoding: string, firstChunk: Buffer): Transform {
  if (encoding === "br") return createBrotliDecompress();
  if (encoding !== "deflate") return createGunzip();
  return isZlib(firstChunk) ? createInflate() : createInflateRaw();
}

/** "deflate" means zlib by the standard and raw deflate to some servers. */
export function isZlib(beginning: Buffer): boolean {
  return ((beginning[0] ?? 0) & 0x0f) === 8;
}
