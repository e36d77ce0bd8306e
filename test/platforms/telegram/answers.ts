/** What the Bot API answers when it says no, in its own words. */
export class Refusal extends Error {
  constructor(
    readonly code: number,
    description: string,
    readonly parameters?: { retry_after?: number; migrate_to_chat_id?: number },
  ) {
    super(description);
  }
}

export const badRequest = (description: string) => new Refusal(400, `Bad Request: ${description}`);

/** A fault on demand, for the next call of a method. */
export type Fault =
  /** Too many requests; the seconds in `parameters`. */
  | { kind: "rate"; retryAfter: number }
  /** An answer of the Bot API that says no. */
  | { kind: "error"; code: number; description: string; migrateTo?: number }
  /** A page of some proxy in between. */
  | { kind: "page"; status: number; body?: string }
  /** Nothing for so long, then as usual. */
  | { kind: "slow"; ms: number }
  /** The connection is cut before anything is done. */
  | { kind: "drop-before" }
  /** Everything is done, and the connection is cut instead of the answer. */
  | { kind: "drop-after" };
