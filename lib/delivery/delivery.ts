/**
 * One response on its way: rendered once, sent request by request, each marked in the ledger before it leaves, until
 * it ends as a receipt or as an error that says why.
 */
import type { Account } from "../channel/account";
import type { Client, MessagePart, SendOptions } from "../channel/define";
import { asError, ChannelError, RedclawError } from "../errors";
import { type Action, toActions } from "../message/parts";
import type { Receipt, Response } from "../message/types";
import type { Write } from "../store/store";
import type { Outcome, Work } from "./dispatcher";
import { isStoreTrouble, type Ledger, RESPONSE, type ResponseMarks } from "./ledger";
import { backoff } from "./retry";

const STORE_RETRY_MS = 1000;
const OVER: Outcome = { over: true, inMs: 0, platform: "silent" };
const AGAIN: Outcome = { over: false, inMs: 0, platform: "silent" };

/** What the outbox does for its deliveries. */
export interface DeliveryHost {
  ledger: Ledger;
  /** The write that settles the event which this response answers. */
  settling(eventId: string, how: "answered" | "held" | "failed"): Write[];
  /** A request leaves (1), or its answer is there (-1). */
  asked(change: 1 | -1): void;
  /** A response ended without a receipt; `error` says why. */
  stopped(delivery: Delivery, state: "unknown" | "failed" | "expired", error: RedclawError): void;
  /** It is over, one way or the other. */
  ended(delivery: Delivery): void;
}

/** How far the row in the ledger is. */
type Written = "new" | "intended" | "sending";

export class Delivery implements Work {
  readonly key: string;
  readonly account: Account;
  readonly marks: ResponseMarks;
  /** Milliseconds of the clock. */
  readonly at: number;
  readonly deadline: number;
  readonly receipt: Promise<Receipt>;
  /** Somebody waits for its end; else it is of an earlier run of the process. */
  readonly awaited: boolean;
  readonly #host: DeliveryHost;
  #response?: Response;
  #actions?: Action[];
  #written: Written;
  /** The row on its way to the disk. */
  #writing?: Promise<unknown>;
  #begun = false;
  #attempt = 0;
  /** This part goes without markup: the platform could not read it. */
  #unformatted = false;
  /** A try of this part was cut off: it may have arrived. */
  #unsure: boolean;
  #resolve: (receipt: Receipt) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  /** `written`: the state in which an earlier run of the process left it; its response is read when it is needed. */
  constructor(
    host: DeliveryHost,
    account: Account,
    key: string,
    marks: ResponseMarks,
    times: { at: number; deadline: number },
    from: { response: Response } | { written: "intended" | "sending" },
  ) {
    this.#host = host;
    this.account = account;
    this.key = key;
    this.marks = marks;
    this.at = times.at;
    this.deadline = times.deadline;
    this.awaited = "response" in from;
    if ("response" in from) this.#response = from.response;
    this.#written = "written" in from ? from.written : "new";
    this.#unsure = "written" in from && from.written === "sending";
    this.receipt = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever waits hears it; when nobody does (after a restart), the ledger and the news say it.
    this.receipt.catch(() => undefined);
  }

  /** Its first request has left, or is about to. */
  get begun(): boolean {
    return this.#begun;
  }

  get conversation(): string {
    return this.marks.to.conversation;
  }

  /** Reads what is wrong with the response before anything is written. Throws RedclawError. */
  check(): void {
    this.#render();
  }

