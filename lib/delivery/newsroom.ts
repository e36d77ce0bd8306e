/** The newsroom: what happens becomes a sentence for the log, for flows that raise an alarm, for the node concerned. */
import type { Account } from "../channel/account";
import type { Log } from "../channel/define";
import type { Clock } from "../clock";
import { asError, type RedclawError } from "../errors";
import type { ResponseMarks } from "./ledger";
import type { News, NewsListener } from "./news";
import type { Counts } from "./outbox";

/** A response that ended without a receipt, for the node that sent it. */
export interface Undelivered {
  error: RedclawError;
  key: string;
  marks: ResponseMarks;
}

export interface NewsroomOptions {
  log: Log;
  clock: Clock;
  accounts: ReadonlyMap<string, Account>;
  counts(account: string): Counts;
}

export class Newsroom {
  readonly #o: NewsroomOptions;
  readonly #listeners = new Set<NewsListener>();
  /** By the node's id. */
  readonly #failureListeners = new Map<string, (undelivered: Undelivered) => void>();

  constructor(options: NewsroomOptions) {
    this.#o = options;
  }

  /** Answers the way to stop. */
  listen(listener: NewsListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The last listener of a node is in force; answers the way to stop. */
  watchFailures(node: string, listener: (undelivered: Undelivered) => void): () => void {
    this.#failureListeners.set(node, listener);
    return () => {
      if (this.#failureListeners.get(node) === listener) this.#failureListeners.delete(node);
    };
  }

  tell(news: Omit<News, "v" | "at">): void {
    const whole: News = { v: 1, ...news, at: new Date(this.#o.clock.now()).toISOString() };
    for (const listener of this.#listeners) {
      try {
        listener({ ...whole });
      } catch (error) {
        this.#o.log.warn(asError(error).message);
      }
    }
  }

  /** The same about an account, which is named, with its counts. */
  tellOf(id: string, news: Omit<News, "v" | "at">): void {
    const account = this.#o.accounts.get(id);
    const { waiting, held } = this.#o.counts(id);
    this.tell({
      ...news,
      account: id,
      waiting,
      held,
      ...(account ? { channel: account.definition.name, name: account.settings.name } : {}),
    });
  }

  /** Nothing can be written down, or (undefined) it can again. */
  storeTrouble(error: Error | undefined): void {
    const { log } = this.#o;
    if (error) {
      log.error(`${error.message} Until then no message is taken, so that none is lost.`);
      const { code } = error as RedclawError;
      this.tell({ event: "store-trouble", severity: "error", sentence: error.message, code });
    } else {
      log.info("Messages can be written down again.");
      this.tell({ event: "store-well", severity: "info", sentence: "Messages can be written down again." });
    }
  }

  breakerChanged({ id, definition, log }: Account, open: boolean): void {
    const sentence = open
      ? `${definition.label} failed several times in a row. Sending rests, and one message tries from time to time; nothing is lost.`
      : `${definition.label} works again: the messages that waited are sent.`;
    log[open ? "warn" : "info"](sentence);
    this.tellOf(id, {
      event: open ? "breaker-open" : "breaker-closed",
      severity: open ? "warning" : "info",
      sentence,
    });
  }

  /** A response ended without a receipt: the node that sent it before a restart hears of it, too. */
  undelivered(
    account: string,
    state: "unknown" | "failed" | "expired",
    error: RedclawError,
    { key, marks, awaited }: { key: string; marks: ResponseMarks; awaited: boolean },
  ): void {
    this.tellOf(account, {
      event: state === "unknown" ? "held" : "dead-letter",
      severity: state === "unknown" ? "warning" : "error",
      sentence: error.message,
      code: error.code,
      conversation: marks.to.conversation,
      id: key,
    });
    // Whoever waits for it hears it himself.
    if (!awaited && marks.node !== undefined) this.#failureListeners.get(marks.node)?.({ error, key, marks });
  }
}
