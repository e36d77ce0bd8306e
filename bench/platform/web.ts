/** Visitors of the chat page: each has its stream open, posts a message and waits for the answer. */
import { listen, Wire } from "../wire";

/** The page lets a visitor write 10 messages at once, then 20 a minute. */
const MESSAGES_EACH = 9;
const OPENING_AT_ONCE = 20;
const CONNECTIONS = 32;

interface Visitor {
  number: number;
  pass: string;
  headers: string;
  left: number;
}

export class Visitors {
  readonly #page: URL;
  readonly #idle: Visitor[] = [];
  readonly #ends: (() => void)[] = [];
  readonly #wires: Wire[] = [];
  readonly #onAnswer: (visitor: number, text: string) => void;
  /** Posts that were not taken. */
  refused = 0;

  /** `onAnswer` gets the visitor's number and what the bot wrote. */
  constructor(page: string, onAnswer: (visitor: number, text: string) => void) {
    this.#page = new URL(page);
    this.#onAnswer = onAnswer;
  }

  /** Opens the page for visitors `first` to `first + count - 1`. Rejects when the page does not let them in. */
  async arrive(first: number, count: number): Promise<void> {
    // The streams of the visitors before these may just be ending: the page holds 1,000 at most.
    await new Promise((resolve) => setTimeout(resolve, 200));
    let next = first;
    const some = async () => {
      while (next < first + count) await this.#open(next++);
    };
    await Promise.all(Array.from({ length: OPENING_AT_ONCE }, some));
  }

  #open(number: number): Promise<void> {
    // Everybody comes from an address of their own, as through a proxy: the page has a limit for each.
    const address = `X-Forwarded-For: 11.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}\r\n`;
    const port = Number(this.#page.port);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const visitor: Visitor = { number, pass: "", headers: "", left: MESSAGES_EACH };
    const onEvent = (event: string, data: string) => {
      if (event === "message") this.#hear(visitor, data);
      else if (event === "hello") {
        visitor.pass = (JSON.parse(data) as { pass: string }).pass;
        visitor.headers = `X-Redclaw: 1\r\nX-Redclaw-Visitor: ${visitor.pass}\r\n${address}`;
      } else if (event === "ready") {
        this.#idle.push(visitor);
        resolve();
      }
    };
    const end = listen(
      port,
      `${this.#page.pathname}events?after=0`,
      `X-Redclaw: 1\r\nX-Redclaw-Visitor: new\r\n${address}`,
      onEvent,
      (head) => reject(new Error(`The chat page did not open: ${head.split("\r\n")[0]}`)),
    );
    this.#ends.push(end);
    return promise;
  }

  #hear(visitor: Visitor, data: string): void {
    if (!data.includes('"from":"bot"')) return;
    const { text } = JSON.parse(data) as { text: string };
    if (visitor.left > 0) this.#idle.push(visitor);
    this.#onAnswer(visitor.number, text);
  }

  /** Somebody who waits for no answer writes; `textFor` gets the visitor's number. False: nobody may. */
  say(textFor: (visitor: number) => string): boolean {
    const visitor = this.#idle.shift();
    if (!visitor) return false;
    visitor.left -= 1;
    const lane = visitor.number % CONNECTIONS;
    this.#wires[lane] ??= new Wire(Number(this.#page.port));
    const nonce = `bench-${visitor.number}-${visitor.left}`;
    const body = `{"nonce":"${nonce}","text":"${textFor(visitor.number)}"}`;
    this.#wires[lane]?.post(`${this.#page.pathname}messages`, visitor.headers, body, (status) => {
      if (status !== 202) this.refused += 1;
    });
    return true;
  }

  leave(): void {
    for (const end of this.#ends.splice(0)) end();
    for (const wire of this.#wires.splice(0)) wire?.close();
  }
}
