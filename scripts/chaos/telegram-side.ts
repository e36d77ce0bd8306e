/** People who write to a bot, and what their chats show: seen from our Telegram server. */
import type { Update } from "grammy/types";
import { TelegramServer } from "../../test/platforms/telegram";
import { type Asked, answerTo, type Delivered, newId, type Side } from "./side";
import { sleep } from "./wait";

let bots = 0;

export interface TelegramSideOptions {
  account: string;
  promised: "hold" | "resend";
  /** Updates are posted to the bot's webhook, several at once and out of order, as Telegram does it. */
  webhook?: boolean;
}

export class TelegramSide implements Side {
  readonly account: string;
  readonly promised: "hold" | "resend";
  readonly server: TelegramServer;
  readonly #webhook: boolean;
  readonly #asked: (Asked & { update: number })[] = [];
  /** Posts that were answered 2xx. */
  readonly #posted = new Set<number>();
  /** The post of each chat that others wait for. */
  readonly #chats = new Map<string, Promise<void>>();
  #next: number;
  #ended = false;

  constructor({ account, promised, webhook = false }: TelegramSideOptions) {
    this.account = account;
    this.promised = promised;
    this.#webhook = webhook;
    bots += 1;
    this.#next = 870_000_001 + bots * 1_000_000;
    this.server = new TelegramServer({
      token: `${100_000_000 + bots}:ChaosTokenChaosTokenChaosTokenChaos`,
      username: `chaos_${bots}_bot`,
    });
  }

  /** Person number `who` writes. */
  ask(who: number): string {
    const id = newId();
    this.send(this.update(id, who), id);
    return id;
  }

  /** An update as Telegram would make it; numbered, not sent. */
  update(id: string, who: number): Update {
    const from = this.server.person(20_000 + who, `P${who}`, `person_${who}`);
    const message = {
      message_id: this.server.methods.nextMessageId(),
      from,
      chat: this.server.direct(from),
      date: Math.floor(Date.now() / 1000),
      text: id,
    };
    return { update_id: this.#next++, message } as Update;
  }

  send(update: Update, id: string): void {
    const { update_id } = update;
    this.#asked.push({
      id,
      update: update_id,
      conversation: String(update.message?.chat.id),
      eventId: `telegram:${this.account}:${update_id}`,
      acknowledged: false,
      at: Date.now(),
    });
    if (this.#webhook) void this.#post(update);
    else this.server.pushRaw(update);
  }

  /** Tries until it is taken, like Telegram. */
  async #post(update: Update): Promise<void> {
    // One chat's updates wait for each other; those of different chats overtake each other.
    const chat = String(update.message?.chat.id);
    const before = this.#chats.get(chat) ?? Promise.resolve();
    const posting = before.then(() => this.#postUntilTaken(update));
    this.#chats.set(chat, posting);
    await posting;
  }

  async #postUntilTaken(update: Update): Promise<void> {
    while (!this.#ended) {
      const { url, secret_token: secret = "" } = this.server.webhook;
      const answer =
        url === ""
          ? undefined
          : await fetch(url, {
              method: "POST",
              headers: { "content-type": "application/json", "x-telegram-bot-api-secret-token": secret },
              body: JSON.stringify(update),
              signal: AbortSignal.timeout(10_000),
            }).catch(() => undefined);
      await answer?.body?.cancel().catch(() => undefined);
      if (answer?.ok) {
        this.#posted.add(update.update_id);
        return;
      }
      await sleep(50);
    }
  }

  asked(): Asked[] {
    const offsets = this.server.calls("getUpdates").map(({ args }) => Number(args["offset"] ?? 0));
    const confirmed = offsets.reduce((highest, offset) => Math.max(highest, offset), 0);
    return this.#asked.map((message) => ({
      ...message,
      acknowledged: this.#webhook ? this.#posted.has(message.update) : message.update < confirmed,
    }));
  }

  delivered(): Delivered[] {
    return this.server.sent.flatMap((message) => {
      const id = answerTo(message.text ?? "");
      if (id === undefined) return [];
      const { chat, message_id, date } = message;
      return [{ id, conversation: String(chat.id), messageId: String(message_id), at: date * 1000 }];
    });
  }

  /** Answers so far: cheap, for waiting. */
  get answers(): number {
    return this.server.sent.length;
  }

  async stop(): Promise<void> {
    this.#ended = true;
    await this.server.stop();
  }
}
