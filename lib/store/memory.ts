/**
 * The store that forgets everything when the process ends. Values are kept as JSON text, not as frozen or cloned
 * objects: a caller cannot change them afterwards, they behave exactly as in SQLite, and they take less memory.
 */
import { RedclawError } from "../errors";
import {
  closedError,
  type Filter,
  fromRecord,
  type RowRecord,
  type Step,
  toFilter,
  toSteps,
  toText,
} from "./record";
import type { Row, Store } from "./store";

export interface MemoryStoreOptions {
  /**
   * Rows kept per space, 50,000 unless told. When a space is full, its oldest row that has `expires` makes room;
   * when none has, the commit is refused with `store-full`.
   */
  maxRows?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
}

interface Kept extends RowRecord {
  /** Grows with every row written: the order of insertion. */
  seq: number;
}

/** One space: its rows by key, and the same rows by what they are looked for. */
interface Space {
  rows: Map<string, Kept>;
  byState: Map<string, Set<Kept>>;
  byAccount: Map<string, Set<Kept>>;
  byConversation: Map<string, Set<Kept>>;
  /** Rows that may make room, oldest first. */
  expiring: Set<Kept>;
}

type Undo = { space: string; key: string; before: Kept | undefined };

/** A store in memory. Holds nothing but memory: no timer, no file. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const maxRows = options.maxRows ?? 50_000;
  const now = options.now ?? Date.now;
  const spaces = new Map<string, Space>();
  let seq = 0;
  let closed = false;

  const live = (row: Kept | undefined, time: number): Kept | undefined =>
    row && (row.expires === undefined || row.expires > time) ? row : undefined;

  function apply(step: Step, time: number, undo: Undo[]): boolean {
    const { space, key } = step;
    const before = spaces.get(space)?.rows.get(key);
    const present = live(before, time);
    if (step.do === "insert" && present) return false;
    if (step.do === "delete" && !present) return false;
    if (step.do === "update") {
      if (!present || (step.ifState !== undefined && step.ifState !== present.state)) return false;
    }
    undo.push({ space, key, before });
    if (step.do === "delete") replace(space, key, undefined);
    else if (step.do === "update" && present) replace(space, key, changed(present, step));
    else if (step.do === "put" || step.do === "insert") {
      replace(space, key, { ...step.row, seq: ++seq });
      makeRoom(space, undo);
    }
    return true;
  }

  /** The one place where rows come and go: keeps the indexes in step. */
  function replace(spaceName: string, key: string, row: Kept | undefined): void {
    let space = spaces.get(spaceName);
    if (!space) {
      if (!row) return;
      space = emptySpace();
      spaces.set(spaceName, space);
    }
    const before = space.rows.get(key);
    if (before) {
      space.rows.delete(key);
      space.expiring.delete(before);
      unlist(space.byState, before.state, before);
      unlist(space.byAccount, before.account, before);
      unlist(space.byConversation, before.conversation, before);
    }
    if (row) {
      space.rows.set(key, row);
      if (row.expires !== undefined) space.expiring.add(row);
      list(space.byState, row.state, row);
      list(space.byAccount, row.account, row);
      list(space.byConversation, row.conversation, row);
    } else if (space.rows.size === 0) spaces.delete(spaceName);
  }

  function makeRoom(spaceName: string, undo: Undo[]): void {
    const space = spaces.get(spaceName);
    while (space && space.rows.size > maxRows) {
      const [oldest] = space.expiring;
      if (!oldest) {
        throw new RedclawError(
          "store-full",
          `The memory of Redclaw is full (${maxRows} rows are still under way). Add a Redclaw gateway node with a database, or wait until the queue is shorter.`,
        );
      }
      undo.push({ space: spaceName, key: oldest.key, before: oldest });
      replace(spaceName, oldest.key, undefined);
    }
  }

  function* matching(filter: Filter, time: number): Generator<Kept> {
    const space = spaces.get(filter.space);
    if (!space) return;
    for (const row of candidates(space, filter)) {
      if (!live(row, time)) continue;
      if (filter.states && (row.state === undefined || !filter.states.includes(row.state))) continue;
      if (filter.account !== undefined && row.account !== filter.account) continue;
      if (filter.conversation !== undefined && row.conversation !== filter.conversation) continue;
      if (filter.prefix !== undefined && !row.key.startsWith(filter.prefix)) continue;
      yield row;
    }
  }

  const open = (): void => {
    if (closed) throw closedError();
  };

  return {
    kind: "memory",
    durable: false,
    notices: [],
    async commit(writes) {
      open();
      const steps = toSteps(writes);
      const undo: Undo[] = [];
      const time = now();
      try {
        return steps.map((step) => apply(step, time, undo));
      } catch (error) {
        for (const { space, key, before } of undo.reverse()) replace(space, key, before);
        throw error;
      }
    },
    async get(space, key) {
      open();
      const row = live(spaces.get(toText(space))?.rows.get(toText(key)), now());
      return row && fromRecord(row);
    },
    async find(query) {
      open();
      const filter = toFilter(query);
      const rows = [...matching(filter, now())].sort((a, b) => a.at - b.at || a.seq - b.seq);
      if (filter.newest) rows.reverse();
      return rows.slice(filter.offset, filter.offset + filter.limit).map((row): Row => fromRecord(row));
    },
    async count(query) {
      open();
      let count = 0;
      for (const _ of matching(toFilter(query), now())) count++;
      return count;
    },
    async sweep(time = now()) {
      open();
      let gone = 0;
      for (const [name, space] of [...spaces]) {
        for (const row of [...space.expiring]) {
          if (live(row, time)) continue;
          replace(name, row.key, undefined);
          gone++;
        }
      }
      return gone;
    },
    async close() {
      closed = true;
      spaces.clear();
    },
  };
}

function changed(row: Kept, step: Step & { do: "update" }): Kept {
  return {
    ...row,
    json: step.json ?? row.json,
    state: step.state ?? row.state,
    at: step.at ?? row.at,
    expires: step.expires ?? row.expires,
  };
}

function emptySpace(): Space {
  return {
    rows: new Map(),
    byState: new Map(),
    byAccount: new Map(),
    byConversation: new Map(),
    expiring: new Set(),
  };
}

/** The smallest list that holds every row the filter can match. */
function candidates(space: Space, filter: Filter): Iterable<Kept> {
  const lists: Set<Kept>[][] = [];
  const pick = (index: Map<string, Set<Kept>>, names: string[]): void => {
    lists.push([...new Set(names)].flatMap((name) => index.get(name) ?? []));
  };
  if (filter.states) pick(space.byState, filter.states);
  if (filter.account !== undefined) pick(space.byAccount, [filter.account]);
  if (filter.conversation !== undefined) pick(space.byConversation, [filter.conversation]);
  const size = (sets: Set<Kept>[]): number => sets.reduce((sum, set) => sum + set.size, 0);
  const [smallest] = lists.sort((a, b) => size(a) - size(b));
  return smallest ? smallest.flatMap((set) => [...set]) : space.rows.values();
}

function list(index: Map<string, Set<Kept>>, name: string | undefined, row: Kept): void {
  if (name === undefined) return;
  const rows = index.get(name);
  if (rows) rows.add(row);
  else index.set(name, new Set([row]));
}

function unlist(index: Map<string, Set<Kept>>, name: string | undefined, row: Kept): void {
  if (name === undefined) return;
  const rows = index.get(name);
  rows?.delete(row);
  if (rows?.size === 0) index.delete(name);
}
