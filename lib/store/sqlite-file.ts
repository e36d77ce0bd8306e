/**
 * The database file: loads SQLite, makes or checks the file, brings its tables up to date. A damaged file is set
 * aside and a fresh one started; a file of a newer Redclaw or of another program is left alone.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { RedclawError } from "../errors";
import { type KeyFile, keyOf } from "./key-file";
import { Seal } from "./seal";
import { errorNumber, SQLITE, storeError } from "./sqlite-errors";

/** "RCLW": tells our file from any other SQLite file. */
const APPLICATION_ID = 0x52434c57;
/** Each entry brings the tables one version further. Never change one that was released. */
const MIGRATIONS = [
  `CREATE TABLE rows (
     seq INTEGER PRIMARY KEY,
     space TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,
     state TEXT, account TEXT, conversation TEXT,
     at REAL NOT NULL, expires REAL,
     UNIQUE (space, key)
   ) STRICT;
   CREATE INDEX rows_by_state ON rows (space, state, at, seq) WHERE state IS NOT NULL;
   CREATE INDEX rows_by_conversation ON rows (space, conversation, at, seq) WHERE conversation IS NOT NULL;
   CREATE INDEX rows_by_account ON rows (space, account, at, seq) WHERE account IS NOT NULL;
   CREATE INDEX rows_by_time ON rows (space, at, seq);
   CREATE INDEX rows_by_expiry ON rows (expires) WHERE expires IS NOT NULL;`,
  // Each index costs about a microsecond per write, so only open work is found by more than its time. `open` is a
  // column of its own: when a row goes from one open state to another, no index has to be touched.
  `ALTER TABLE rows ADD COLUMN trail TEXT;
   ALTER TABLE rows ADD COLUMN body BLOB;
   ALTER TABLE rows ADD COLUMN open INTEGER;
   UPDATE rows SET open = 1 WHERE state NOT IN ('settled', 'sent', 'dismissed');
   DROP INDEX rows_by_state;
   DROP INDEX rows_by_conversation;
   DROP INDEX rows_by_account;
   CREATE INDEX rows_open ON rows (space, at, seq, account) WHERE open = 1;`,
];
/** The first version whose write-ahead log cannot be damaged by a reset under several connections. */
const SAFE_SQLITE = [3, 51, 3];
/** Waiting inside SQLite stops the whole of Node-RED, so it is short; we wait longer outside of it. */
const BUSY_TIMEOUT_MS = 10;

/** Rows among which one is tried: enough after a crash, when it matters, and quick. */
const TRIED_ROWS = 1000;

export interface OpenFile {
  db: DatabaseSync;
  seal: Seal;
  notices: string[];
}

/** Opens (or makes) the file. Throws RedclawError; `store-locked` is worth another try. */
export function openFile(path: string): OpenFile {
  const sqlite = loadSqlite();
  const notices: string[] = [];
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
  } catch (error) {
    throw storeError(error, path);
  }
  let db: DatabaseSync;
  try {
    db = openSound(sqlite, path);
  } catch (error) {
    if (!isDamage(error)) throw storeError(error, path);
    notices.push(setAside(path));
    closeSync(openSync(path, "a", 0o600));
    try {
      db = openSound(sqlite, path);
    } catch (again) {
      throw storeError(again, path);
    }
  }
  try {
    const key = keyOf(path);
    const seal = new Seal(key.key);
    if (!canRead(db, seal, key)) {
      notices.push(
        `The key ${path}.key is not the one that the database ${path} was written with: messages written before cannot be read and are not sent. If you have a copy of the key, stop Node-RED and put it back.`,
      );
    }
    const age = oldSqlite(db);
    if (age) notices.push(age);
    return { db, seal, notices };
  } catch (error) {
    db.close();
    throw storeError(error, path);
  }
}

