/**
 * A question whose whole answer is wanted at once, as every call of a platform's API is: without the streams and
 * objects of the web that `fetch` must bring along (they cost more than the network).
 */
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw } from "node:zlib";
import type { Dispatcher } from "undici";
import { ChannelError } from "../errors";
import { encodingsOf, isZlib } from "./body";
import { notJson, toFault, tooLarge } from "./faults";
import type { Stop, StopReason } from "./stop";

export interface HttpRequest {
  /** `http:` or `https:`; what stands behind `#` is not sent. */
  url: string | URL;
  /** Default: GET, POST with a body. */
  method?: string;
  /** Names in lower case. Those of the connection itself (`host`, `connection`, ...) are not for the caller. */
  headers?: Record<string, string>;
  /** A string goes out as UTF-8; its `content-type` is the caller's to name. */
  body?: string | Buffer;
  signal?: AbortSignal;
  /** From the call to the last byte of the answer. Default 10 min. */
  timeoutMs?: number;
  /** Largest answer, decoded. Default 50 MB. */
  maxBytes?: number;
}

/** A whole answer, whatever its status: redirects are not followed, an error page is an answer too. */
export interface HttpAnswer {
  status: number;
  /** The first value of a header; `name` in lower case. */
  header(name: string): string | undefined;
  /** Decoded. */
  bytes: Buffer;
  text(): string;
  /** Throws ChannelError `not-json`, whose fault fits the status: a proxy's error page, for example. */
  json(): unknown;
}

/** What `exchangeWhole` sends. */
export interface WholeQuestion {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body?: string | Buffer;
  maxBytes: number;
  /** Between the request and the head of the answer, and between two pieces; 0: only the total time counts. */
  headersTimeoutMs: number;
}

/**
 * Sends the question and waits for the whole answer. Rejects only with RedclawErrors: `unreachable` when nothing has
 * left this machine, `interrupted` when it may have arrived.
 */
export function exchangeWhole(pool: Dispatcher, question: WholeQuestion, stop: Stop): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const talk = new Talk(question, resolve, reject);
    stop.attach(talk);
    if (talk.over) return;
    const { url, method, headers, body, headersTimeoutMs } = question;
    try {
      pool.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: method as Dispatcher.HttpMethod,
          headers,
          body,
          headersTimeout: headersTimeoutMs,
          bodyTimeout: headersTimeoutMs,
        },
        talk,
      );
    } catch (error) {
      talk.onResponseError(undefined, error as Error);
    }
  });
}

class Talk implements Dispatcher.DispatchHandler {
  over = false;
  readonly #question: WholeQuestion;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #chunks: Buffer[] = [];
  /** undici says so just before it writes the first byte to a connected socket. */
  #left = false;
  #size = 0;
  #status = 0;
  #headers: Headers = {};
  #controller: Dispatcher.DispatchController | undefined;

  constructor(
    question: WholeQuestion,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#question = question;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  stop(reason: StopReason): void {
    this.#fail(reason(this.#left));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Stopped while it waited for a connection: it does not leave at all.
    if (this.over) controller.abort(new Error("stopped"));
    else this.#left = true;
  }

  onResponseStart(_: unknown, status: number, headers: Headers): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (
      Number(first(headers["content-length"])) > this.#question.maxBytes &&
      this.#question.method !== "HEAD"
    )
      this.#failTooLarge();
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.#question.maxBytes) this.#failTooLarge();
    else if (!this.over) this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.over) return;
    const [only] = this.#chunks;
    const bytes = only && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
    const coding = first(this.#headers["content-encoding"]);
    if (coding !== undefined && bytes.length > 0) {
      this.#decode(bytes, coding).then(
        (decoded) => this.#succeed(decoded),
        (error) => this.#fail(error),
      );
    } else this.#succeed(bytes);
  }

  onResponseError(_: unknown, error: Error): void {
    this.#fail(toFault(error, { origin: this.#question.url.origin, left: this.#left }));
  }

  async #decode(bytes: Buffer, coding: string): Promise<Buffer> {
    const { url, maxBytes } = this.#question;
    let decoded = bytes;
    // The encoding applied last is undone first; one that we do not know is left as it is.
    for (const name of (encodingsOf(coding) ?? []).toReversed()) {
      try {
        decoded = await undo(name, decoded, maxBytes);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE")
          throw tooLarge(url.origin, maxBytes);
        throw new ChannelError("interrupted", `The answer of ${url.host} arrived damaged.`, {
          code: "damaged",
          cause,
        });
      }
    }
    return decoded;
  }

  #succeed(bytes: Buffer): void {
    if (this.over) return;
    this.over = true;
    this.#resolve(new Whole(this.#question.url, this.#status, this.#headers, bytes));
  }

  #failTooLarge(): void {
    const { url, maxBytes } = this.#question;
    this.#fail(tooLarge(url.origin, maxBytes));
  }

  #fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.#reject(error);
    this.#controller?.abort(new Error("stopped"));
  }
}

type Headers = Record<string, string | string[] | undefined>;

class Whole implements HttpAnswer {
  readonly #url: URL;
  readonly #headers: Headers;
  readonly status: number;
  readonly bytes: Buffer;

  constructor(url: URL, status: number, headers: Headers, bytes: Buffer) {
    this.#url = url;
    this.#headers = headers;
    this.status = status;
    this.bytes = bytes;
  }

  header(name: string): string | undefined {
    return first(this.#headers[name]);
  }

  text(): string {
    const { bytes } = this;
    // A byte order mark is no part of the text.
    const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    return bytes.toString("utf8", start);
  }

  json(): unknown {
    try {
      return JSON.parse(this.text());
    } catch {
      throw notJson(this.#url.host, this.status);
    }
  }
}

function first(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}

const inflaters = {
  br: promisify(brotliDecompress),
  gzip: promisify(gunzip),
  zlib: promisify(inflate),
  raw: promisify(inflateRaw),
};

function undo(encoding: string, bytes: Buffer, maxOutputLength: number): Promise<Buffer> {
  if (encoding === "br") return inflaters.br(bytes, { maxOutputLength });
  if (encoding !== "deflate") return inflaters.gzip(bytes, { maxOutputLength });
  return inflaters[isZlib(bytes) ? "zlib" : "raw"](bytes, { maxOutputLength });
}
