/** The page's side of the protocol: one stream of events down, posts up. All addresses are relative. */
import { keeper, randomName } from "./dom";

export interface FileView {
  id: string;
  kind: "image" | "audio" | "voice" | "video" | "file";
  mime: string;
  name: string;
  size: number;
}

/** A message as the server shows it. `html` was made by the server and is safe; `text` never is. */
export interface MessageView {
  id: string;
  seq: number;
  from: "visitor" | "bot";
  at: number;
  text: string;
  html?: string;
  buttons?: { label: string; value?: string; url?: string }[][];
  files?: FileView[];
  replyTo?: string;
  nonce?: string;
  reaction?: string;
  edited?: boolean;
  deleted?: boolean;
}

export interface Hello {
  visitor: string;
  /** Only for a page that may have no cookies: it keeps this pass itself. */
  pass?: string;
  title: string;
  greeting: string;
  suggestions: string[];
}

export type State = "connecting" | "online" | "reconnecting" | "paused";

export interface Listener {
  hello(hello: Hello): void;
  message(message: MessageView): void;
  ready(): void;
  typing(): void;
  state(state: State): void;
  /** The server wants the access code. */
  locked(): void;
}

/** A post that did not succeed. `status` 0: the server was not reached. */
export class Problem extends Error {
  readonly status: number;
  readonly code?: string;
  readonly sentence?: string;
  /** Seconds. */
  readonly retryAfter?: number;

  constructor(status: number, about: { code?: string; sentence?: string; retryAfter?: number } = {}) {
    super(about.sentence ?? `status ${status}`);
    this.status = status;
    this.code = about.code;
    this.sentence = about.sentence;
    this.retryAfter = about.retryAfter;
  }

  /** The same post may succeed later. */
  get passing(): boolean {
    return (
      this.status === 0 ||
      // Not our own 404: Node-RED is up, its flows are not yet.
      (this.status === 404 && this.code === undefined) ||
      this.status === 401 ||
      this.status === 408 ||
      this.status === 429 ||
      this.status >= 500
    );
  }
}

/** Nothing heard for this long (the server says something every 15 s): the connection is dead. */
const SILENCE_MS = 40_000;
const RETRY_MAX_MS = 10_000;

const kept = keeper("localStorage");

export class Server {
  readonly #listener: Listener;
  /** True: the pass travels in a header, because cookies do not work here. */
  #bare: boolean;
  #visitor?: string;
  #after = 0;
  #tries = 0;
  #reading?: AbortController;
  /** Waiting for the access code: asking again does not help. */
  #locked = false;
  #timer?: number;
  #strangerCount = 0;

