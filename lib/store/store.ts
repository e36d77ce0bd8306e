/**
 * Where the gateway keeps what must survive: one contract, implemented in memory, by SQLite and (later) Postgres,
 * and checked by one suite (`test/store/suite.ts`).
 *
 * A store holds rows in spaces. Writes go in atomic commits: when `commit` resolves, all of them are as durable as
 * the store can make them; when it rejects, none happened. Commits of several callers may share one fsync.
 */
export type Json = unknown;

export interface Row {
  space: string;
  key: string;
  /** Small things that may lie open on the disk: numbers, ids, codes. */
  value: Json;
  /**
   * What people wrote, and everything else that is nobody's business: encrypted at rest. `undefined` when it was
   * wiped, or when the key that could read it is gone.
   */
  body?: Json;
  /** What became of the row, oldest first; `update` adds to it. */
  trail?: readonly TrailStep[];
  /** Ledger columns, to find rows by. */
  state?: string;
  account?: string;
  conversation?: string;
  /** Milliseconds since 1970. Orders `find`. */
  at: number;
  /** Milliseconds since 1970; after it the row is as good as gone. */
  expires?: number;
}

/** State, milliseconds since 1970, and why (an error code or a sentence; never what people wrote). */
export type TrailStep = readonly [state: string, at: number, reason?: string];

export type Write =
  /** Adds the row, or replaces it. */
  | { put: Row }
  /** Adds the row unless its key is there already; the commit's answer tells. */
  | { insert: Row }
  /** Changes fields of a row, only if it exists and (when given) is in `ifState`. */
  | {
      update: {
        space: string;
        key: string;
        ifState?: string;
        value?: Json;
        /** `null` wipes it. */
        body?: Json;
        /** Added at the end of the trail. */
        trail?: readonly TrailStep[];
        state?: string;
        at?: number;
        expires?: number;
      };
    }
  | { delete: { space: string; key: string } };

export interface Query {
  space: string;
  state?: string | readonly string[];
  account?: string;
  conversation?: string;
  prefix?: string;
  /** Only rows with `at` below this. */
  before?: number;
  order?: "oldest" | "newest";
  limit?: number;
  offset?: number;
  /** Leaves `body` out: quicker, and nothing is decrypted. */
  bare?: boolean;
}

/** Rows in these states need no further work: they may make room, and no index finds them by their state. */
export const FINAL_STATES = ["settled", "sent", "dismissed"] as const;

export interface Store {
  readonly kind: "memory" | "sqlite" | "postgres";
  /** True when rows outlive the process. */
  readonly durable: boolean;
  /** Sentences the user should see, for example that a damaged database was set aside. */
  readonly notices: readonly string[];
  /** Applies all or none. Answers per write: did it change anything (`insert` of a known key: false)? */
  commit(writes: readonly Write[]): Promise<boolean[]>;
  get(space: string, key: string): Promise<Row | undefined>;
  /** Rows in order of `at`, then of insertion. Default: oldest first, at most 100. */
  find(query: Query): Promise<Row[]>;
  count(query: Omit<Query, "order" | "limit" | "offset">): Promise<number>;
  /** Removes expired rows; answers how many. */
  sweep(now?: number): Promise<number>;
  close(): Promise<void>;
}
