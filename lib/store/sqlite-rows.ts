/** The SQL that writes rows and reads one: an object per connection, every statement prepared once. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { RowRecord, Step, Update } from "./record";
import type { Seal } from "./seal";

export const COLUMNS = "space, key, json, state, account, conversation, at, expires, trail";
export const LIVE = "(expires IS NULL OR expires > ?)";
const INSERT = `INTO rows (${COLUMNS}, body) VALUES (?,?,?,?,?,?,?,?,?,?)`;

export class SqliteRows {
  readonly #db: DatabaseSync;
  readonly #seal: Seal;
  readonly #statements = new Map<string, StatementSync>();
  readonly #insert: StatementSync;
  /** One form for each set of changes: SQLite leaves alone the columns and indexes that it does not name. */
  readonly #updates: (StatementSync | undefined)[] = [];

  constructor(db: DatabaseSync, seal: Seal) {
    this.#db = db;
    this.#seal = seal;
    this.#insert = db.prepare(`INSERT ${INSERT} ON CONFLICT DO NOTHING`);
  }

  /** Statement without parameters, such as BEGIN. */
  run(sql: string): void {
    this.#prepare(sql).run();
  }

  /** Does one write; answers whether it changed anything. Expired rows are as good as absent. */
  apply(step: Step, now: number): boolean {
    switch (step.do) {
      case "put":
        return changes(this.#prepare(`INSERT OR REPLACE ${INSERT}`), this.#columns(step.row));
      case "insert": {
        const columns = this.#columns(step.row);
        return (
          changes(this.#insert, columns) ||
          (this.#dropExpired(step.row, now) && changes(this.#insert, columns))
        );
      }
      case "update":
        return this.#update(step, now);
      case "delete":
        return changes(this.#prepare(`DELETE FROM rows WHERE space = ? AND key = ? AND ${LIVE}`), [
          step.space,
          step.key,
          now,
        ]);
    }
  }

  get(space: string, key: string, now: number): RowRecord | undefined {
    const row = this.#prepare(
      `SELECT ${COLUMNS}, body FROM rows WHERE space = ? AND key = ? AND ${LIVE}`,
    ).get(space, key, now);
    return row && this.toRecord(row);
  }

  /** Removes up to `limit` expired rows. */
  sweep(now: number, limit: number): number {
    const sql = "DELETE FROM rows WHERE seq IN (SELECT seq FROM rows WHERE expires <= ? LIMIT ?)";
    return Number(this.#prepare(sql).run(now, limit).changes);
  }

  /** A row of `COLUMNS`, with or without `body`. */
  toRecord(row: Record<string, unknown>): RowRecord {
    const body = row["body"] as Uint8Array | null | undefined;
    return {
      space: row["space"] as string,
      key: row["key"] as string,
      json: row["json"] as string,
      body: body ? this.#seal.open(body) : undefined,
      trail: (row["trail"] as string | null) ?? undefined,
      state: (row["state"] as string | null) ?? undefined,
      account: (row["account"] as string | null) ?? undefined,
      conversation: (row["conversation"] as string | null) ?? undefined,
      at: row["at"] as number,
      expires: (row["expires"] as number | null) ?? undefined,
    };
  }

  #update(step: Update, now: number): boolean {
    const { json, body, trail, state, at, expires, ifState } = step;
    let form = 0;
    const values: SQLInputValue[] = [];
    if (json !== undefined) {
      form |= 1;
      values.push(json);
    }
    if (body === null) form |= 2;
    else if (body !== undefined) {
      form |= 4;
      values.push(this.#seal.seal(body));
    }
    if (trail !== undefined) {
      form |= 8;
      values.push(trail);
    }
    if (state !== undefined) {
      form |= 16;
      values.push(state);
    }
    if (at !== undefined) {
      form |= 32;
      values.push(at);
    }
    if (expires !== undefined) {
      form |= 64;
      values.push(expires);
    }
    values.push(step.space, step.key, now);
    if (ifState !== undefined) {
      form |= 128;
      values.push(ifState);
    }
    let statement = this.#updates[form];
    if (!statement) {
      statement = this.#db.prepare(updateSql(form));
      this.#updates[form] = statement;
    }
    return changes(statement, values);
  }

  #dropExpired(row: RowRecord, now: number): boolean {
    return changes(this.#prepare("DELETE FROM rows WHERE space = ? AND key = ? AND expires <= ?"), [
      row.space,
      row.key,
      now,
    ]);
  }

  #columns(row: RowRecord): SQLInputValue[] {
    return [
      row.space,
      row.key,
      row.json,
      row.state ?? null,
      row.account ?? null,
      row.conversation ?? null,
      row.at,
      row.expires ?? null,
      row.trail ?? null,
      row.body === undefined ? null : this.#seal.seal(row.body),
    ];
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function updateSql(form: number): string {
  const sets = [
    "json = ?",
    "body = NULL",
    "body = ?",
    "trail = coalesce(trail, '') || ?",
    "state = ?",
    "at = ?",
    "expires = ?",
  ].filter((_, bit) => form & (1 << bit));
  const inState = form & 128 ? " AND state = ?" : "";
  // An update without changes still tells whether the row is there.
  return `UPDATE rows SET ${sets.join(", ") || "seq = seq"} WHERE space = ? AND key = ? AND ${LIVE}${inState}`;
}

function changes(statement: StatementSync, values: SQLInputValue[]): boolean {
  return statement.run(...values).changes !== 0;
}
