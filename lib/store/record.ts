/**
 * What every store does to a row before it keeps it: checks it, freezes its value as JSON text, and writes its
 * names so that they survive UTF-8. Both stores use it, so both accept, refuse and compare the same things.
 */
import { RedclawError } from "../errors";
import { FINAL_STATES, type Json, type Query, type Row, type TrailStep, type Write } from "./store";

/** A row as it is kept. `json` is text: a caller who changes his object later does not change the store. */
export interface RowRecord {
  space: string;
  key: string;
  json: string;
  /** JSON text; the database encrypts it. */
  body: string | undefined;
  /** JSON texts of its steps, a comma behind each: adding a step is adding text. */
  trail: string | undefined;
  state: string | undefined;
  account: string | undefined;
  conversation: string | undefined;
  at: number;
  expires: number | undefined;
}

/** Changes of a row: what is `undefined` stays as it is. */
export interface Update {
  do: "update";
  space: string;
  key: string;
  ifState: string | undefined;
  json: string | undefined;
  /** `null` wipes it. */
  body: string | null | undefined;
  /** Added at the end. */
  trail: string | undefined;
  state: string | undefined;
  at: number | undefined;
  expires: number | undefined;
}

/** A write that cannot fail any more for a reason of its own. */
export type Step =
  | { do: "put" | "insert"; space: string; key: string; row: RowRecord }
  | Update
  | { do: "delete"; space: string; key: string };

/** A query with its defaults filled in. `states` undefined: any. */
export interface Filter {
  space: string;
  states?: string[];
  account?: string;
  conversation?: string;
  prefix?: string;
  before?: number;
  newest: boolean;
  limit: number;
  offset: number;
  bare: boolean;
}

const DEFAULT_LIMIT = 100;
/** A noncharacter: marks what UTF-8 cannot hold. */
const ESCAPE = "\uffff";
const EVERY_UNWRITABLE = /[\uffff\p{Surrogate}]/gu;

/** True for a row that needs no further work. */
export function isFinal(state: string | undefined): boolean {
  return (FINAL_STATES as readonly (string | undefined)[]).includes(state);
}

/** Checks all writes of a commit and takes a copy of them. Throws RedclawError `bad-row`. */
export function toSteps(writes: readonly Write[]): Step[] {
  if (!Array.isArray(writes)) throw bad("A commit needs a list of writes.");
  return writes.map(toStep);
}

function toStep(write: Write): Step {
  if (typeof write !== "object" || write === null) throw bad("A write must be an object.");
  if ("update" in write) return toUpdate(write.update);
  if ("insert" in write) return adding("insert", write.insert);
  if ("put" in write) return adding("put", write.put);
  if (!("delete" in write)) throw bad("A write is one of put, insert, update and delete.");
  return { do: "delete", space: name(write.delete.space, "space"), key: name(write.delete.key, "key") };
}

function toUpdate({
  space,
  key,
  ifState,
  value,
  body,
  trail,
  state,
  at,
  expires,
}: Extract<Write, { update: unknown }>["update"]): Update {
  return {
    do: "update",
    space: name(space, "space"),
    key: name(key, "key"),
    ifState: optionalName(ifState, "ifState"),
    json: value === undefined ? undefined : toJson(value),
    body: body === null ? null : toBody(body),
    trail: toTrail(trail),
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
    body: toBody(row.body),
    trail: toTrail(row.trail),
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
    value: fromJson(record.json) ?? null,
    at: record.at,
  };
  const body = record.body === undefined ? undefined : fromJson(record.body);
  if (body !== undefined) row.body = body;
  const trail = record.trail === undefined ? undefined : fromJson(`[${record.trail.slice(0, -1)}]`);
  if (trail !== undefined) row.trail = trail as TrailStep[];
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
    before: optionalTime(query.before, "before"),
    newest: query.order === "newest",
    limit: wholeNumber(query.limit, DEFAULT_LIMIT),
    offset: wholeNumber(query.offset, 0),
    bare: query.bare === true,
  };
}

/**
 * Text that comes back from UTF-8 as it went in. A lone surrogate has no UTF-8 form: two different keys would
 * become one, so it is written as an escape. Beginnings stay beginnings, except inside a surrogate pair.
 */
export function toText(text: string): string {
  if (text.isWellFormed() && !text.includes(ESCAPE)) return text;
  return text.replace(EVERY_UNWRITABLE, (unit) => ESCAPE + unit.charCodeAt(0).toString(16));
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

/** `undefined` for text that a failing disk has changed, or that was read with the wrong key. */
function fromJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toBody(body: unknown): string | undefined {
  return body === undefined || body === null ? undefined : toJson(body);
}

function toTrail(trail: unknown): string | undefined {
  if (trail === undefined) return undefined;
  if (!Array.isArray(trail)) throw bad('"trail" of a row must be a list.');
  let text = "";
  for (const step of trail) {
    const [state, at, reason] = Array.isArray(step) ? step : [];
    if (
      typeof state !== "string" ||
      !Number.isFinite(at) ||
      (reason !== undefined && typeof reason !== "string")
    ) {
      throw bad("A step of a trail is a state, a time in milliseconds and, if there is one, a reason.");
    }
    text +=
      reason === undefined
        ? `[${JSON.stringify(state)},${at}],`
        : `[${JSON.stringify(state)},${at},${JSON.stringify(reason)}],`;
  }
  return text;
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
