/**
 * The ledger: what became of every event and every response. The states, the rows and the writes that move them are
 * here and nowhere else; the inbox and the outbox say what happened.
 *
 * event: accepted -> emitted -> settled | expired (too late to answer) | quarantined (in the flow at each crash).
 * response: intended -> sending -> sent | unknown (held: may have arrived) | failed (dead letter) | expired | dismissed.
 */

import type { Destination } from "../channel/define";
import type { Clock } from "../clock";
import { asError, type RedclawError } from "../errors";
import type { MessageEvent, Receipt, Response } from "../message/types";
import type { Row, Store, Write } from "../store/store";
import { sleep } from "./retry";

export const EVENT = "event";
export const RESPONSE = "response";

export type EventState = "accepted" | "emitted" | "settled" | "expired" | "quarantined";
export type ResponseState = "intended" | "sending" | "sent" | "unknown" | "failed" | "expired" | "dismissed";

/** How an event ended. */
export type Ending = "answered" | "held" | "failed" | "let-go" | "ended" | "dismissed";

/** Ids of what is through stay this long, so that a late redelivery is recognised (platforms redeliver for 7 days). */
const DEDUPE_MS = 8 * 24 * 3_600_000;
/** What a person may still want to send again. */
const KEPT_MS = 30 * 24 * 3_600_000;
const OWED_RETRY_MS = 1000;
const PROBE_MS = 2000;
const PAGE = 500;

/** The open part of an event's row: how often it went out, and how often Node-RED crashed meanwhile. */
export interface EventMarks {
  n: number;
  c?: number;
}

/** The open part of a response's row. */
export interface ResponseMarks {
  to: Destination;
  /** Requests done so far: a response of several messages goes on where it stopped. */
  done: number;
  /** Of how many. */
  of?: number;
  ids: string[];
  about?: string;
  eventId?: string;
  /** Node that sent it. */
  node?: string;
  /** It may be sent again when it is not known whether it arrived. */
  resend?: true;
  receipt?: Receipt;
}

export interface LedgerOptions {
  store(): Promise<Store>;
  clock: Clock;
  /** Bodies of what is through stay this long, in milliseconds; 0: they are wiped at once. */
  historyMs(): number;
  /** Nothing can be written (with the reason), or all is well again. */
  trouble(error: Error | undefined): void;
}

export class Ledger {
  readonly #o: LedgerOptions;
  #store?: Store;
  #troubled = false;
  /** Ends that could not be written yet: they are written as soon as the store works. */
  readonly #owed: { writes: Write[]; resolve(): void }[] = [];
  #paying = false;
  readonly #closing = new AbortController();

  constructor(options: LedgerOptions) {
    this.#o = options;
  }

  get clock(): Clock {
    return this.#o.clock;
  }

  /** True while nothing can be written. */
  get troubled(): boolean {
    return this.#troubled;
  }

  store(): Promise<Store> {
    return this.#o.store();
  }

  /** The store in force changed. */
  storeChanged(): void {
    this.#store = undefined;
  }

  /** Writes all or nothing; resolves when it is durable. */
  commit(writes: readonly Write[]): Promise<boolean[]> {
    const store = this.#store;
    const committing = store ? store.commit(writes) : this.#open().then((opened) => opened.commit(writes));
    return committing.then(
      this.#troubled ? (changed) => this.#wrote(writes, changed) : undefined,
      this.#failed,
    );
  }

  /** With the disk full, the end of work can still be written: that does not make it well. */
  #wrote(writes: readonly Write[], changed: boolean[]): boolean[] {
    if (this.#troubled && writes.some((write) => "insert" in write)) this.#well();
    return changed;
  }

