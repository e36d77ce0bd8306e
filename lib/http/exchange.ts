/** One request and its answer over a pool: knows whether the request left, and ends when it is told to. */
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { ChannelError } from "../errors";
import { Body, encodingsOf } from "./body";
import { toFault, tooLarge } from "./faults";
import type { Stop, StopReason } from "./stop";

export interface Question {
  url: URL;
  method: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  body?: string | Buffer | Readable | AsyncIterable<Uint8Array>;
}

export interface ExchangeLimits {
  /** Bytes of the decoded body. */
  maxBytes: number;
  headersTimeoutMs: number;
}

export interface Answer {
  status: number;
  statusText: string;
  /** Names in lower case, in the order they came. */
  headers: [string, string][];
  body: Body;
}

/**
 * Sends the question. Rejects with a ChannelError, or with the reason of an abort. `onEnd` is called once, when the
 * network has no more to say; with the status, when there was an answer.
 */
export function exchange(
  pool: Dispatcher,
  question: Question,
  limits: ExchangeLimits,
  stop: Stop,
  onEnd: (status?: number) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const talk = new Exchange(question, limits, resolve, reject, onEnd);
    stop.attach(talk);
    if (talk.over) return;
    const { url, method, headers, body } = question;
    try {
      pool.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: method as Dispatcher.HttpMethod,
          headers,
          body: body as Dispatcher.DispatchOptions["body"],
          headersTimeout: limits.headersTimeoutMs,
          bodyTimeout: limits.headersTimeoutMs,
        },
        talk,
      );
    } catch (error) {
      talk.onResponseError(undefined, error as Error);
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #question: Question;
  readonly #limits: ExchangeLimits;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onEnd: (status?: number) => void;
  #status: number | undefined;
  /** undici says so just before it writes the first byte to a connected socket. */
  #left = false;
  #over = false;
  #controller: Dispatcher.DispatchController | undefined;
  #body: Body | undefined;

  constructor(
    question: Question,
    limits: ExchangeLimits,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
    onEnd: (status?: number) => void,
  ) {
    this.#question = question;
    this.#limits = limits;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onEnd = onEnd;
  }

  get over(): boolean {
    return this.#over;
  }

  stop(reason: StopReason): void {
    this.#fail(reason(this.#left));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Stopped while it waited for a connection: it does not leave at all.
    if (this.#over) controller.abort(new Error("stopped"));
    else this.#left = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _: unknown,
    statusText?: string,
  ): void {
    if (status < 200 || this.#over) return;
    const headers = pairs(controller.rawHeaders as Buffer[] | string[] | null);
    const header = (name: string): string | undefined => headers.find(([key]) => key === name)?.[1];
    const { origin } = this.#question.url;
    const { maxBytes } = this.#limits;
    const encodings = encodingsOf(header("content-encoding"));
    const empty = this.#question.method === "HEAD" || status === 204 || status === 304;
    if (!empty && Number(header("content-length")) > maxBytes) {
      this.#fail(tooLarge(origin, maxBytes));
      return;
    }
    const body = new Body(
      { pause: () => controller.pause(), resume: () => controller.resume(), abort: () => this.#cut() },
      {
        encodings: encodings ?? [],
        maxBytes,
        tooLarge: () => tooLarge(origin, maxBytes),
        damaged: (cause) =>
          new ChannelError("interrupted", `The answer of ${this.#question.url.host} arrived damaged.`, {
            code: "damaged",
            cause,
          }),
        onEnd: () => this.#end(),
      },
    );
    this.#status = status;
    this.#body = body;
    this.#resolve({ status, statusText: statusText ?? "", headers, body });
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#body?.receive(chunk);
  }

  onResponseEnd(): void {
    this.#body?.end();
  }

  onResponseError(_: unknown, error: Error): void {
    this.#fail(toFault(error, { origin: this.#question.url.origin, left: this.#left }));
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    if (this.#body) this.#body.fail(error);
    else {
      this.#reject(error);
      this.#cut();
      this.#end();
    }
  }

  #cut(): void {
    this.#over = true;
    this.#controller?.abort(new Error("stopped"));
  }

  #end(): void {
    this.#over = true;
    this.#onEnd(this.#status);
  }
}

function pairs(raw: (Buffer | string)[] | null): [string, string][] {
  const headers: [string, string][] = [];
  for (let i = 0; raw && i + 1 < raw.length; i += 2) {
    headers.push([latin1(raw[i]).toLowerCase(), latin1(raw[i + 1])]);
  }
  return headers;
}

function latin1(value: Buffer | string | undefined): string {
  return typeof value === "string" ? value : (value?.toString("latin1") ?? "");
}
