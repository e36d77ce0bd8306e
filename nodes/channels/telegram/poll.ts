/**
 * The poll loop: asks for updates, hands them to the ledger, and moves the offset only when the ledger has them.
 * Whatever happens it goes on by itself, except when the token is refused.
 */
import type { Update } from "grammy/types";
import type { ConnectContext, ConnectionStatus } from "../../../lib/channel/define";
import { backoff, sleep } from "../../../lib/delivery/retry";
import { asError, ChannelError, RedclawError } from "../../../lib/errors";
import type { BotApi } from "./api";
import { ALLOWED_UPDATES, OFFSET_VALID_MS, type Timing } from "./constants";
import { TelegramError } from "./faults";
import { isId, isRecord } from "./untrusted";

interface PollOptions {
  ctx: ConnectContext;
  api: BotApi;
  timing: Timing;
  /** Shown while all is well. */
  identity: string;
  /** Ends the loop, on closing or when the token was refused. */
  signal: AbortSignal;
  /** After updates are safe. Must not throw. */
  accepted(updates: readonly Update[]): void;
  /** Telegram refused the token. */
  refused(error: ChannelError): void;
}

/** More than the clock's coarseness: Telegram counts its seconds itself, and asking too early makes it longer. */
const RETRY_AFTER_MARGIN_MS = 50;

export class Poll {
  readonly #o: PollOptions;
  #offset?: number;
  /** When the offset was last moved: an old one is not used (see OFFSET_VALID_MS). */
  #movedAt = 0;
  #troubles = 0;
  #unconfirmed = false;
  #shown: ConnectionStatus["state"] = "connected";

  constructor(options: PollOptions) {
    this.#o = options;
  }

  /** Runs until the signal ends it. Never rejects. */
  async run(): Promise<void> {
    const { ctx, signal } = this.#o;
    while (!signal.aborted) {
      try {
        if (this.#movedAt === 0) await kept(this.#recall());
        const updates = await this.#ask();
        if (signal.aborted) return;
        await this.#take(updates);
        this.#troubles = 0;
        if (this.#shown !== "connected") this.#show({ state: "connected", identity: this.#o.identity });
      } catch (thrown) {
        if (signal.aborted) return;
        const inMs = await this.#trouble(thrown);
        if (inMs === undefined) return;
        await sleep(inMs, signal).catch(() => ctx.log.debug("Telegram: polling ended."));
      }
    }
  }

  /** Where we were before a restart. */
  async #recall(): Promise<void> {
    const { memory } = this.#o.ctx;
    const [offset, movedAt] = [await memory.get<number>("offset"), await memory.get<number>("offsetAt")];
    this.#offset = isId(offset) ? offset : undefined;
    this.#movedAt = isId(movedAt) ? movedAt : Date.now();
  }

  async #ask(): Promise<unknown[]> {
    const { api, timing, signal } = this.#o;
    const seconds = this.#troubles === 0 ? timing.pollSeconds : timing.probeSeconds;
    if (Date.now() - this.#movedAt > OFFSET_VALID_MS) this.#offset = undefined;
    const args = {
      timeout: seconds,
      allowed_updates: ALLOWED_UPDATES,
      ...(this.#offset === undefined ? {} : { offset: this.#offset }),
    };
    const updates: unknown = await api.call("getUpdates", args, {
      withinMs: seconds * 1000 + timing.pollGraceMs,
      signal,
    });
    this.#unconfirmed = false;
    if (!Array.isArray(updates))
      throw new ChannelError("unavailable", "Telegram answered something that is no list of updates.");
    return updates;
  }

  /** All of one answer in Telegram's order and in one commit: what is not safe yet is asked for again. */
  async #take(updates: unknown[]): Promise<void> {
    const { ctx, signal } = this.#o;
    const readable = updates.filter(isUpdate).sort((a, b) => a.update_id - b.update_id);
    const last = readable.at(-1);
    // After closing the ledger would know nobody who can read them.
    if (last && !signal.aborted) {
      const offset = Math.max(this.#offset ?? Number.NEGATIVE_INFINITY, last.update_id + 1);
      const offsetAt = Date.now();
      await kept(ctx.acceptAll(readable, { offset, offsetAt }));
      this.#offset = offset;
      this.#movedAt = offsetAt;
      this.#unconfirmed = true;
      this.#o.accepted(readable);
    }
    if (readable.length < updates.length) {
      ctx.log.warn("Telegram sent an update without a number; it was left out.");
      if (readable.length === 0)
        throw new ChannelError("unavailable", "Telegram sent updates that cannot be read.");
    }
  }

  /** Shows what is wrong; answers after how many ms to go on, or undefined when there is no point. */
  async #trouble(thrown: unknown): Promise<number | undefined> {
    const { ctx, timing } = this.#o;
    this.#troubles += 1;
    if (thrown instanceof NotKept) return this.#ownTrouble(thrown.reason);
    const error = asError(thrown);
    if (error instanceof ChannelError && error.fault === "auth") {
      this.#o.refused(error);
      return undefined;
    }
    if (error instanceof ChannelError && error.fault === "conflict") {
      await this.#conflict(error);
      return timing.conflictMs;
    }
    let inMs = this.#pause();
    if (error instanceof ChannelError && error.fault === "rate" && error.retryAfterMs !== undefined) {
      inMs = error.retryAfterMs + RETRY_AFTER_MARGIN_MS;
      ctx.slowDown(error.retryAfterMs);
    }
    const isSilent = error instanceof ChannelError && error.code === "timeout";
    const reason = isSilent ? "Telegram has been silent for too long." : error.message;
    ctx.log.warn(`Telegram: ${reason} Trying again in ${Math.ceil(inMs / 1000)} s.`);
    this.#show({ state: "reconnecting", inMs, reason });
    return inMs;
  }

  /** What was received could not be stored here. Telegram is well and keeps it, so its name stays out of this. */
  #ownTrouble(error: Error): number {
    const inMs = this.#pause();
    const reason =
      error instanceof RedclawError
        ? error.message
        : `What was received could not be stored: ${error.message}`;
    const { log } = this.#o.ctx;
    log.error(`${reason} Telegram keeps the messages. Trying again in ${Math.ceil(inMs / 1000)} s.`);
    this.#show({ state: "misconfigured", reason });
    return inMs;
  }

