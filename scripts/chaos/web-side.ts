/** Visitors of a web chat page: they post until they are told that it arrived, and listen as the page does. */
import { type Asked, answerTo, type Delivered, newId, type Side } from "./side";
import { sleep } from "./wait";

interface Post {
  id: string;
  nonce: string;
  at: number;
  acknowledged: boolean;
  /** What the server calls it. */
  messageId?: string;
}

interface Heard {
  id: string;
  messageId: string;
  at: number;
}

/** A page keeps the last 200 entries of a visitor: after so many messages somebody new comes. */
const MESSAGES_PER_VISITOR = 90;
/** More than the channel's 20 a minute after the first 10 would be told to slow down. */
const PACE_MS = 3_000;

class Visitor {
  readonly base: () => string;
  readonly headers: Record<string, string>;
  readonly posts: Post[] = [];
  readonly heard: Heard[] = [];
  conversation = "";
  #working: Promise<void> = Promise.resolve();
  #stream?: AbortController;
  #ended = false;
  waiting = 0;
  lastPost = 0;

  constructor(base: () => string, number: number) {
    this.base = base;
    // Visitors come from different addresses, so that the limits per address are not what is tested.
    this.headers = { "X-Redclaw": "1", "X-Forwarded-For": `8.${8 + (number >> 8)}.${number & 255}.9` };
    void this.#listen();
  }

  say(id: string): void {
    const post: Post = { id, nonce: `nonce-${id}-${process.pid}`, at: Date.now(), acknowledged: false };
    this.posts.push(post);
    this.waiting += 1;
    this.lastPost = Date.now();
    this.#working = this.#working
      .then(() => this.#post(post))
      .finally(() => {
        this.waiting -= 1;
      });
  }

  async #post(post: Post): Promise<void> {
    while (!this.#ended) {
      const answer = this.headers["Cookie"]
        ? await fetch(`${this.base()}messages`, {
            method: "POST",
            headers: { ...this.headers, "Content-Type": "application/json" },
            body: JSON.stringify({ nonce: post.nonce, text: post.id }),
            signal: AbortSignal.timeout(10_000),
          }).catch(() => undefined)
        : undefined;
      const told = (await answer?.json().catch(() => ({}))) as { messageId?: string } | undefined;
      if (answer?.ok) {
        post.acknowledged = true;
        post.messageId = told?.messageId;
        return;
      }
      await sleep(answer?.status === 429 ? 500 : 60);
    }
  }

  async #listen(): Promise<void> {
    while (!this.#ended) {
      this.#stream = new AbortController();
      try {
        const response = await fetch(`${this.base()}events?after=0`, {
          headers: this.headers,
          signal: this.#stream.signal,
        });
        if (response.ok) {
          const cookie = response.headers.getSetCookie()[0]?.split(";")[0];
          if (cookie) this.headers["Cookie"] = cookie;
          await this.#hear(response);
        } else await response.body?.cancel();
      } catch {
        // The server is gone, or not there yet.
      }
      if (!this.#ended) await sleep(60);
    }
  }

  async #hear(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      rest += decoder.decode(chunk, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() as string;
      for (const block of blocks) {
        const event = /^event: (\w+)$/m.exec(block)?.[1];
        const data = JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "{}") as {
          visitor?: string;
          id?: string;
          from?: string;
          deleted?: boolean;
        };
        if (event === "hello" && data.visitor) this.conversation = data.visitor;
        if (event !== "message" || data.from !== "bot" || data.deleted) continue;
        const id = answerTo(JSON.stringify(data));
        const messageId = data.id ?? "";
        if (id !== undefined && !this.heard.some((one) => one.messageId === messageId))
          this.heard.push({ id, messageId, at: Date.now() });
      }
    }
  }

  leave(): void {
    this.#ended = true;
    this.#stream?.abort();
  }
}

export class WebSide implements Side {
  readonly account: string;
  readonly promised = "key";
  readonly #visitors: Visitor[] = [];
  readonly #places: number[] = [];
  readonly #base: () => string;

  /** `base`: address of the page, with a slash at its end. */
  constructor(account: string, base: () => string) {
    this.account = account;
    this.#base = base;
  }

  /** Opens pages before anybody writes. */
  open(visitors: number): void {
    for (let who = 0; who < visitors; who += 1) this.#at(who);
  }

  #at(who: number): Visitor {
    let index = this.#places[who];
    if (index === undefined || (this.#visitors[index] as Visitor).posts.length >= MESSAGES_PER_VISITOR) {
      index = this.#visitors.length;
      this.#places[who] = index;
      this.#visitors.push(new Visitor(this.#base, index));
    }
    return this.#visitors[index] as Visitor;
  }

  /** Visitor number `who` writes. Undefined when that would be faster than the page allows. */
  ask(who: number): string | undefined {
    const visitor = this.#at(who);
    if (visitor.posts.length >= 8 && Date.now() - visitor.lastPost < PACE_MS) return undefined;
    const id = newId();
    visitor.say(id);
    return id;
  }

  /** Posts that nobody answered with 2xx yet. */
  get waiting(): number {
    return this.#visitors.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  get answers(): number {
    return this.#visitors.reduce((sum, { heard }) => sum + heard.length, 0);
  }

  asked(): Asked[] {
    return this.#visitors.flatMap(({ posts, conversation }) =>
      posts.map(({ id, at, acknowledged, messageId }) => ({
        id,
        at,
        acknowledged,
        conversation,
        ...(messageId === undefined ? {} : { eventId: `web:${this.account}:${messageId}` }),
      })),
    );
  }

  delivered(): Delivered[] {
    return this.#visitors.flatMap(({ heard, conversation }) =>
      heard.map((one) => ({ ...one, conversation })),
    );
  }

  async stop(): Promise<void> {
    for (const visitor of this.#visitors) visitor.leave();
  }
}