function openSound(sqlite: typeof import("node:sqlite"), path: string): DatabaseSync {
  const db = new sqlite.DatabaseSync(path);
  try {
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    const version = number(db, "user_version");
    const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"];
    if (tables !== 0 && number(db, "application_id") !== APPLICATION_ID) {
      throw new RedclawError(
        "store-foreign",
        `The file ${path} belongs to another program, so Redclaw did not touch it. Choose another file name in the Redclaw gateway node.`,
      );
    }
    if (version > MIGRATIONS.length) {
      throw new RedclawError(
        "store-newer",
        `The database ${path} was written by a newer version of Redclaw. Update Redclaw, or choose another file name in the Redclaw gateway node.`,
      );
    }
    const check = db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
    if (check !== "ok") throw new Damage(String(check));
    // secure_delete: a body that was wiped is gone from the file, not only from its index. It costs nothing that
    // can be measured, because a row lies in a page that is written anyway.
    db.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216; PRAGMA secure_delete = ON",
    );
    migrate(db, version);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: DatabaseSync, from: number): void {
  if (from === MIGRATIONS.length) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have been faster than our first look.
    for (let version = number(db, "user_version"); version < MIGRATIONS.length; version++) {
      db.exec(MIGRATIONS[version] as string);
    }
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

/** False when there are sealed bodies that this key does not open. */
function canRead(db: DatabaseSync, seal: Seal, key: KeyFile): boolean {
  if (key.isNew) return db.prepare("SELECT 1 FROM rows WHERE body IS NOT NULL LIMIT 1").get() === undefined;
  const newest = `SELECT body FROM (SELECT body FROM rows ORDER BY seq DESC LIMIT ${TRIED_ROWS}) WHERE body IS NOT NULL LIMIT 1`;
  const body = db.prepare(newest).get()?.["body"] as Uint8Array | undefined;
  if (!body) return true;
  try {
    JSON.parse(seal.open(body) ?? "");
    return true;
  } catch {
    return false;
  }
}

class Damage extends Error {}

function isDamage(error: unknown): boolean {
  return (
    error instanceof Damage || [SQLITE.corrupt, SQLITE.notADatabase].some((n) => n === errorNumber(error))
  );
}

function setAside(path: string): string {
  const mark = `.corrupt-${new Date().toISOString().replace(/[:.]/g, "-")}`;
  for (const part of ["", "-wal", "-shm"]) {
    if (existsSync(path + part)) renameSync(path + part, `${path}${mark}${part}`);
  }
  return `The database ${path} was damaged. It was set aside as ${path}${mark} and Redclaw started with an empty one: messages that were waiting in it are not sent.`;
}

function oldSqlite(db: DatabaseSync): string | undefined {
  const version = String(db.prepare("SELECT sqlite_version() AS v").get()?.["v"]);
  const parts = version.split(".").map(Number);
  const differs = SAFE_SQLITE.findIndex((part, i) => part !== parts[i]);
  if (differs === -1 || (parts[differs] ?? 0) > (SAFE_SQLITE[differs] ?? 0)) return undefined;
  return `This Node.js contains SQLite ${version}, which has a rare fault when a second program opens the database. Update Node.js when you can, and let nothing else open the file.`;
}

function number(db: DatabaseSync, pragma: string): number {
  return Number(db.prepare(`PRAGMA ${pragma}`).get()?.[pragma]);
}

/** SQLite of this Node.js, without its warning that it is experimental. Throws `store-unavailable`. */
function loadSqlite(): typeof import("node:sqlite") {
  const emitWarning = process.emitWarning;
  process.emitWarning = ((...warning: Parameters<typeof process.emitWarning>) => {
    if (!/sqlite/i.test(String(warning[0]))) Reflect.apply(emitWarning, process, warning);
  }) as typeof process.emitWarning;
  try {
    const sqlite = process.getBuiltinModule("node:sqlite") as typeof import("node:sqlite") | undefined;
    if (sqlite) return sqlite;
  } catch {
    // The same as absent: built without it, or switched off.
  } finally {
    process.emitWarning = emitWarning;
  }
  throw new RedclawError(
    "store-unavailable",
    `This Node.js (${process.version}) has no built-in database. Update Node.js to 22.13 or newer, or set the store of the Redclaw gateway node to memory, which works but forgets at a restart.`,
  );
}
