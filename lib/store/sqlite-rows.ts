/** The SQL of the store: one object per connection, every statement prepared once. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import type { Filter, RowRecord, Step } from "./record";

/** Shapes of `find` are few; this only guards against a caller with endless lists of states. */
const MAX_STATEMENTS = 200;
const COLUMNS = "space, key, json, state, account, conversation, at, expires";
const LIVE = "(expires IS NULL OR expires > ?)";

export class SqliteRows {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** Statement without parameters, such as BEGIN. */
  run(sql: string): void {
    this.#prepare(sql).run();
  }

  /** Does one write; answers whether it changed anything. Expired rows are as good as absent. */
  apply(step: Step, now: number): boolean {
    switch (step.do) {
      case "put":
        return this.#change(
          `INSERT OR REPLACE INTO rows (${COLUMNS}) VALUES (?,?,?,?,?,?,?,?)`,
          columns(step.row),
        );
      case "insert":
        return this.#insert(step.row) || (this.#dropExpired(step.row, now) && this.#insert(step.row));
      case "update":
        return this.#change(
          `UPDATE rows SET json = coalesce(?, json), state = coalesce(?, state), at = coalesce(?, at),
             expires = coalesce(?, expires)
           WHERE space = ? AND key = ? AND ${LIVE} AND (?8 IS NULL OR state = ?8)`,
          [
            step.json ?? null,
            step.state ?? null,
            step.at ?? null,
            step.expires ?? null,
            step.space,
            step.key,
            now,
            step.ifState ?? null,
          ],
        );
      case "delete":
        return this.#change(`DELETE FROM rows WHERE space = ? AND key = ? AND ${LIVE}`, [
          step.space,
          step.key,
          now,
        ]);
    }
  }

  get(space: string, key: string, now: number): RowRecord | undefined {
    const row = this.#prepare(`SELECT ${COLUMNS} FROM rows WHERE space = ? AND key = ? AND ${LIVE}`).get(
      space,
      key,
      now,
    );
    return row && toRecord(row);
  }

  find(filter: Filter, now: number): RowRecord[] {
    const { where, values } = conditions(filter, now);
    const order = filter.newest ? "at DESC, seq DESC" : "at, seq";
    return this.#prepare(`SELECT ${COLUMNS} FROM rows WHERE ${where} ORDER BY ${order} LIMIT ? OFFSET ?`)
      .all(...values, filter.limit, filter.offset)
      .map(toRecord);
  }

  count(filter: Filter, now: number): number {
    const { where, values } = conditions(filter, now);
    return Number(this.#prepare(`SELECT count(*) AS n FROM rows WHERE ${where}`).get(...values)?.["n"]);
  }

  /** Removes up to `limit` expired rows. */
  sweep(now: number, limit: number): number {
    const sql = "DELETE FROM rows WHERE seq IN (SELECT seq FROM rows WHERE expires <= ? LIMIT ?)";
    return Number(this.#prepare(sql).run(now, limit).changes);
  }

  #insert(row: RowRecord): boolean {
    return this.#change(
      `INSERT INTO rows (${COLUMNS}) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
      columns(row),
    );
  }

  #dropExpired(row: RowRecord, now: number): boolean {
    return this.#change("DELETE FROM rows WHERE space = ? AND key = ? AND expires <= ?", [
      row.space,
      row.key,
      now,
    ]);
  }

  #change(sql: string, values: SQLInputValue[]): boolean {
    return Number(this.#prepare(sql).run(...values).changes) > 0;
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function conditions(filter: Filter, now: number): { where: string; values: SQLInputValue[] } {
  const where = ["space = ?", LIVE];
  const values: SQLInputValue[] = [filter.space, now];
  const add = (condition: string, ...more: SQLInputValue[]): void => {
    where.push(condition);
    values.push(...more);
  };
  if (filter.states) add(`state IN (${filter.states.map(() => "?").join()})`, ...filter.states);
  if (filter.account !== undefined) add("account = ?", filter.account);
  if (filter.conversation !== undefined) add("conversation = ?", filter.conversation);
  if (filter.prefix) {
    add("key >= ?", filter.prefix);
    const end = after(filter.prefix);
    if (end !== undefined) add("key < ?", end);
  }
  return { where: where.join(" AND "), values };
}

/** The first text after all that begin with `prefix`, in the order of code points (which is SQLite's). */
function after(prefix: string): string | undefined {
  const points = Array.from(prefix, (char) => char.codePointAt(0) as number);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates have no place in UTF-8: step over them.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}

function columns(row: RowRecord): SQLInputValue[] {
  return [
    row.space,
    row.key,
    row.json,
    row.state ?? null,
    row.account ?? null,
    row.conversation ?? null,
    row.at,
    row.expires ?? null,
  ];
}

function toRecord(row: Record<string, unknown>): RowRecord {
  return {
    space: row["space"] as string,
    key: row["key"] as string,
    json: row["json"] as string,
    state: (row["state"] as string | null) ?? undefined,
    account: (row["account"] as string | null) ?? undefined,
    conversation: (row["conversation"] as string | null) ?? undefined,
    at: row["at"] as number,
    expires: (row["expires"] as number | null) ?? undefined,
  };
}
