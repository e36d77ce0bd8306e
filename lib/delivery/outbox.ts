/**
 * The outbox: a response is written down before the first request leaves, goes out in the order of its conversation,
 * at the platform's pace, and ends as a receipt or as an error that says why.
 */
import type { Account } from "../channel/account";
import type { Destination } from "../channel/define";
import { asError, RedclawError } from "../errors";
import type { Receipt, Response } from "../message/types";
import type { Write } from "../store/store";
import { Delivery, type DeliveryHost, heldError } from "./delivery";
import { Dispatcher } from "./dispatcher";
import { type Ledger, RESPONSE, type ResponseMarks, type ResponseState } from "./ledger";

export interface Intent {
  /** Idempotency key: the same key is never sent twice. */
  key: string;
  account: string;
  to: Destination;
  response: Response;
  /** Message that `replyTo: "auto"` and `reaction` mean. */
  about?: string;
  /** Event that is settled by this response. */
  eventId?: string;
  /** Node that sends it: hears of a failure after a restart, too. */
  node?: string;
  /** Send it again when it is not known whether it arrived (an alarm is better doubled than lost). */
  onUnknown?: "hold" | "resend";
}

/** Messages that are through, since the start. */
export interface Counts {
  sent: number;
  waiting: number;
  held: number;
}

export interface OutboxOptions {
  ledger: Ledger;
  /** Milliseconds: an answer older than this is not sent any more. */
  maxAge(): number;
  settling: DeliveryHost["settling"];
  /** The counts of an account changed. */
  changed(account: string): void;
  /** A response ended without a receipt. */
  stopped(
    account: Account,
    state: "unknown" | "failed" | "expired",
    error: RedclawError,
    response: { key: string; marks: ResponseMarks; awaited: boolean },
  ): void;
  breakerChanged(account: Account, open: boolean): void;
}

/** Requests in flight at a time: a crash leaves at most so many that may or may not have arrived. */
const IN_FLIGHT_UNKNOWN = 8;
const IN_FLIGHT_SAFE = 64;
const PAGE = 500;
/** A response that has to wait longer for its turn is written down; else only when it leaves. */
const WRITE_DOWN_MS = 50;

interface Way {
  account: Account;
  dispatcher: Dispatcher;
  sent: number;
  held: number;
}

export class Outbox {
  readonly #o: OutboxOptions;
  readonly #ways = new Map<string, Way>();
  readonly #running = new Map<string, Delivery>();
  readonly #host: DeliveryHost;
  #unwritten: Delivery[] = [];
  #writeDownTimer?: NodeJS.Timeout;
  /** Requests whose answer is not there yet. */
  asked = 0;

  constructor(options: OutboxOptions) {
    this.#o = options;
    this.#host = {
      ledger: options.ledger,
      settling: options.settling,
      asked: (change) => {
        this.asked += change;
      },
      stopped: (delivery, state, error) => {
        const way = this.#ways.get(delivery.account.id);
        if (way && state === "unknown") way.held += 1;
        options.stopped(delivery.account, state, error, delivery);
      },
      ended: (delivery) => {
        if (this.#running.get(delivery.key) === delivery) this.#running.delete(delivery.key);
        const way = this.#ways.get(delivery.account.id);
        if (way && delivery.marks.receipt) way.sent += 1;
        options.changed(delivery.account.id);
      },
    };
  }

  /** The way out of an account; the newest of its id is in force. */
  open(account: Account): void {
    const dispatcher = new Dispatcher({
      inFlightMax: account.definition.capabilities.idempotency === "key" ? IN_FLIGHT_SAFE : IN_FLIGHT_UNKNOWN,
      limiter: account.limiter,
      breaker: account.breaker,
      now: () => this.#o.ledger.clock.now(),
      ready: () => account.sends,
      breakerChanged: (open) => this.#o.breakerChanged(account, open),
    });
    const before = this.#ways.get(account.id);
    this.#ways.set(account.id, { account, dispatcher, sent: before?.sent ?? 0, held: before?.held ?? 0 });
  }

  /** No more requests begin; what is written down waits for the next time. */
  close(account: Account): void {
    const way = this.#ways.get(account.id);
    if (way?.account === account) way.dispatcher.stop();
  }

  /** Something changed: perhaps messages can leave now. */
  pump(account: string): void {
    this.#ways.get(account)?.dispatcher.pump();
  }

  counts(account: string): Counts {
    const way = this.#ways.get(account);
    return { sent: way?.sent ?? 0, waiting: way?.dispatcher.size ?? 0, held: way?.held ?? 0 };
  }

  /** True while a response with this key is on its way. */
  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /** Resolves when what is on its way now has ended, one way or the other. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map(({ receipt }) => receipt));
  }

  /** Resolves when no request of the account is in flight. */
  async quiet(account: Account): Promise<void> {
    const way = this.#ways.get(account.id);
    if (way?.account === account) await way.dispatcher.idle();
  }

  /** Sends, or answers the receipt of the earlier send with this key. Rejects with a RedclawError. */
  async send(account: Account, intent: Intent): Promise<Receipt> {
    const running = this.#running.get(intent.key);
    if (running) return running.receipt;
    const { key, to, response, about, eventId, node, onUnknown } = intent;
    const marks: ResponseMarks = { to, done: 0, ids: [] };
    if (about !== undefined) marks.about = about;
    if (eventId !== undefined) marks.eventId = eventId;
    if (node !== undefined) marks.node = node;
    if (onUnknown === "resend") marks.resend = true;
    const at = this.#o.ledger.clock.now();
    const delivery = new Delivery(
      this.#host,
      account,
      key,
      marks,
      { at, deadline: at + this.#o.maxAge() },
      { response },
    );
    delivery.check();
    this.#start(delivery);
    return delivery.receipt;
  }

  #start(delivery: Delivery): void {
    const { account } = delivery;
    const way = this.#ways.get(account.id);
    this.#running.set(delivery.key, delivery);
    if (!way || way.account !== account || account.signal.aborted) {
      // The account is just closed by a deploy: the message waits in the ledger for its next version.
      delivery.leave();
      return;
    }
    way.dispatcher.add(delivery);
    // After a crash its event goes through the flow again: there is a moment to see whether its turn comes by itself.
    if (delivery.marks.eventId === undefined) delivery.writeDown();
    else this.#writeDownSoon(delivery);
    this.#o.changed(account.id);
  }

