/**
 * The answer as a web `Response`, made for speed: headers and the stream exist only once somebody asks for them
 * (the global `Response` and `Headers` cost 18 MB of memory and most of the time of a small call).
 */
import type { Answer } from "./exchange";
import { notJson } from "./faults";

/** Where the bytes come from: the network, or one half of a clone. */
type Next = () => Promise<Uint8Array | undefined>;

const NO_BODY = [204, 205, 304];

/** The part of an answer that does not change. */
interface Head extends Pick<Answer, "status" | "statusText" | "headers"> {
  url: URL;
  redirected: boolean;
}

export function toResponse(answer: Answer, method: string, url: URL, redirected: boolean): Response {
  const { status, statusText, headers, body } = answer;
  const empty = method === "HEAD" || NO_BODY.includes(status);
  const response = new FetchedResponse(
    { status, statusText, headers, url, redirected },
    empty ? null : () => body.next(),
    () => {
      const cancelled = new DOMException("The answer was cancelled.", "AbortError");
      body.fail(cancelled);
    },
  );
  return response as Response;
}

class FetchedResponse {
  readonly type = "basic" as const;
  readonly status: number;
  readonly statusText: string;
  readonly redirected: boolean;
  readonly #head: Head;
  readonly #cancel: () => void;
  #next: Next | null;
  #stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #headers: Headers | undefined;
  #used = false;

  constructor(head: Head, next: Next | null, cancel: () => void) {
    this.#head = head;
    this.#next = next;
    this.#cancel = cancel;
    this.status = head.status;
    this.statusText = head.statusText;
    this.redirected = head.redirected;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get url(): string {
    return this.#head.url.href;
  }

  get headers(): Headers {
    if (!this.#headers) {
      this.#headers = new Headers();
      for (const [name, value] of this.#head.headers) {
        try {
          this.#headers.append(name, value);
        } catch {
          // Not a header by the standard: of no use to anybody.
        }
      }
    }
    return this.#headers;
  }

  get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    if (!this.#next) return null;
    this.#stream ??= streamOf(this.#next, this.#cancel, () => {
      this.#used = true;
    });
    return this.#stream;
  }

  get bodyUsed(): boolean {
    return this.#used;
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#all();
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const all = await this.#all();
    return all.buffer.slice(all.byteOffset, all.byteOffset + all.byteLength);
  }

  async text(): Promise<string> {
    const all = await this.#all();
    // A byte order mark is no part of the text.
    const start = all[0] === 0xef && all[1] === 0xbb && all[2] === 0xbf ? 3 : 0;
    return all.toString("utf8", start);
  }

  /** Rejects with ChannelError `not-json`, whose fault fits the status: a proxy's error page, for example. */
  async json(): Promise<unknown> {
    const text = await this.text();
    try {
      return JSON.parse(text);
    } catch {
      throw notJson(this.#head.url.host, this.status);
    }
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.#all()], { type: this.headers.get("content-type") ?? "" });
  }

  async formData(): Promise<FormData> {
    return new Response(await this.#all(), { headers: this.headers }).formData();
  }

  clone(): FetchedResponse {
    if (this.#used) throw new TypeError("The answer was already read.");
    if (!this.#next) return new FetchedResponse(this.#head, null, this.#cancel);
    const [ours, theirs] = streamOf(this.#next, this.#cancel).tee();
    this.#stream = undefined;
    this.#next = nextOf(ours);
    return new FetchedResponse(this.#head, nextOf(theirs), this.#cancel);
  }

  async #all(): Promise<Buffer<ArrayBuffer>> {
    if (this.#used) throw new TypeError("The answer was already read.");
    if (!this.#next) return Buffer.alloc(0);
    this.#used = true;
    const chunks: Uint8Array[] = [];
    for (let chunk = await this.#next(); chunk; chunk = await this.#next()) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
}

/** Takes nothing from the network before somebody reads. */
function streamOf(
  next: Next,
  cancel: () => void,
  onUse?: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream(
    {
      async pull(controller) {
        onUse?.();
        const chunk = await next();
        if (chunk) controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
        else controller.close();
      },
      cancel() {
        onUse?.();
        cancel();
      },
    },
    { highWaterMark: 0 },
  );
}

function nextOf(stream: ReadableStream<Uint8Array>): Next {
  const reader = stream.getReader();
  return async () => (await reader.read()).value;
}