  constructor(listener: Listener, embedded: boolean) {
    this.#listener = listener;
    this.#bare = embedded;
    addEventListener("online", () => this.wake());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.wake();
    });
  }

  get known(): boolean {
    return this.#visitor !== undefined;
  }

  /** Connects now, if not connected already. */
  wake(): void {
    if (this.#reading || this.#locked) return;
    clearTimeout(this.#timer);
    void this.#read();
  }

  #restart(): void {
    this.#reading?.abort();
    this.#reading = undefined;
    this.wake();
  }

  #headers(more: Record<string, string> = {}): Record<string, string> {
    const headers: Record<string, string> = { "X-Redclaw": "1", ...more };
    if (!this.#bare) return headers;
    headers["X-Redclaw-Visitor"] = kept.get("pass") ?? "new";
    const access = kept.get("access");
    if (access) headers["X-Redclaw-Access"] = access;
    return headers;
  }

  async #read(): Promise<void> {
    const reading = new AbortController();
    this.#reading = reading;
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = window.setTimeout(() => reading.abort(), SILENCE_MS);
    };
    let wait: number | undefined;
    try {
      alive();
      const response = await fetch(`events?after=${this.#after}`, {
        headers: this.#headers(),
        cache: "no-store",
        signal: reading.signal,
      });
      if (!response.ok || !response.body) {
        const problem = await problemOf(response);
        if (problem.code === "access") {
          this.#reading = undefined;
          this.#locked = true;
          this.#listener.locked();
          return;
        }
        wait = problem.retryAfter;
        throw problem;
      }
      const decoder = new TextDecoderStream();
      const reader = response.body
        .pipeThrough(decoder as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>)
        .getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        alive();
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop() as string;
        for (const block of blocks) {
          if (this.#hear(block) === "bye") {
            reading.abort();
            return;
          }
        }
      }
    } catch {
      // Cut off, refused or not reached: the same to the visitor, it is tried again below.
    } finally {
      clearTimeout(watchdog);
      if (this.#reading === reading) {
        this.#reading = undefined;
        this.#again(wait);
      }
    }
  }

  #again(waitSeconds?: number): void {
    this.#listener.state("reconnecting");
    this.#tries += 1;
    const backoff = Math.min(RETRY_MAX_MS, 300 * 2 ** this.#tries) * (0.5 + Math.random() / 2);
    this.#timer = window.setTimeout(() => this.wake(), Math.max(backoff, (waitSeconds ?? 0) * 1000));
  }

  /** One event of the stream. */
  #hear(block: string): "bye" | undefined {
    let event = "";
    let data = "";
    let id = 0;
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) event = line.slice(7);
      else if (line.startsWith("data: ")) data = line.slice(6);
      else if (line.startsWith("id: ")) id = Number(line.slice(4));
    }
    if (!data) return undefined;
    const value = JSON.parse(data);
    if (event === "hello") this.#welcome(value);
    else if (event === "message") this.#listener.message(value);
    else if (event === "typing") this.#listener.typing();
    else if (event === "ready") {
      this.#listener.ready();
      this.#listener.state("online");
    } else if (event === "bye") {
      this.#reading = undefined;
      this.#listener.state("paused");
      return "bye";
    }
    if (id > 0) this.#after = id;
    return undefined;
  }

  #welcome(hello: Hello): void {
    if (hello.pass) kept.set("pass", hello.pass);
    if (this.#visitor !== hello.visitor) this.#after = 0;
    this.#visitor = hello.visitor;
    this.#tries = 0;
    this.#listener.hello(hello);
  }

  /** Posts a message; resolves when the server has it safe. Rejects with a Problem. */
  async message(body: object): Promise<void> {
    await this.#post("messages", JSON.stringify(body), { "Content-Type": "application/json" });
    this.#strangerCount = 0;
  }

  async upload(file: File, signal: AbortSignal): Promise<FileView> {
    const headers = {
      "Content-Type": "application/octet-stream",
      "X-Redclaw-Name": encodeURIComponent(file.name || `${randomName().slice(0, 6)}.png`),
      "X-Redclaw-Type": file.type,
    };
    return (await this.#post("files", file, headers, signal)) as FileView;
  }

  /** Tries an access code; resolves when it was right. */
  async unlock(code: string): Promise<void> {
    const answer = await this.#post("access", JSON.stringify({ token: code }), {
      "Content-Type": "application/json",
    });
    const { access } = answer as { access?: string };
    if (access) kept.set("access", access);
    this.#locked = false;
    this.#restart();
  }

  async #post(
    place: string,
    body: BodyInit,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const late = AbortSignal.timeout(place === "files" ? 120_000 : 20_000);
    let response: Response;
    try {
      response = await fetch(place, {
        method: "POST",
        headers: this.#headers(headers),
        body,
        signal: signal ? AbortSignal.any([signal, late]) : late,
      });
    } catch {
      throw new Problem(0);
    }
    if (response.ok) return response.json().catch(() => ({}));
    const problem = await problemOf(response);
    if (problem.code === "no-visitor") this.#stranger();
    if (problem.code === "access") this.#restart();
    throw problem;
  }

  /** The server does not know us: it gives a new pass. Where cookies do not stay, the page keeps the pass itself. */
  #stranger(): void {
    this.#strangerCount += 1;
    if (this.#strangerCount > 1) this.#bare = true;
    this.#restart();
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const about = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get("Retry-After")) || undefined;
  return new Problem(response.status, { retryAfter, ...about });
}