  readonly #failed = (thrown: unknown): never => {
    const error = asError(thrown);
    if (isStoreTrouble(error)) this.#trouble(error);
    throw error;
  };

  /**
   * Writes the end of something that has happened: it is kept and tried again until it is written. Resolves when it
   * is durable.
   */
  async record(writes: Write[]): Promise<void> {
    try {
      await this.commit(writes);
    } catch (error) {
      if (!isStoreTrouble(error)) throw error;
      await new Promise<void>((resolve) => {
        this.#owed.push({ writes, resolve });
        void this.#pay();
      });
    }
  }

  async #open(): Promise<Store> {
    const store = await this.#o.store();
    this.#store = store;
    return store;
  }

  async #pay(): Promise<void> {
    if (this.#paying) return;
    this.#paying = true;
    try {
      while (this.#owed.length > 0 && !this.#closing.signal.aborted) {
        await sleep(OWED_RETRY_MS, this.#closing.signal).catch(() => undefined);
        for (const owed of [...this.#owed]) {
          const written = await this.commit(owed.writes).then(
            () => true,
            (error) => !isStoreTrouble(error),
          );
          if (!written) break;
          this.#owed.splice(this.#owed.indexOf(owed), 1);
          owed.resolve();
        }
      }
    } finally {
      this.#paying = false;
    }
  }

  #trouble(error: Error): void {
    if (this.#troubled) return;
    this.#troubled = true;
    this.#o.trouble(error);
    void this.#probe();
  }

  /** Tries until new work can be written, so that all is well again without anybody writing to a bot. */
  async #probe(): Promise<void> {
    const { signal } = this.#closing;
    const at = this.clock.now();
    const insert = { space: "probe", key: "new", value: null, at, expires: at + 1 };
    while (this.#troubled) {
      await sleep(PROBE_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.commit([{ insert }, { delete: { space: "probe", key: "new" } }]).catch(() => undefined);
    }
  }

  #well(): void {
    this.#troubled = false;
    this.#o.trouble(undefined);
  }

  close(): void {
    this.#closing.abort();
  }

  /**
   * All rows of an account in these states, the oldest first, without their bodies. What was given to write before is
   * among them.
   */
  async open(space: string, state: readonly string[], account: string): Promise<Row[]> {
    await this.commit([{ delete: { space: "barrier", key: space } }]);
    const store = await this.store();
    const rows: Row[] = [];
    for (;;) {
      const page = await store.find({ space, state, account, bare: true, limit: PAGE, offset: rows.length });
      rows.push(...page);
      if (page.length < PAGE) return rows;
    }
  }

  /** A new event. `emitted`: it goes out on the wires as soon as this is written. */
  acceptEvent(event: MessageEvent, emitted: boolean, now: number): Write {
    const marks: EventMarks = { n: emitted ? 1 : 0 };
    return {
      insert: {
        space: EVENT,
        key: event.id,
        value: marks,
        body: event,
        state: emitted ? "emitted" : "accepted",
        account: event.account,
        conversation: event.conversation.id,
        at: now,
        expires: now + DEDUPE_MS,
        trail: emitted
          ? [
              ["accepted", now],
              ["emitted", now],
            ]
          : [["accepted", now]],
      },
    };
  }

  /**
   * The event goes out (again): written before it does, so that a crash counts. Changes nothing when it is not
   * `ifState` any more: an answer of an earlier run may have settled it meanwhile.
   */
  emitEvent(id: string, ifState: EventState, marks: EventMarks): Write {
    const now = this.clock.now();
    return {
      update: { space: EVENT, key: id, ifState, state: "emitted", value: marks, trail: [["emitted", now]] },
    };
  }

  settleEvent(id: string, how: Ending): Write {
    const now = this.clock.now();
    return {
      update: { space: EVENT, key: id, state: "settled", trail: [["settled", now, how]], ...this.#end(now) },
    };
  }

  /** It stays visible, with its body, and goes nowhere unless somebody says so. */
  stopEvent(id: string, state: "expired" | "quarantined", marks: EventMarks, why: string): Write {
    const now = this.clock.now();
    return {
      update: {
        space: EVENT,
        key: id,
        state,
        value: marks,
        trail: [[state, now, why]],
        expires: now + KEPT_MS,
      },
    };
  }

  /** A new response, before any byte of it leaves. */
  intend(
    key: string,
    account: string,
    response: Response,
    marks: ResponseMarks,
    state: "intended" | "sending",
    at: number,
  ): Row {
    return {
      space: RESPONSE,
      key,
      value: marks,
      body: response,
      state,
      account,
      conversation: marks.to.conversation,
      at,
      expires: at + DEDUPE_MS,
      trail:
        state === "sending"
          ? [
              ["intended", at],
              ["sending", at],
            ]
          : [["intended", at]],
    };
  }

  moveResponse(key: string, state: "intended" | "sending", marks?: ResponseMarks, why?: string): Write {
    const now = this.clock.now();
    return {
      update: {
        space: RESPONSE,
        key,
        state,
        trail: [why === undefined ? [state, now] : [state, now, why]],
        ...(marks === undefined ? {} : { value: marks }),
      },
    };
  }

  sendResponse(key: string, marks: ResponseMarks): Write {
    const now = this.clock.now();
    return {
      update: {
        space: RESPONSE,
        key,
        state: "sent",
        value: marks,
        trail: [["sent", now]],
        ...this.#end(now),
      },
    };
  }

  /** It did not (or perhaps not) arrive. The body stays, so that somebody can send it again. */
  stopResponse(
    key: string,
    state: "unknown" | "failed" | "expired",
    marks: ResponseMarks,
    why: string,
  ): Write {
    const now = this.clock.now();
    return {
      update: {
        space: RESPONSE,
        key,
        state,
        value: marks,
        trail: [[state, now, why]],
        expires: now + KEPT_MS,
      },
    };
  }

  /** Somebody does not want it any more: what was written is wiped, also where a history is kept. */
  dismissEvent(id: string, ifState: EventState): Write {
    const now = this.clock.now();
    const trail = [["settled", now, "dismissed"]] as const;
    return { update: { space: EVENT, key: id, ifState, state: "settled", body: null, trail } };
  }

  /** The same for a response. */
  dismissResponse(key: string, ifState: ResponseState): Write {
    const now = this.clock.now();
    const trail = [["dismissed", now]] as const;
    return { update: { space: RESPONSE, key, ifState, state: "dismissed", body: null, trail } };
  }

  /** Of a message that is through only the id stays, as long as the platform may deliver it again. */
  forget({ body: _body, trail: _trail, ...row }: Row): Write {
    const expires = row.at + DEDUPE_MS;
    if (expires <= this.clock.now()) return { delete: { space: row.space, key: row.key } };
    return { put: { ...row, expires } };
  }

  /** Crash-safe: the body is wiped. With a history it stays as long as that is. */
  #end(now: number): { body?: null; expires?: number } {
    const keepMs = this.#o.historyMs();
    return keepMs > 0 ? { expires: now + Math.max(keepMs, DEDUPE_MS) } : { body: null };
  }
}

/** The store could not do it now; it is nobody's message that is to blame. */
export function isStoreTrouble(error: unknown): boolean {
  const code = (error as Partial<RedclawError> | undefined)?.code;
  return typeof code === "string" && code.startsWith("store-");
}