  /** Unless it left at once: it is written down and waits. */
  writeDown(): void {
    if (this.#begun || this.#written !== "new") return;
    this.#writing = this.#insert("intended").catch(() => undefined);
  }

  async step(): Promise<Outcome> {
    this.#begun = true;
    try {
      return await this.#step();
    } catch (thrown) {
      const error = asError(thrown);
      if (isStoreTrouble(error)) return { over: false, inMs: STORE_RETRY_MS, platform: "silent" };
      await this.#stop("failed", toRedclaw(error));
      return OVER;
    }
  }

  async #step(): Promise<Outcome> {
    const { account } = this;
    if (this.#writing) {
      await this.#writing;
      this.#writing = undefined;
    }
    if (this.#response === undefined && !(await this.#read())) return OVER;
    const actions = this.#render();
    const action = actions[this.marks.done];
    if (!action) return this.#done();
    const sending = action.do === "send" && account.marksSending;
    if (this.#written === "new" && !(await this.#insert(sending ? "sending" : "intended")))
      return (await this.#adopt()) ? AGAIN : OVER;
    if (sending && this.#written !== "sending") await this.#move("sending");
    const client = account.client;
    if (!client || account.signal.aborted) {
      if (this.#written === "sending" && !this.#unsure) await this.#move("intended");
      return AGAIN;
    }
    this.#host.asked(1);
    try {
      const messageId = await account.request((signal) => this.#perform(client, action, signal));
      this.#host.asked(-1);
      if (messageId !== undefined) this.marks.ids.push(messageId);
    } catch (thrown) {
      this.#host.asked(-1);
      return this.#failed(thrown, actions);
    }
    this.#unsure = false;
    this.#attempt = 0;
    this.#unformatted = false;
    this.marks.done += 1;
    if (this.marks.done === actions.length) return this.#done("answered");
    // Between two parts nothing is on its way: a stop now loses none and sends none twice.
    const { ledger } = this.#host;
    const written = this.#record([ledger.moveResponse(this.key, "intended", this.marks)]);
    this.#written = "intended";
    return { over: false, inMs: 0, platform: "answered", written };
  }

  /** Written down in this state; false when the key is known already. */
  async #insert(state: "intended" | "sending"): Promise<boolean> {
    const { ledger } = this.#host;
    const row = ledger.intend(
      this.key,
      this.account.id,
      this.#response as Response,
      this.marks,
      state,
      this.at,
    );
    const [isNew] = await ledger.commit([{ insert: row }]);
    if (isNew) this.#written = state;
    return isNew === true;
  }

  /** The key is known: an earlier run of the flow sent it, or meant to. False: this one has ended with it. */
  async #adopt(): Promise<boolean> {
    const { ledger } = this.#host;
    const row = await (await ledger.store()).get(RESPONSE, this.key);
    const earlier = row?.value as ResponseMarks | undefined;
    if (row?.state === "sent" && earlier?.receipt) {
      this.#end(() => this.#resolve(earlier.receipt as Receipt));
      return false;
    }
    const cutOff = row?.state === "sending";
    if (cutOff) this.#written = "sending";
    const mayRetry = this.account.mayRetryUnknown || this.marks.resend === true;
    if (row?.state === "unknown" || (cutOff && !mayRetry)) {
      if (cutOff) await this.#stop("unknown", heldError(this.account));
      else this.#end(() => this.#reject(heldError(this.account)));
      return false;
    }
    // What an earlier try sent of several parts stays sent.
    if (earlier && (row?.state === "intended" || cutOff)) {
      this.marks.done = earlier.done;
      this.marks.ids = earlier.ids;
      this.#unsure = cutOff;
    }
    const state = cutOff ? "sending" : "intended";
    const { id } = this.account;
    const put = ledger.intend(this.key, id, this.#response as Response, this.marks, state, this.at);
    await ledger.commit([{ put }]);
    this.#written = state;
    return true;
  }

  /** What its marks say is in the ledger already. */
  async #move(state: "intended" | "sending", why?: string): Promise<void> {
    const { ledger } = this.#host;
    await ledger.commit([ledger.moveResponse(this.key, state, undefined, why)]);
    this.#written = state;
  }

  /** From an earlier run of the process. False: there is nothing to send any more. */
  async #read(): Promise<boolean> {
    const { ledger } = this.#host;
    const row = await (await ledger.store()).get(RESPONSE, this.key);
    if (row?.state !== "intended" && row?.state !== "sending") {
      this.#end(() => this.#reject(new RedclawError("gone", "This message was dealt with meanwhile.")));
      return false;
    }
    if (row.body === undefined) {
      const sentence =
        "A message from before the restart cannot be read, because the key of the database was lost or changed. It was not sent.";
      await this.#stop("failed", new RedclawError("unreadable", sentence));
      return false;
    }
    this.#response = row.body as Response;
    return true;
  }

  #render(): Action[] {
    if (this.#actions) return this.#actions;
    const response = this.#response as Response;
    const { about } = this.marks;
    const replyTo = response.replyTo === "auto" ? about : response.replyTo;
    const { capabilities } = this.account.definition;
    const actions = toActions(response, capabilities, replyTo === undefined ? {} : { replyTo });
    // Only a sign of life: with an answer behind it, nobody waits for it.
    this.#actions = actions.length > 1 ? actions.filter(({ do: what }) => what !== "typing") : actions;
    if (this.#actions.length > 1) this.marks.of = this.#actions.length;
    return this.#actions;
  }

  async #perform(client: Client, action: Action, signal: AbortSignal): Promise<string | undefined> {
    const { to, about } = this.marks;
    const options: SendOptions = { key: `${this.key}#${this.marks.done}`, signal };
    switch (action.do) {
      case "send": {
        const part: MessagePart = this.#unformatted ? { ...action.part, unformatted: true } : action.part;
        if (this.#unsure && client.lookup) {
          const found = await client.lookup(part, to, options);
          if (found) return found.messageId;
          this.#unsure = false;
        }
        return (await client.send(part, to, options)).messageId;
      }
      case "edit": {
        const part = this.#unformatted ? { ...action.part, unformatted: true } : action.part;
        await client.edit?.(action.messageId, part, to, options);
        return action.messageId;
      }
      case "delete":
        await client.remove?.(action.messageId, to, options);
        return undefined;
      case "react":
        if (about !== undefined) await client.react?.(about, action.emoji, to, options);
        return undefined;
      case "typing":
        await client.typing?.(to).catch(() => undefined);
        return undefined;
    }
  }

  async #failed(thrown: unknown, actions: Action[]): Promise<Outcome> {
    const { account } = this;
    const error = asError(thrown);
    if (!(error instanceof ChannelError)) {
      await this.#stop("failed", toRedclaw(error));
      return OVER;
    }
    const { fault } = error;
    const action = actions[this.marks.done] as Action;
    if (fault === "formatting" && "part" in action && !this.#unformatted) {
      this.#unformatted = true;
      return { over: false, inMs: 0, platform: "answered" };
    }
    if (fault === "interrupted" && action.do === "send") {
      this.#unsure = true;
      if (!account.mayRetryUnknown && this.marks.resend !== true) {
        await this.#stop("unknown", heldError(account, error));
        return { over: true, inMs: 0, platform: "failed" };
      }
    }
    const failed = ["unreachable", "unavailable", "interrupted"].includes(fault);
    // A refused token says nothing about whether sending works.
    const platform = failed ? "failed" : fault === "auth" ? "silent" : "answered";
    if (fault === "auth") account.refused(error);
    const again = error.retryable || fault === "auth" || fault === "interrupted";
    if (!again) {
      await this.#stop("failed", error);
      return { over: true, inMs: 0, platform };
    }
    this.#attempt += 1;
    const inMs = error.retryAfterMs ?? (fault === "auth" ? 0 : backoff(this.#attempt));
    if (fault === "rate") account.slowDown(inMs, error.scope === "chat" ? this.conversation : undefined);
    if (this.#host.ledger.clock.now() + inMs > this.deadline) {
      await this.#stop("expired", tooLate(account, error));
      return { over: true, inMs: 0, platform };
    }
    // Nothing of this part left: the row goes back to waiting, so that a crash now does not hold it.
    if (this.#written === "sending" && !this.#unsure) await this.#move("intended", error.code);
    return { over: false, inMs, platform: account.signal.aborted ? "silent" : platform };
  }

  async #done(platform: "answered" | "silent" = "silent"): Promise<Outcome> {
    const { account, marks } = this;
    const { ledger } = this.#host;
    if (this.#written === "new" && !(await this.#insert("intended")))
      return { over: !(await this.#adopt()), inMs: 0, platform };
    const receipt: Receipt = {
      messageId: marks.ids[0] ?? marks.about ?? "",
      messageIds: marks.ids,
      channel: account.definition.name,
      account: account.id,
      conversation: marks.to.conversation,
      sentAt: new Date(ledger.clock.now()).toISOString(),
    };
    marks.receipt = receipt;
    const writes = [ledger.sendResponse(this.key, marks), ...this.#settling("answered")];
    // The sender hears of it when it is on the disk.
    const written = this.#record(writes).then(() => this.#end(() => this.#resolve(receipt)));
    return { over: true, inMs: 0, platform, written };
  }

  #record(writes: Write[]): Promise<void> {
    return this.#host.ledger
      .record(writes)
      .catch((error) => this.account.log.error(`The ledger refused an entry: ${asError(error).message}`));
  }

  #settling(how: "answered" | "held" | "failed"): Write[] {
    const { eventId } = this.marks;
    return eventId === undefined ? [] : this.#host.settling(eventId, how);
  }

  async #stop(state: "unknown" | "failed" | "expired", error: RedclawError): Promise<void> {
    const { ledger } = this.#host;
    if (this.#written === "new") {
      // Refused before it was written down: the sender hears it, and there is nothing to send again.
      this.#end(() => this.#reject(error));
      return;
    }
    const writes = [ledger.stopResponse(this.key, state, this.marks, error.code)];
    await ledger.record([...writes, ...this.#settling(state === "unknown" ? "held" : "failed")]);
    this.#host.stopped(this, state, error);
    this.#end(() => this.#reject(error));
  }

  expire(): void {
    const error = tooLate(this.account);
    void Promise.resolve(this.#writing)
      .then(() => this.#stop("expired", error))
      .catch((failed) => this.account.log.warn(asError(failed).message));
  }

  leave(): void {
    this.#host.ended(this);
    void this.#keep().then((error) => this.#reject(error ?? closing()));
  }

  /** Sees to it that it is written down; answers why it could not be. */
  async #keep(): Promise<RedclawError | undefined> {
    try {
      await this.#writing;
      if (this.#written === "new") await this.#insert("intended");
      return undefined;
    } catch (thrown) {
      return toRedclaw(asError(thrown));
    }
  }

  #end(tell: () => void): void {
    this.#host.ended(this);
    tell();
  }
}

/** What a sentence for people needs: an error of a client that is no RedclawError is one all the same. */
function toRedclaw(error: Error): RedclawError {
  return error instanceof RedclawError
    ? error
    : new RedclawError("unexpected", error.message, { cause: error });
}

function closing(): RedclawError {
  return new RedclawError(
    "closing",
    "The account was closed; the message waits and is sent when it opens again.",
  );
}

export function heldError(account: Account, cause?: Error): ChannelError {
  return new ChannelError(
    "interrupted",
    `The connection to ${account.definition.label} broke while a message was being sent: it may not have been delivered. It is held and not sent again by itself. Look at the chat, then choose Resend or Dismiss.`,
    { code: "held", cause },
  );
}

function tooLate(account: Account, cause?: Error): RedclawError {
  const why = cause ? ` The last reason: ${cause.message}` : "";
  return new RedclawError(
    "expired",
    `A message to ${account.definition.label} could not be sent while it made sense, so it was not sent.${why} It is kept in the ledger and can be sent from there.`,
    { cause },
  );
}
