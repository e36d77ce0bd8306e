/** What the bench tells the platform to do, and what the platform reports (over the child's IPC channel). */

/** One stretch of load. */
export interface Order {
  transport: "telegram" | "web";
  /** Bots whose chats write (numbers before the colon of their tokens). Not for `web`. */
  bots: number[];
  /** Where bots that have set a webhook are called, `http://127.0.0.1:<port>`. */
  origin?: string;
  /** `web`: address of the page, with a slash at its end. */
  page?: string;
  /** Chats, over all bots. `web`: visitors, each with a page open. */
  conversations: number;
  /** Number of the first chat: other numbers are other people. */
  firstChat?: number;
  /** Exponent of the Zipf distribution of messages over chats (0: all alike), or one after the other. Not for `web`. */
  zipf: number | "in turn";
  /** Exponent of the Zipf distribution of chats over bots; without it, chats are dealt out in turns. */
  zipfOfBots?: number;
  /**
   * This many messages unanswered at any time, or this many new ones a second. `hotBotTimes`: the first bot gets so
   * many times the messages of each other one.
   */
  pace: { window: number } | { perSecond: number; hotBotTimes?: number };
  /** Whichever comes first ends the load; then the answers still on their way are awaited. */
  forMs: number;
  messages?: number;
  seed: number;
}

/** Milliseconds from the moment an update is ready to its answer. */
export interface Latency {
  p50: number;
  p99: number;
  max: number;
}

export interface Report {
  /** Updates that were made; `lost` of them found no answer within the time limit. */
  messages: number;
  lost: number;
  doubled: number;
  /** Answers in another chat, or to nothing we know. */
  strayed: number;
  /** Answers that overtook an earlier one of their chat. */
  disordered: number;
  /** From the first update to the last answer. */
  seconds: number;
  /** Part of one core that the platform itself used, 0 to 1. */
  platformCpu: number;
  latency: Latency;
  /** With `hotBotTimes`: the messages of all bots but the first. */
  latencyOfOthers?: Latency;
  /** Calls that the system made, by method. */
  calls: Record<string, number>;
}

export type ToPlatform =
  /** Makes ready (visitors open their pages), says so, and waits for `go`. */
  | { ask: number; do: "run"; order: Order }
  | { do: "go" }
  /** Answers when all these bots receive (have polled, or have set a webhook). */
  | { ask: number; do: "await-bots"; bots: number[] };

export type FromPlatform =
  | { listening: number }
  | { ready: number }
  | { answer: number; report?: Report; error?: string };
