/** Keeps count of one run: who was asked what and when, and whether each answer is right. */
import type { Latency, Report } from "./orders";

/** Stands behind the number, so that messages are as long as real ones are. */
const WORDS = " Could you tell me when the shop opens tomorrow?";

export class Tally {
  readonly #prefix: string;
  readonly #chats: number[] = [];
  readonly #bots: number[] = [];
  readonly #askedAt: number[] = [];
  /** Milliseconds by message; -1: no answer yet. */
  readonly #took: number[] = [];
  readonly #newestOf = new Map<number, number>();
  readonly calls: Record<string, number> = {};
  answered = 0;
  #doubled = 0;
  #strayed = 0;
  #disordered = 0;
  #lastAt = 0;

  constructor(run: number) {
    this.#prefix = `m${run}-`;
  }

  get asked(): number {
    return this.#chats.length;
  }

  get open(): number {
    return this.asked - this.answered;
  }

  /** Notes a new message; answers its text. */
  ask(bot: number, chat: number): string {
    const index = this.#chats.length;
    this.#chats.push(chat);
    this.#bots.push(bot);
    this.#askedAt.push(performance.now());
    this.#took.push(-1);
    return this.#prefix + index + WORDS;
  }

  /** Notes an answer. True when it is the first one to its message, in the right chat. */
  answer(bot: number, chat: number, text: string): boolean {
    const dash = text.indexOf("-");
    const index = Number.parseInt(text.slice(dash + 1), 10);
    // What an earlier run left behind shows here, too.
    const known = text.startsWith(this.#prefix) && this.#chats[index] === chat && this.#bots[index] === bot;
    if (!known || !text.endsWith(WORDS)) {
      this.#strayed += 1;
      return false;
    }
    if ((this.#took[index] as number) >= 0) {
      this.#doubled += 1;
      return false;
    }
    this.#lastAt = performance.now();
    this.#took[index] = this.#lastAt - (this.#askedAt[index] as number);
    this.answered += 1;
    if ((this.#newestOf.get(chat) ?? -1) > index) this.#disordered += 1;
    else this.#newestOf.set(chat, index);
    return true;
  }

  call(method: string): void {
    this.calls[method] = (this.calls[method] ?? 0) + 1;
  }

  /** `hotBot`: reported apart from the others. */
  report(platformCpu: number, hotBot?: number): Report {
    const took = this.#took.filter((ms) => ms >= 0);
    const others = this.#took.filter((ms, index) => ms >= 0 && this.#bots[index] !== hotBot);
    return {
      messages: this.asked,
      lost: this.open,
      doubled: this.#doubled,
      strayed: this.#strayed,
      disordered: this.#disordered,
      seconds: Math.max(0, this.#lastAt - (this.#askedAt[0] ?? 0)) / 1000,
      platformCpu,
      latency: latencyOf(took),
      ...(hotBot === undefined ? {} : { latencyOfOthers: latencyOf(others) }),
      calls: this.calls,
    };
  }
}

function latencyOf(took: number[]): Latency {
  const sorted = Float64Array.from(took).sort();
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
