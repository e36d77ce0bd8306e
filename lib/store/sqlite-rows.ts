/** The SQL that writes rows and reads one: an object per connection, every statement prepared once. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { isFinal, type RowRecord, type Step, type Update } from "./record";
import type { Seal } from "./seal";

export const COLUMNS = "space, key, json, state, account, conversation, at, expires, trail";
export const LIVE = "(expires IS NULL OR expires > ?)";
const INSERT = `INTO rows (${COLUMNS}, body, open) VALUES (?,?,?,?,?,?,?,?,?,?,?)`;
/** What an update does: bits of the number of its form. */
const [VALUE, WIPE, BODY, TRAIL, STATE, AT, EXPIRES] = [1, 2, 4, 8, 16, 32, 64];
const [IF_STATE, CLOSE, OPEN, IF_OPEN] = [128, 256, 512, 1024];

export class SqliteRows {
  readonly #db: DatabaseSync;
  readonly #seal: Seal;
  readonly #statements = new Map<string, StatementSync>();
  readonly #insert: StatementSync;
  /** One statement for each set of changes: SQLite leaves alone the indexes of columns that it does not name. */
  readonly #updates = new Map<number, StatementSync>();

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
      form |= VALUE;
      values.push(json);
    }
    if (body === null) form |= WIPE;
    else if (body !== undefined) {
      form |= BODY;
      values.push(this.#seal.seal(body));
    }
    if (trail !== undefined) {
      form |= TRAIL;
      values.push(trail);
    }
    if (state !== undefined) {
      form |= STATE;
      values.push(state);
    }
    if (at !== undefined) {
      form |= AT;
      values.push(at);
    }
    if (expires !== undefined) {
      form |= EXPIRES;
      values.push(expires);
    }
    values.push(step.space, step.key, now);
    if (ifState !== undefined) {
      form |= IF_STATE;
      values.push(ifState);
    }
    if (state === undefined) return changes(this.#form(form), values);
    if (isFinal(state)) return changes(this.#form(form | CLOSE), values);
    // From one open state to another, which is usual, the index of open work stays as it is.
    return changes(this.#form(form | IF_OPEN), values) || changes(this.#form(form | OPEN), values);
  }

  #form(form: number): StatementSync {
    let statement = this.#updates.get(form);
    if (!statement) {
      statement = this.#db.prepare(updateSql(form));
      this.#updates.set(form, statement);
    }
    return statement;
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
      row.state === undefined || isFinal(row.state) ? null : 1,
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
    form & VALUE && "json = ?",
    form & WIPE && "body = NULL",
    form & BODY && "body = ?",
    form & TRAIL && "trail = coalesce(trail, '') || ?",
    form & STATE && "state = ?",
    form & AT && "at = ?",
    form & EXPIRES && "expires = ?",
    form & CLOSE && "open = NULL",
    form & OPEN && "open = 1",
  ].filter(Boolean);
  const conditions = [
    "space = ? AND key = ?",
    LIVE,
    form & IF_STATE && "state = ?",
    form & IF_OPEN && "open = 1",
  ].filter(Boolean);
  // An update without changes still tells whether the row is there.
  return `UPDATE rows SET ${sets.join(", ") || "seq = seq"} WHERE ${conditions.join(" AND ")}`;
}

function changes(statement: StatementSync, values: SQLInputValue[]): boolean {
  return statement.run(...values).changes !== 0;
}
