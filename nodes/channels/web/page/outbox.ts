/** What the visitor wrote and the server has not confirmed: kept over a reload, sent in order, never twice. */
import { keeper, randomName } from "./dom";
import { type FileView, Problem, type Server } from "./server";
import { explain } from "./words";

export interface Outgoing {
  /** The same on every try: the server recognises it. */
  nonce: string;
  text: string;
  files: FileView[];
  button?: { messageId: string; value: string };
  at: number;
  state: "sending" | "waiting" | "failed";
  /** Why it failed. */
  sentence?: string;
}

const KEEP_MS = 24 * 3_600_000;
const RETRY_MAX_MS = 15_000;
const kept = keeper("localStorage");

export class Outbox {
  readonly #server: Server;
  /** Hears of every change; `sent` when the server has it. */
  readonly #changed: (outgoing: Outgoing, sent: boolean) => void;
  #waiting: Outgoing[] = [];
  /** Nonces of all that this page has had in its hands; what else is kept waits in another tab. */
  readonly #handled = new Set<string>();
  #busy = false;
  #tries = 0;
  #timer?: number;

  constructor(server: Server, changed: (outgoing: Outgoing, sent: boolean) => void) {
    this.#server = server;
    this.#changed = changed;
  }

  /** Takes up what an earlier page left. */
  restore(): void {
    this.#waiting = keptOutbox();
    for (const outgoing of this.#waiting) {
      this.#handled.add(outgoing.nonce);
      this.#changed(outgoing, false);
    }
  }

  has(nonce: string | undefined): boolean {
    return this.#waiting.some((outgoing) => outgoing.nonce === nonce);
  }

  add(what: Pick<Outgoing, "text" | "files" | "button">): void {
    const outgoing: Outgoing = { ...what, nonce: randomName(), at: Date.now(), state: "sending" };
    this.#waiting.push(outgoing);
    this.#handled.add(outgoing.nonce);
    this.#keep();
    this.#changed(outgoing, false);
    this.flush();
  }

  retry(nonce: string): void {
    for (const outgoing of this.#waiting) if (outgoing.nonce === nonce) this.#set(outgoing, "sending");
    this.flush();
  }

  discard(nonce: string): void {
    this.#waiting = this.#waiting.filter((outgoing) => outgoing.nonce !== nonce);
    this.#keep();
  }

  /** Sends what waits, one after the other. */
  flush(): void {
    clearTimeout(this.#timer);
    if (!this.#busy && this.#server.known) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      for (let next = this.#next(); next; next = this.#next()) {
        if (!(await this.#send(next))) break;
      }
    } finally {
      this.#busy = false;
    }
  }

  #next(): Outgoing | undefined {
    return this.#waiting.find(({ state }) => state !== "failed");
  }

  /** False when the rest has to wait. */
  async #send(outgoing: Outgoing): Promise<boolean> {
    const { nonce, text, files, button } = outgoing;
    try {
      await this.#server.message(
        button ? { nonce, button } : { nonce, text, files: files.map(({ id }) => id) },
      );
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0);
      if (!problem.passing) {
        outgoing.sentence = explain(problem);
        this.#set(outgoing, "failed");
        return true;
      }
      outgoing.sentence = problem.code === "too-fast" ? explain(problem) : undefined;
      this.#set(outgoing, "waiting");
      this.#tries += 1;
      const wait = problem.retryAfter
        ? problem.retryAfter * 1000
        : Math.min(RETRY_MAX_MS, 500 * 2 ** this.#tries);
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => this.flush(), wait);
      return false;
    }
    this.#tries = 0;
    this.discard(nonce);
    this.#changed(outgoing, true);
    return true;
  }

  #set(outgoing: Outgoing, state: Outgoing["state"]): void {
    outgoing.state = state;
    this.#keep();
    this.#changed(outgoing, false);
  }

  #keep(): void {
    const all = [...keptOutbox().filter(({ nonce }) => !this.#handled.has(nonce)), ...this.#waiting];
    kept.set("outbox", all.length > 0 ? JSON.stringify(all) : undefined);
  }
}

function keptOutbox(): Outgoing[] {
  try {
    const left: Outgoing[] = JSON.parse(kept.get("outbox") ?? "[]");
    return left.filter(
      (outgoing) => outgoing.at > Date.now() - KEEP_MS && typeof outgoing.nonce === "string",
    );
  } catch {
    return [];
  }
}
