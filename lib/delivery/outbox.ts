/**
 * The outbox: a response is written down before the first request leaves, goes out in the order of its
 * conversation, at the platform's pace, and ends as a receipt or as an error that says why.
 *
 * intended -> sending -> sent (receipt) | unknown (may have arrived) | failed | expired.
 */
import type { Account } from "../channel/account";
import type { Client, Destination, MessagePart, SendOptions } from "../channel/define";
import { asError, ChannelError, RedclawError } from "../errors";
import type { Action } from "../message/parts";
import { toActions } from "../message/parts";
import type { Receipt, Response } from "../message/types";
import type { Row, Store } from "../store/store";
import { Lanes } from "./lanes";
import { backoff, sleep } from "./retry";

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
}

interface Progress {
  intent: Intent;
  /** Actions done so far: a response of several messages goes on where it stopped. */
  done: number;
  messageIds: string[];
}

/** Sent and failed responses stay this long, so that a second try of the same key is recognised. */
const KEPT_MS = 8 * 24 * 3_600_000;

export class Outbox {
  readonly #store: () => Promise<Store>;
  readonly #maxAge: () => number;
  readonly #lanes = new Lanes();
  readonly #running = new Map<string, Promise<Receipt>>();
  readonly #waiting = new Map<string, number>();
  readonly #onWaiting: (account: string) => void;

  constructor(store: () => Promise<Store>, maxAge: () => number, onWaiting: (account: string) => void) {
    this.#store = store;
    this.#maxAge = maxAge;
    this.#onWaiting = onWaiting;
  }

  /** Responses of an account that are on their way. */
  waiting(account: string): number {
    return this.#waiting.get(account) ?? 0;
  }

  /** True while a response with this key is on its way. */
  isRunning(key: string): boolean {
    return this.#running.has(key);
  }

  /** Resolves when what is on its way now has ended, one way or the other. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#running.values()]);
  }

  /** Sends, or answers the receipt of the earlier send with this key. Rejects with a RedclawError. */
  send(account: Account, intent: Intent): Promise<Receipt> {
    const running = this.#running.get(intent.key);
    if (running) return running;
    const sending = this.#intendAndSend(account, intent).finally(() => this.#running.delete(intent.key));
    this.#running.set(intent.key, sending);
    return sending;
  }

