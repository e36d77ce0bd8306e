/** What SQLite's error numbers mean to a person. */
import { RedclawError } from "../errors";

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
export const SQLITE = {
  busy: 5,
  locked: 6,
  readOnly: 8,
  io: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** The primary result code of a SQLite error, 0 for any other. */
export function errorNumber(error: unknown): number {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code & 0xff : 0;
}

/** True when no caller is to blame: the same would have happened to any of them. */
export function concernsAll(error: unknown): boolean {
  return (Object.values(SQLITE) as number[]).includes(errorNumber(error));
}

/** True when the same write may succeed later without a new database. */
export function passes(error: unknown): boolean {
  const number = errorNumber(error);
  return concernsAll(error) && number !== SQLITE.corrupt && number !== SQLITE.notADatabase;
}

/** Any failure of the database as a RedclawError with a sentence. */
export function storeError(error: unknown, path: string): RedclawError {
  if (error instanceof RedclawError) return error;
  const number = errorNumber(error);
  const system = (error as { code?: unknown } | null)?.code;
  const failed = (code: string, sentence: string): RedclawError =>
    new RedclawError(code, sentence, { cause: error });
  if (number === SQLITE.full || system === "ENOSPC" || system === "EDQUOT") {
    return failed("store-full", `The disk of ${path} is full. Free some space; Redclaw goes on by itself.`);
  }
  if (number === SQLITE.busy || number === SQLITE.locked) {
    return failed(
      "store-locked",
      `Another program is using the database ${path}. Close it, or stop the second Node-RED that uses the same file.`,
    );
  }
  if (number === SQLITE.corrupt || number === SQLITE.notADatabase) {
    return failed(
      "store-corrupt",
      `The database ${path} is damaged. Restart Node-RED: Redclaw then sets the file aside and starts a new one.`,
    );
  }
  if (
    number === SQLITE.readOnly ||
    number === SQLITE.cannotOpen ||
    (typeof system === "string" && /^E(ACCES|PERM|ROFS|ISDIR|NOTDIR|EXIST|NOENT)$/.test(system))
  ) {
    return failed(
      "store-failed",
      `The database ${path} cannot be written. Check that its folder exists and belongs to the user that runs Node-RED.`,
    );
  }
  if (number === SQLITE.io) {
    return failed("store-failed", `The disk of ${path} reported an error. Check the disk or SD card.`);
  }
  return failed("store-failed", `The database ${path} could not do that. The log has the details.`);
}
