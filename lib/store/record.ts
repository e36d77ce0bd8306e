/**
 * What every store does to a row before it keeps it: checks it, freezes its value as JSON text, and writes its
 * names so that they survive UTF-8. Both stores use it, so both accept, refuse and compare the same things.
 */
import { RedclawError } from "../errors";
import type { Query, Row, Write } from "./store";

/** A row as it is kept. `json` is text: a caller who changes his object later does not change the store. */
export interface RowRecord {
  space: string;
  key: string;
  json: string;
  state?: string;
  account?: string;
  conversation?: string;
  at: number;
  expires?: number;
}

/** A write that cannot fail any more for a reason of its own. */
export type Step =
  | { do: "put" | "insert"; space: string; key: string; row: RowRecord }
  | {
      do: "update";
      space: string;
      key: string;
      ifState?: string;
      json?: string;
      state?: string;
      at?: number;
      expires?: number;
    }
  | { do: "delete"; space: string; key: string };

/** A query with its defaults filled in. `states` undefined: any. */
export interface Filter {
  space: string;
  states?: string[];
  account?: string;
  conversation?: string;
  prefix?: string;
  newest: boolean;
  limit: number;
  offset: number;
}

const DEFAULT_LIMIT = 100;
/** A noncharacter: marks what UTF-8 cannot hold. */
const ESCAPE = "\uffff";
const UNWRITABLE = /[\uffff\p{Surrogate}]/u;
const EVERY_UNWRITABLE = /[\uffff\p{Surrogate}]/gu;

/** Checks all writes of a commit and takes a copy of them. Throws RedclawError `bad-row`. */
export function toSteps(writes: readonly Write[]): Step[] {
  if (!Array.isArray(writes)) throw bad("A commit needs a list of writes.");
  return writes.map(toStep);
}

function toStep(write: Write): Step {
  if (typeof write !== "object" || write === null) throw bad("A write must be an object.");
  if ("put" in write) return adding("put", write.put);
  if ("insert" in write) return adding("insert", write.insert);
  if ("delete" in write) {
    return {
      do: "delete",
      space: name(write.delete.space, "space"),
      key: name(write.delete.key, "key"),
    };
  }
  if (!("update" in write)) throw bad("A write is one of put, insert, update and delete.");
  const { space, key, ifState, value, state, at, expires } = write.update;
  return {
    do: "update",
    space: name(space, "space"),
    key: name(key, "key"),
    ifState: optionalName(ifState, "ifState"),
    json: value === undefined ? undefined : toJson(value),
    state: optionalName(state, "state"),
    at: optionalTime(at, "at"),
    expires: optionalTime(expires, "expires"),
  };
}

function adding(how: "put" | "insert", given: Row): Step {
  const row = toRecord(given);
  return { do: how, space: row.space, key: row.key, row };
}

function toRecord(row: Row): RowRecord {
  if (typeof row !== "object" || row === null) throw bad("A row must be an object.");
  return {
    space: name(row.space, "space"),
    key: name(row.key, "key"),
    json: toJson(row.value),
    state: optionalName(row.state, "state"),
    account: optionalName(row.account, "account"),
    conversation: optionalName(row.conversation, "conversation"),
    at: optionalTime(row.at, "at") ?? fail("at"),
    expires: optionalTime(row.expires, "expires"),
  };
}

/** The row as the caller wrote it. Its value is a fresh copy. */
export function fromRecord(record: RowRecord): Row {
  const row: Row = {
    space: fromText(record.space),
    key: fromText(record.key),
    value: JSON.parse(record.json),
    at: record.at,
  };
  if (record.state !== undefined) row.state = fromText(record.state);
  if (record.account !== undefined) row.account = fromText(record.account);
  if (record.conversation !== undefined) row.conversation = fromText(record.conversation);
  if (record.expires !== undefined) row.expires = record.expires;
  return row;
}

/** Fills in a query's defaults. Throws RedclawError `bad-row`. */
export function toFilter(query: Query): Filter {
  const { state } = query;
  return {
    space: name(query.space, "space"),
    states: state === undefined ? undefined : (typeof state === "string" ? [state] : [...state]).map(toText),
    account: optionalName(query.account, "account"),
    conversation: optionalName(query.conversation, "conversation"),
    prefix: optionalName(query.prefix, "prefix"),
    newest: query.order === "newest",
    limit: wholeNumber(query.limit, DEFAULT_LIMIT),
    offset: wholeNumber(query.offset, 0),
  };
}

/**
 * Text that comes back from UTF-8 as it went in. A lone surrogate has no UTF-8 form: two different keys would
 * become one, so it is written as an escape. Beginnings stay beginnings, except inside a surrogate pair.
 */
export function toText(text: string): string {
  return UNWRITABLE.test(text) ? text.replace(EVERY_UNWRITABLE, escapeUnit) : text;
}

function escapeUnit(unit: string): string {
  return ESCAPE + unit.charCodeAt(0).toString(16);
}

function fromText(text: string): string {
  if (!text.includes(ESCAPE)) return text;
  return text.replace(/\uffff([0-9a-f]{4})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function toJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (cause) {
    throw new RedclawError(
      "bad-row",
      "This value cannot be stored because it is not plain JSON (a BigInt, or an object that contains itself).",
      { cause },
    );
  }
}

function name(value: unknown, field: string): string {
  return optionalName(value, field) ?? fail(field);
}

function optionalName(value: unknown, field: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw bad(`"${field}" of a row must be text.`);
  return toText(value);
}

function optionalTime(value: unknown, field: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw bad(`"${field}" of a row must be a number of milliseconds.`);
  }
  return value;
}

function wholeNumber(value: number | undefined, otherwise: number): number {
  if (value === undefined || Number.isNaN(value)) return otherwise;
  return Math.min(Math.max(0, Math.floor(value)), Number.MAX_SAFE_INTEGER);
}

function fail(field: string): never {
  throw bad(`A row needs "${field}".`);
}

function bad(sentence: string): RedclawError {
  return new RedclawError("bad-row", sentence);
}

/** What every store says after `close()`. */
export function closedError(): RedclawError {
  return new RedclawError("store-closed", "The store is closed because Redclaw is stopping or restarting.");
}
