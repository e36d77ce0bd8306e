/**
 * Finding rows, a slice of the index at a time: a question about a seldom chat may have to look at half a million
 * rows, and Node-RED goes on between two slices. Open work has an index of its own, which is small.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { type Filter, isFinal, type RowRecord } from "./record";
import { COLUMNS, LIVE, type SqliteRows } from "./sqlite-rows";

/** Index entries in the first slice, which is enough for most lists; each following slice is twice as long. */
const FIRST_SLICE = 500;
/** About 5 ms, as a row takes 1 us to look at. */
const LAST_SLICE = 5000;
/** A body takes 25 us to decrypt. */
const LAST_SLICE_BODIES = 500;
/** Shapes of questions are few; this only guards against a caller with endless lists of states. */
const MAX_STATEMENTS = 200;
/** Place of a row in the order of `find`. */
interface Place {
  at: number;
  seq: number;
}

/** Index entries between two places; `end` undefined: to the end. */
interface Slice {
  start: Place;
  end: Place | undefined;
}

interface Question {
  /** Table and index. */
  from: string;
  conditions: string[];
  values: SQLInputValue[];
  newest: boolean;
}

export class SqliteFind {
  readonly #db: DatabaseSync;
  readonly #rows: SqliteRows;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, rows: SqliteRows) {
    this.#db = db;
    this.#rows = rows;
  }

  /** Yields rows, and returns the last of them; between two the caller lets others work. */
  *find(filter: Filter, now: number): Generator<RowRecord[], RowRecord[]> {
    if (filter.states?.length === 0 || filter.limit === 0) return [];
    const columns = filter.bare ? COLUMNS : `${COLUMNS}, body`;
    const question = questionOf(filter, now);
    if (filter.prefix) return this.#all(columns, question, filter.limit, filter.offset);
    let { limit, offset } = filter;
    for (const slice of this.#slices(filter, filter.bare ? LAST_SLICE : LAST_SLICE_BODIES)) {
      const part = within(question, slice);
      const skipped = offset === 0 ? 0 : Math.min(offset, this.#count(part));
      const rows = this.#all(columns, part, limit, offset);
      offset -= skipped;
      limit -= rows.length;
      if (limit <= 0 || !slice.end) return rows;
      yield rows;
    }
    return [];
  }

  /** Yields and returns numbers that are to be summed up. */
  *count(filter: Filter, now: number): Generator<number, number> {
    if (filter.states?.length === 0) return 0;
    const question = questionOf(filter, now);
    if (filter.prefix) return this.#count(question);
    for (const slice of this.#slices(filter, LAST_SLICE)) {
      const found = this.#count(within(question, slice));
      if (!slice.end) return found;
      yield found;
    }
    return 0;
  }

  *#slices(filter: Filter, most: number): Generator<Slice> {
    const { from, conditions, values, newest } = rangeOf(filter);
    let start: Place = newest
      ? { at: filter.before ?? Number.POSITIVE_INFINITY, seq: -1 }
      : { at: Number.NEGATIVE_INFINITY, seq: 0 };
    for (let size = FIRST_SLICE; ; size = Math.min(2 * size, most)) {
      const rest = within({ from, conditions, values, newest }, { start, end: undefined });
      const last = this.#prepare(`${select("at, seq", rest)} LIMIT 1 OFFSET ?`).get(
        ...rest.values,
        Math.min(size, most) - 1,
      );
      const end = last && { at: last["at"] as number, seq: last["seq"] as number };
      yield { start, end };
      if (!end) return;
      start = end;
    }
  }

  #all(columns: string, question: Question, limit: number, offset: number): RowRecord[] {
    return this.#prepare(`${select(columns, question)} LIMIT ? OFFSET ?`)
      .all(...question.values, limit, offset)
      .map((row) => this.#rows.toRecord(row));
  }

  #count({ from, conditions, values }: Question): number {
    const sql = `SELECT count(*) AS n FROM ${from} WHERE ${conditions.join(" AND ")}`;
    return Number(this.#prepare(sql).get(...values)?.["n"]);
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

/** The part of an index that a question walks along. */
function rangeOf({ space, states, prefix, before, newest }: Filter): Question {
  const open = states !== undefined && !states.some(isFinal);
  const conditions = ["space = ?"];
  const values: SQLInputValue[] = [space];
  if (prefix) {
    conditions.push("key >= ?");
    values.push(prefix);
    const end = after(prefix);
    if (end !== undefined) {
      conditions.push("key < ?");
      values.push(end);
    }
  } else if (open) conditions.push("open = 1");
  if (before !== undefined) {
    conditions.push("at < ?");
    values.push(before);
  }
  // Named, because SQLite has no statistics to choose by. The first is the one of UNIQUE (space, key).
  const index = prefix ? "sqlite_autoindex_rows_1" : open ? "rows_open" : "rows_by_time";
  return { from: `rows INDEXED BY ${index}`, conditions, values, newest };
}

function questionOf(filter: Filter, now: number): Question {
  const { from, conditions, values, newest } = rangeOf(filter);
  const add = (condition: string, ...more: SQLInputValue[]): void => {
    conditions.push(condition);
    values.push(...more);
  };
  add(LIVE, now);
  if (filter.states) add(`state IN (${filter.states.map(() => "?").join()})`, ...filter.states);
  if (filter.account !== undefined) add("account = ?", filter.account);
  if (filter.conversation !== undefined) add("conversation = ?", filter.conversation);
  return { from, conditions, values, newest };
}

function within({ from, conditions, values, newest }: Question, { start, end }: Slice): Question {
  const conditionsWithin = [...conditions, `(at, seq) ${newest ? "<" : ">"} (?, ?)`];
  const valuesWithin = [...values, start.at, start.seq];
  if (end) {
    conditionsWithin.push(`(at, seq) ${newest ? ">=" : "<="} (?, ?)`);
    valuesWithin.push(end.at, end.seq);
  }
  return { from, conditions: conditionsWithin, values: valuesWithin, newest };
}

function select(columns: string, { from, conditions, newest }: Question): string {
  const order = newest ? "at DESC, seq DESC" : "at, seq";
  return `SELECT ${columns} FROM ${from} WHERE ${conditions.join(" AND ")} ORDER BY ${order}`;
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
