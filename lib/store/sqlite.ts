/**
 * The store that survives: one SQLite file, one writer. Commits that come in the same turn of the event loop share
 * one transaction and so one fsync (group commit): that is what makes full durability cheap.
 */
import { resolve as absolute } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RedclawError } from "../errors";
import { Ballast } from "./ballast";
import { closedError, type Filter, fromRecord, type Step, toFilter, toSteps, toText } from "./record";
import { concernsAll, errorNumber, passes, SQLITE, storeError } from "./sqlite-errors";
import { openFile } from "./sqlite-file";
import { SqliteFind } from "./sqlite-find";
import { SqliteRows } from "./sqlite-rows";
import type { Row, Store, Write } from "./store";

export interface SqliteStoreOptions {
  /** The database file; made, with its folder, when it is not there. */
  path: string;
  /** Milliseconds to wait for another program that holds the file. Node-RED goes on meanwhile. */
  lockWaitMs?: number;
  /** Size of the ballast file. */
  ballastBytes?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** True while answers are under way that will have something to write: a transaction waits a moment for them. */
  expectMore?: () => boolean;
}

/** One caller's commit, waiting for its transaction. */
interface Waiting {
  steps: Step[];
  resolve(changed: boolean[]): void;
  reject(error: unknown): void;
}

type Outcome = { changed: boolean[] } | { error: unknown };

/** Writes in one transaction, so that a flood does not stop the event loop for long. */
const GROUP_STEPS = 500;
/** Characters in one transaction, so that the write-ahead log stays small. */
const GROUP_CHARS = 4 * 1024 * 1024;
/** Longest time to wait while each turn brings more. */
const GATHER_MS = 2;
/** Transactions that follow so soon are worth filling. */
const BUSY_MS = 4;
const SWEEP_ROWS = 1000;
const LOCK_RETRY_MS = 50;
/** How often the end of work is tried to be recorded on a disk that does not take it. */
const DISK_RETRY_MS = 500;
const CLOSING_WAIT_MS = 1000;

/** Opens the store. Errors: see `openStore`. */
export async function sqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const path = absolute(options.path);
  const lockWaitMs = options.lockWaitMs ?? 5000;
  const file = await whenUnlocked(() => openFile(path), lockWaitMs);
  return new SqliteStore(path, file, { ...options, lockWaitMs });
}

class SqliteStore implements Store {
  readonly kind = "sqlite";
  readonly durable = true;
  readonly notices: string[];
  readonly #path: string;
  readonly #db: ReturnType<typeof openFile>["db"];
  readonly #rows: SqliteRows;
  readonly #find: SqliteFind;
  readonly #ballast: Ballast;
  readonly #now: () => number;
  readonly #expectMore: () => boolean;
  readonly #lockWaitMs: number;
  #queue: Waiting[] = [];
  /** The writer at work, while there is anything to write. */
  #writing: Promise<void> | undefined;
  /** When the last transaction ended, in milliseconds of `performance.now()`. */
  #wroteAt = Number.NEGATIVE_INFINITY;
  /** The disk was full and the ballast was given back. */
  #full = false;
  #closed: Promise<void> | undefined;

  constructor(
    path: string,
    file: ReturnType<typeof openFile>,
    options: SqliteStoreOptions & { lockWaitMs: number },
  ) {
    this.#path = path;
    this.#db = file.db;
    this.notices = file.notices;
    this.#rows = new SqliteRows(file.db, file.seal);
    this.#find = new SqliteFind(file.db, this.#rows);
    this.#now = options.now ?? Date.now;
    this.#expectMore = options.expectMore ?? (() => false);
    this.#lockWaitMs = options.lockWaitMs;
    this.#ballast = new Ballast(path, options.ballastBytes);
    void this.#ballast.fill();
  }