  async #intendAndSend(account: Account, intent: Intent): Promise<Receipt> {
    const actions = this.#actions(account, intent);
    const now = Date.now();
    const progress: Progress = { intent, done: 0, messageIds: [] };
    const row: Row = {
      space: "response",
      key: intent.key,
      value: progress,
      state: "intended",
      account: intent.account,
      conversation: intent.to.conversation,
      at: now,
      expires: now + KEPT_MS,
    };
    const store = await this.#store();
    const [isNew] = await store.commit([{ insert: row }]);
    if (!isNew) {
      const earlier = await store.get("response", intent.key);
      if (earlier?.state === "sent") return earlier.value as Receipt;
      const cutOff = earlier?.state === "unknown" || (earlier?.state === "sending" && !account.mayResend);
      if (cutOff) {
        await store.commit([{ update: { space: "response", key: intent.key, state: "unknown" } }]);
        throw heldError(account);
      }
      // What an earlier try sent of several parts stays sent.
      if (earlier?.state === "intended" || earlier?.state === "sending")
        Object.assign(progress, earlier.value, { intent });
      await store.commit([{ put: row }]);
    }
    return this.#inLane(account, intent, () => this.#deliver(account, actions, progress, now));
  }

  #actions(account: Account, intent: Intent): Action[] {
    const { response } = intent;
    const replyTo = response.replyTo === "auto" ? intent.about : response.replyTo;
    return toActions(response, account.definition.capabilities, replyTo === undefined ? {} : { replyTo });
  }

  #inLane(account: Account, intent: Intent, work: () => Promise<Receipt>): Promise<Receipt> {
    this.#count(account.id, 1);
    const lane = `${account.id}|${intent.to.conversation}`;
    return this.#lanes.run(lane, work).finally(() => this.#count(account.id, -1));
  }

  #count(account: string, by: number): void {
    this.#waiting.set(account, this.waiting(account) + by);
    this.#onWaiting(account);
  }

  /** After a start: what was intended is sent, what was cut off in the middle of a request is held. */
  async resume(account: Account): Promise<void> {
    const store = await this.#store();
    const rows = await store.find({
      space: "response",
      state: ["intended", "sending"],
      account: account.id,
      limit: 1000,
    });
    for (const { key } of rows) {
      // Between two rows time passes: what was found may have been sent meanwhile.
      const row = this.#running.has(key) ? undefined : await store.get("response", key);
      if (!row || this.#running.has(key) || (row.state !== "intended" && row.state !== "sending")) continue;
      const progress = row.value as Progress;
      if (row.state === "sending" && !account.mayResend) {
        await store.commit([{ update: { space: "response", key: row.key, state: "unknown" } }]);
        account.log.warn(
          "A message may not have been delivered before the restart. It is held and not sent again.",
        );
        continue;
      }
      const { intent } = progress;
      const sending = this.#inLane(account, intent, () =>
        this.#deliver(account, this.#actions(account, intent), progress, row.at),
      ).finally(() => this.#running.delete(intent.key));
      this.#running.set(intent.key, sending);
      sending.catch((error) =>
        account.log.warn(`A message from before the restart was not sent: ${asError(error).message}`),
      );
    }
  }

  async #deliver(account: Account, actions: Action[], progress: Progress, since: number): Promise<Receipt> {
    const { intent } = progress;
    const store = await this.#store();
    const mark = (state: string, value?: unknown) =>
      store.commit([
        { update: { space: "response", key: intent.key, state, ...(value === undefined ? {} : { value }) } },
      ]);
    try {
      for (let index = progress.done; index < actions.length; index += 1) {
        const action = actions[index] as Action;
        await this.#attempt(account, intent, index, action, since + this.#maxAge(), mark, progress);
        progress.done = index + 1;
        // Between two parts nothing is on its way: a stop now loses none and sends none twice.
        if (progress.done < actions.length) await mark("intended", progress);
      }
    } catch (thrown) {
      const error = asError(thrown);
      const fault = error instanceof ChannelError ? error.fault : undefined;
      const closing = account.signal.aborted && fault !== "refused" && fault !== "gone";
      const unknown = fault === "interrupted";
      // A response that was waiting when the account closed stays intended: the next start sends it.
      if (!closing)
        await mark(unknown ? "unknown" : "failed", unknown ? undefined : { reason: error.message }).catch(
          () => undefined,
        );
      if (closing)
        throw new RedclawError(
          "closing",
          "The account was closed; the message waits and is sent when it opens again.",
        );
      throw unknown ? heldError(account, error) : error;
    }
    const receipt: Receipt = {
      messageId: progress.messageIds[0] ?? intent.about ?? "",
      messageIds: progress.messageIds,
      channel: account.definition.name,
      account: account.id,
      conversation: intent.to.conversation,
      sentAt: new Date().toISOString(),
    };
    await mark("sent", receipt);
    return receipt;
  }

  /** One action until it is done: waits for the account, for the limits and for the platform to come back. */
  async #attempt(
    account: Account,
    intent: Intent,
    index: number,
    action: Action,
    deadline: number,
    mark: (state: string, value?: unknown) => Promise<unknown>,
    progress: Progress,
  ): Promise<void> {
    let current = action;
    for (let attempt = 1; ; ) {
      const client = await account.ready(deadline);
      if (current.do !== "typing") await waitForTurn(account, intent.to.conversation, deadline);
      account.signal.throwIfAborted();
      try {
        const messageId = await account.request(async (signal) => {
          if (current.do === "send") await mark("sending", progress);
          return perform(client, current, intent, { key: `${intent.key}#${index}`, signal });
        });
        if (messageId !== undefined) progress.messageIds.push(messageId);
        return;
      } catch (thrown) {
        const error = asError(thrown);
        if (!(error instanceof ChannelError)) throw error;
        if (error.fault === "formatting" && "part" in current && !current.part.unformatted) {
          current = { ...current, part: { ...current.part, unformatted: true } } as Action;
          continue;
        }
        if (error.fault === "auth") account.refused(error);
        const again =
          error.retryable || error.fault === "auth" || (error.fault === "interrupted" && account.mayResend);
        const wait = error.retryAfterMs ?? backoff(attempt);
        if (!again || Date.now() + wait > deadline) throw error;
        if (error.fault === "rate") account.slowDown(wait, intent.to.conversation);
        // Nothing of this part left: the row goes back to waiting, so that a crash now does not hold it.
        await mark("intended", progress);
        await sleep(wait, account.signal);
        attempt += 1;
      }
    }
  }
}

async function waitForTurn(account: Account, chat: string, deadline: number): Promise<void> {
  for (;;) {
    const wait = account.limiter.take(chat);
    if (wait === 0) return;
    if (Date.now() + wait > deadline) {
      throw new RedclawError(
        "expired",
        `${account.definition.label} asked to wait longer than a late answer makes sense. The message was not sent.`,
      );
    }
    await sleep(wait, account.signal);
  }
}

async function perform(
  client: Client,
  action: Action,
  intent: Intent,
  options: SendOptions,
): Promise<string | undefined> {
  const { to } = intent;
  switch (action.do) {
    case "send":
      return (await client.send(action.part as MessagePart, to, options)).messageId;
    case "edit":
      await client.edit?.(action.messageId, action.part, to, options);
      return action.messageId;
    case "delete":
      await client.remove?.(action.messageId, to, options);
      return undefined;
    case "react":
      if (intent.about !== undefined) await client.react?.(intent.about, action.emoji, to, options);
      return undefined;
    case "typing":
      // Only a sign of life: the answer behind it counts.
      await client.typing?.(to).catch(() => undefined);
      return undefined;
  }
}

function heldError(account: Account, cause?: Error): ChannelError {
  return new ChannelError(
    "interrupted",
    `The connection to ${account.definition.label} broke while a message was being sent: it may not have been delivered. It is held and not sent again by itself.`,
    { code: "held", cause },
  );
}