  #pause(): number {
    const { backoffFirstMs, backoffLongestMs } = this.#o.timing;
    return backoff(this.#troubles, backoffFirstMs, backoffLongestMs);
  }

  /** Two pollers, or a webhook that somebody set: a poll and a webhook exclude each other. */
  async #conflict(error: ChannelError): Promise<void> {
    const { ctx, api, timing, signal } = this.#o;
    const isWebhook = error instanceof TelegramError && /webhook/i.test(error.description);
    if (this.#shown !== "conflict") ctx.log.warn(`Telegram: ${error.message}`);
    this.#show({ state: "conflict", reason: error.message });
    if (!isWebhook) return;
    await api
      .call("deleteWebhook", {}, { withinMs: timing.callMs, signal })
      .catch((failed) => ctx.log.debug(`Telegram: ${asError(failed).message}`));
  }

  #show(status: ConnectionStatus): void {
    this.#shown = status.state;
    this.#o.ctx.status(status);
  }

  /** Tells Telegram what is safe, so that the next start does not get it again. Best effort. */
  async confirm(api: BotApi): Promise<void> {
    if (!this.#unconfirmed || this.#offset === undefined) return;
    const args = { offset: this.#offset, limit: 1, timeout: 0, allowed_updates: ALLOWED_UPDATES };
    await api.call("getUpdates", args, { withinMs: this.#o.timing.closingMs });
  }
}

/** Marks a failure of our own store. */
function kept<T>(work: Promise<T>): Promise<T> {
  return work.catch((thrown) => {
    throw new NotKept(asError(thrown));
  });
}

/** Our store did not work: nothing that Telegram could do anything about. */
class NotKept extends Error {
  readonly reason: Error;
  constructor(reason: Error) {
    super(reason.message);
    this.reason = reason;
  }
}

function isUpdate(value: unknown): value is Update {
  return isRecord(value) && isId(value["update_id"]);
}