  commit(writes: readonly Write[]): Promise<boolean[]> {
    return new Promise((resolve, reject) => {
      this.#open();
      const steps = toSteps(writes);
      // With the ballast gone, what is left of the disk is for finishing what is under way, not for new work.
      if (this.#full && addsWork(steps) && !this.#roomAgain()) throw this.#fullError();
      this.#queue.push({ steps, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  async get(space: string, key: string): Promise<Row | undefined> {
    const record = this.#read(() => this.#rows.get(toText(space), toText(key), this.#now()));
    return record && fromRecord(record);
  }

  async find(query: Parameters<Store["find"]>[0]): Promise<Row[]> {
    const rows: Row[] = [];
    await this.#inSlices(toFilter(query), this.#find.find, (some) => {
      for (const record of some) rows.push(fromRecord(record));
    });
    return rows;
  }

  async count(query: Parameters<Store["count"]>[0]): Promise<number> {
    let count = 0;
    await this.#inSlices(toFilter(query), this.#find.count, (some) => {
      count += some;
    });
    return count;
  }

  async sweep(now = this.#now()): Promise<number> {
    let gone = 0;
    for (;;) {
      this.#open();
      const some = await whenUnlocked(
        () => this.#read(() => this.#rows.sweep(now, SWEEP_ROWS)),
        this.#lockWaitMs,
      );
      gone += some;
      if (some < SWEEP_ROWS) break;
      await nextTurn();
    }
    this.#emptyLog();
    return gone;
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#writing;
      await this.#ballast.close();
      this.#db.close();
    })();
    return this.#closed;
  }

  /** Milliseconds to wait for a lock; a store that is closing must not hold up Node-RED. */
  get #patience(): number {
    return this.#closed ? Math.min(CLOSING_WAIT_MS, this.#lockWaitMs) : this.#lockWaitMs;
  }

  #open(): void {
    if (this.#closed) throw closedError();
  }

  #read<T>(read: () => T): T {
    this.#open();
    try {
      return read();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Takes all that `ask` yields, and lets Node-RED go on between two slices. */
  async #inSlices<T>(
    filter: Filter,
    ask: (this: SqliteFind, filter: Filter, now: number) => Generator<T, T>,
    take: (some: T) => void,
  ): Promise<void> {
    const slices = ask.call(this.#find, filter, this.#now());
    for (;;) {
      const { done, value } = this.#read(() => slices.next());
      take(value);
      if (done) return;
      await nextTurn();
    }
  }

  /** Moves all of the write-ahead log into the file, so that no older copy of a wiped body is left in it. */
  #emptyLog(): void {
    try {
      this.#rows.run("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // Somebody is reading or the disk is full: the next one will do.
    }
  }

  /** Empties the queue, a group at a time. Does not reject: every caller gets his own answer. */
  async #write(): Promise<void> {
    let lockedSince: number | undefined;
    await this.#gather();
    while (this.#queue.length > 0) {
      const group = this.#nextGroup();
      try {
        const outcomes = this.#transaction(group);
        this.#wroteAt = performance.now();
        lockedSince = undefined;
        this.#queue.splice(0, group.length);
        for (const [i, waiting] of group.entries()) settle(waiting, outcomes[i] as Outcome);
      } catch (error) {
        lockedSince ??= performance.now();
        if (isLocked(error) && performance.now() - lockedSince < this.#patience) {
          await sleep(LOCK_RETRY_MS);
          continue;
        }
        const wasFull = this.#full;
        const reason = this.#failed(error);
        const ballastGiven = this.#full && !wasFull;
        // A lock that lasted too long, or a full disk, fails everybody who waited, not one group after the other.
        const all = isLocked(error) || ballastGiven;
        const failed = this.#queue.splice(0, all ? this.#queue.length : group.length);
        const patient: Waiting[] = [];
        for (const waiting of failed) {
          if (this.#mayWait(error, waiting.steps, ballastGiven)) patient.push(waiting);
          else waiting.reject(reason);
        }
        this.#queue = [...patient, ...this.#queue];
        // With the ballast given back, or without those who were refused, it may go well at once.
        if (!ballastGiven && patient.length === failed.length) {
          await sleep(isLocked(error) ? LOCK_RETRY_MS : DISK_RETRY_MS);
        }
        if (!isLocked(error)) lockedSince = undefined;
      }
      if (this.#queue.length > 0) await this.#gather();
    }
    this.#writing = undefined;
  }

  /**
   * A transaction costs far more than what is written in it. So it waits for the end of this turn of the event loop, and
   * as long as each further turn brings more; when they come thick and fast, also a moment for answers under way.
   */
  async #gather(): Promise<void> {
    const start = performance.now();
    let before: number;
    do {
      before = this.#queue.length;
      await nextTurn();
    } while (this.#queue.length > before && performance.now() - start < GATHER_MS);
    if (start - this.#wroteAt < BUSY_MS && this.#expectMore() && !this.#closed) await sleep(1);
  }

  /**
   * True for a commit that must not fail for a reason that goes away: it records the end of work that was done, and
   * without it the work would be done again. It waits until it is written or the store is closed.
   */
  #mayWait(error: unknown, steps: Step[], ballastGiven: boolean): boolean {
    if (ballastGiven) return !addsWork(steps);
    return (
      !this.#closed && passes(error) && steps.every(({ do: kind }) => kind === "update" || kind === "delete")
    );
  }

  #nextGroup(): Waiting[] {
    let steps = 0;
    let chars = 0;
    const end = this.#queue.findIndex((waiting, i) => {
      steps += waiting.steps.length;
      for (const step of waiting.steps) chars += charsOf(step);
      return i > 0 && (steps > GROUP_STEPS || chars > GROUP_CHARS);
    });
    return this.#queue.slice(0, end === -1 ? undefined : end);
  }

  /** Writes a group. Throws when the transaction as a whole failed: then nothing of it happened. */
  #transaction(group: Waiting[]): Outcome[] {
    try {
      return this.#attempt(group, (steps, now) => ({
        changed: steps.map((step) => this.#rows.apply(step, now)),
      }));
    } catch (error) {
      if (concernsAll(error)) throw error;
      // Somebody's own fault, which is rare: once more, each behind a savepoint, so that only he fails.
      return this.#attempt(group, (steps, now) => this.#alone(steps, now));
    }
  }

  #attempt(group: Waiting[], write: (steps: Step[], now: number) => Outcome): Outcome[] {
    const now = this.#now();
    this.#rows.run("BEGIN IMMEDIATE");
    try {
      const outcomes = group.map((waiting) => write(waiting.steps, now));
      this.#rows.run("COMMIT");
      return outcomes;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #alone(steps: Step[], now: number): Outcome {
    this.#rows.run("SAVEPOINT one");
    try {
      const changed = steps.map((step) => this.#rows.apply(step, now));
      this.#rows.run("RELEASE one");
      return { changed };
    } catch (error) {
      if (concernsAll(error)) throw error;
      this.#rows.run("ROLLBACK TO one");
      this.#rows.run("RELEASE one");
      return { error: storeError(error, this.#path) };
    }
  }

  #rollBack(): void {
    try {
      this.#rows.run("ROLLBACK");
    } catch {
      // SQLite has already rolled back by itself, as it does on a full disk.
    }
  }

  #failed(error: unknown): RedclawError {
    const reason = storeError(error, this.#path);
    if (reason.code === "store-full" && !this.#full) this.#full = this.#ballast.release();
    return reason;
  }

  #roomAgain(): boolean {
    if (!this.#ballast.hasRoom()) return false;
    this.#full = false;
    void this.#ballast.fill();
    return true;
  }

  #fullError(): RedclawError {
    return storeError({ errcode: SQLITE.full }, this.#path);
  }
}

/** An insert is new work; everything else records what is under way. */
function addsWork(steps: Step[]): boolean {
  return steps.some((step) => step.do === "insert");
}

function charsOf(step: Step): number {
  if (step.do === "delete") return 0;
  const { json, body } = step.do === "update" ? step : step.row;
  return (json?.length ?? 0) + (body?.length ?? 0);
}

function settle(waiting: Waiting, outcome: Outcome): void {
  if ("error" in outcome) waiting.reject(outcome.error);
  else waiting.resolve(outcome.changed);
}

function isLocked(error: unknown): boolean {
  const number = errorNumber(error instanceof RedclawError ? error.cause : error);
  return number === SQLITE.busy || number === SQLITE.locked;
}

/** Tries again while another program holds the file, without stopping the event loop. */
async function whenUnlocked<T>(work: () => T, waitMs: number): Promise<T> {
  const end = performance.now() + waitMs;
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!isLocked(error) || performance.now() >= end) throw error;
    }
    await sleep(LOCK_RETRY_MS);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