  #writeDownSoon(delivery: Delivery): void {
    if (delivery.begun) return;
    this.#unwritten.push(delivery);
    this.#writeDownTimer ??= setTimeout(() => {
      this.#writeDownTimer = undefined;
      for (const waiting of this.#unwritten.splice(0)) waiting.writeDown();
    }, WRITE_DOWN_MS);
  }

  /** After a start: what was intended is sent, what was cut off in the middle of a request is held. */
  async resume(account: Account): Promise<void> {
    const { ledger } = this.#o;
    const way = this.#ways.get(account.id);
    if (way?.account !== account) return;
    const rows = await ledger.open(RESPONSE, ["intended", "sending"], account.id);
    const store = await ledger.store();
    way.held = await store.count({ space: RESPONSE, state: "unknown", account: account.id });
    for (const { key, at, state, value } of rows) {
      const marks = value as ResponseMarks;
      if (this.#running.has(key) || account.signal.aborted) continue;
      if (state === "sending" && !account.mayRetryUnknown && marks.resend !== true) {
        await this.#hold(account, key, marks);
        continue;
      }
      const deadline = Math.min(at, ledger.clock.now()) + this.#o.maxAge();
      this.#start(
        new Delivery(
          this.#host,
          account,
          key,
          marks,
          { at, deadline },
          { written: state as "intended" | "sending" },
        ),
      );
    }
    this.#o.changed(account.id);
  }

  async #hold(account: Account, key: string, marks: ResponseMarks): Promise<void> {
    const { ledger } = this.#o;
    // It may have come to its end since the list was read.
    if ((await (await ledger.store()).get(RESPONSE, key))?.state !== "sending" || this.#running.has(key))
      return;
    const error = heldError(account);
    const settled: Write[] = marks.eventId === undefined ? [] : this.#o.settling(marks.eventId, "held");
    await ledger.record([ledger.stopResponse(key, "unknown", marks, "stopped in the middle"), ...settled]);
    const way = this.#ways.get(account.id);
    if (way) way.held += 1;
    account.log.warn(error.message);
    this.#o.stopped(account, "unknown", error, { key, marks, awaited: false });
  }

  /** Somebody says that it shall be sent (again). Rejects with a RedclawError. */
  async resend(account: Account, key: string): Promise<void> {
    const { ledger } = this.#o;
    const row = await (await ledger.store()).get(RESPONSE, key);
    if (!row || !["unknown", "failed", "expired"].includes(row.state ?? "")) throw notThere();
    if (row.body === undefined) {
      throw new RedclawError(
        "unreadable",
        "The text of this message cannot be read any more, so it cannot be sent again.",
      );
    }
    const now = ledger.clock.now();
    const marks = row.value as ResponseMarks;
    const trail = [["intended", now, "by hand"]] as const;
    const [changed] = await ledger.commit([
      { update: { space: RESPONSE, key, ifState: row.state, state: "intended", at: now, trail } },
    ]);
    if (!changed) throw notThere();
    if (row.state === "unknown") this.#unheld(account.id);
    const times = { at: now, deadline: now + this.#o.maxAge() };
    this.#start(new Delivery(this.#host, account, key, marks, times, { written: "intended" }));
  }

  /** Nothing more is done about it; its text is wiped. Rejects with a RedclawError. */
  async dismiss(account: string, key: string): Promise<void> {
    const { ledger } = this.#o;
    const row = await (await ledger.store()).get(RESPONSE, key);
    if (!row || !["unknown", "failed", "expired"].includes(row.state ?? "")) throw notThere();
    const [changed] = await ledger.commit([ledger.dismissResponse(key, row.state as ResponseState)]);
    if (!changed) throw notThere();
    if (row.state === "unknown") this.#unheld(account);
  }

  #unheld(account: string): void {
    const way = this.#ways.get(account);
    if (way) way.held = Math.max(0, way.held - 1);
    this.#o.changed(account);
  }

  /** Responses to accounts that are not there any more, and too old to be sent: they end, visibly. */
  async expireOrphans(): Promise<void> {
    const { ledger } = this.#o;
    const store = await ledger.store();
    const before = ledger.clock.now() - this.#o.maxAge();
    const rows = await store.find({
      space: RESPONSE,
      state: ["intended", "sending"],
      before,
      bare: true,
      limit: PAGE,
    });
    for (const { key, account, state, value } of rows) {
      if (this.#running.has(key) || this.#ways.get(account ?? "")?.account.signal.aborted === false) continue;
      const ended = state === "sending" ? "unknown" : "expired";
      await ledger
        .record([ledger.stopResponse(key, ended, value as ResponseMarks, "no account")])
        .catch((error) => this.#ways.get(account ?? "")?.account.log.warn(asError(error).message));
    }
  }

  forget(account: Account): void {
    if (this.#ways.get(account.id)?.account === account) this.#ways.delete(account.id);
  }
}

function notThere(): RedclawError {
  return new RedclawError(
    "not-there",
    "This message is not held any more: it was sent, dismissed or purged meanwhile. Load the list again.",
  );
}
