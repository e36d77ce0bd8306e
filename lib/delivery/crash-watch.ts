/**
 * The crash-loop breaker: three crashes within five minutes, and the channels stay down at the fourth start, so that
 * the editor can be used to mend what kills Node-RED.
 *
 * A crash is an exit that was no stop (an error that nobody caught), whatever got done before; and an end without any
 * word (killed, aborted, out of memory, power cut) when nothing got done: a machine that is switched off while it works
 * is no crash loop. What is needed for it stands in a small file: it must be known before a database is opened.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const STARTS_MAX = 3;
const WITHIN_MS = 5 * 60_000;
/** A run that got so old did not die of its start. */
const STEADY_MS = 30_000;

interface Notes {
  /** Starts that died, in milliseconds since 1970. */
  died: number[];
  /** The run that is (or was) under way. */
  run?: { since: number; useful: boolean; crashed?: true };
}

/** The part of `process` that is used here. */
interface Exits {
  on(event: "exit", listener: () => void): unknown;
  off(event: "exit", listener: () => void): unknown;
}

export class CrashWatch {
  readonly #path: string;
  #notes: Notes = { died: [] };
  #timer?: NodeJS.Timeout;
  #begun = false;
  readonly #exits: Exits;
  readonly #onExit = (): void => {
    if (!this.#notes.run) return;
    this.#notes.run.crashed = true;
    this.#write();
  };

  /** @param path the file; its folder is made */
  constructor(path: string, exits: Exits = process) {
    this.#path = path;
    this.#exits = exits;
  }

  /** This run begins; answers how many starts before it died, when those are too many, else 0. */
  begin(now = Date.now()): number {
    if (this.#begun) return 0;
    this.#begun = true;
    const { died, run } = this.#read();
    const isCrash = run !== undefined && (run.crashed === true || !run.useful);
    const recent = run && !isCrash ? [] : [...died, ...(run ? [run.since] : [])];
    // A clock that was set back must not keep them for ever.
    this.#notes = {
      died: recent.filter((at) => Math.abs(now - at) < WITHIN_MS),
      run: { since: now, useful: false },
    };
    this.#write();
    this.#exits.on("exit", this.#onExit);
    const tooMany = this.#notes.died.length >= STARTS_MAX;
    // The next start is a new try, whatever becomes of this one.
    if (tooMany) this.end();
    else this.#timer = setTimeout(() => this.useful(), STEADY_MS).unref();
    return tooMany ? STARTS_MAX : 0;
  }

  /** Something got done (or it just runs steadily): whatever kills it later, it is not the start. */
  useful(): void {
    if (!this.#notes.run || this.#notes.run.useful) return;
    clearTimeout(this.#timer);
    this.#notes.run.useful = true;
    this.#write();
  }

  /** Stopped as it should be. */
  end(): void {
    clearTimeout(this.#timer);
    if (!this.#begun) return;
    this.#exits.off("exit", this.#onExit);
    this.#notes = { died: [] };
    this.#begun = false;
    this.#write();
  }

  #read(): Notes {
    try {
      const { died, run } = JSON.parse(readFileSync(this.#path, "utf8")) as Partial<Notes>;
      const notes: Notes = { died: Array.isArray(died) ? died.filter(Number.isFinite) : [] };
      if (run && Number.isFinite(run.since)) notes.run = { since: run.since, useful: run.useful === true };
      if (notes.run && run?.crashed === true) notes.run.crashed = true;
      return notes;
    } catch {
      return { died: [] };
    }
  }

  #write(): void {
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      writeFileSync(`${this.#path}.new`, JSON.stringify(this.#notes), { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch {
      // A disk that cannot be written is reported by the store; without the file there is just no breaker.
    }
  }
}
