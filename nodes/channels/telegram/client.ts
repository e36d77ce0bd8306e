/** Telegram at work: connects, receives (by our own poll loop or a webhook) and sends. Loaded when an account starts. */
import type { Message, UserFromGetMe } from "grammy/types";
import type {
  Client,
  Connect,
  ConnectContext,
  Destination,
  FilePart,
  Identity,
  MessagePart,
  OpenedFile,
  SendOptions,
  TextPart,
} from "../../../lib/channel/define";
import { asError, ChannelError } from "../../../lib/errors";
import type { MessageEvent } from "../../../lib/message/types";
import { BotApi, type Method, type Result } from "./api";
import { ButtonValues } from "./buttons";
import {
  ALLOWED_UPDATES,
  API_ROOT,
  TIMING,
  type Timing,
  UPLOAD_MAX_BYTES,
  WEBHOOK_SECRET,
} from "./constants";
import { describe, TelegramError, TOKEN_REFUSED } from "./faults";
import { downloadFile } from "./files";
import { type Me, parse } from "./parse";
import { Poll } from "./poll";
import {
  buttonValues,
  type Call,
  chatId,
  isForTelegram,
  type Media,
  messageNumber,
  renderEdit,
  renderFile,
  renderText,
} from "./render";
import { isId, isRecord } from "./untrusted";
import { webhookSecret } from "./webhook";

/** With other times than the real ones, for tests. */
export function createConnect(timing: Timing): Connect {
  return async (ctx, options) => {
    const client = new TelegramClient(ctx, timing);
    try {
      if (!options?.test) await client.open();
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  };
}

export const connect: Connect = createConnect(TIMING);

/** Telegram could not get or show the file from its address; we fetch it ourselves then. */
const ADDRESS_FAILED = /HTTP URL|web ?page|WEBPAGE_|wrong (file identifier|type of)|failed to get/i;
/** The picture is fine as a file, but not as a photo. */
const NO_PHOTO = /PHOTO_(INVALID|EXT|SAVE)|IMAGE_PROCESS_FAILED/i;

class TelegramClient implements Client {
  readonly #ctx: ConnectContext;
  readonly #timing: Timing;
  readonly #token: string;
  readonly #apiRoot: string;
  readonly #secrets: string[];
  readonly #api: BotApi;
  /** Every call ends. Not before `close`: what is being sent when the account closes may finish. */
  readonly #closing = new AbortController();
  /** Only receiving ends: the token was refused. */
  readonly #halted = new AbortController();
  /** Groups that became supergroups while we ran: old id -> new id. */
  readonly #moved = new Map<string, string>();
  readonly accepted?: (update: unknown) => void;
  #me: Me;
  #buttons?: ButtonValues;
  #poll?: Poll;
  #polling: Promise<void> = Promise.resolve();

  constructor(ctx: ConnectContext, timing: Timing) {
    const { account } = ctx;
    this.#ctx = ctx;
    this.#timing = timing;
    this.#token = account.credentials["token"]?.trim() ?? "";
    if (this.#token === "") {
      throw new ChannelError(
        "auth",
        "This Telegram account has no token yet. Paste the one that @BotFather gave you.",
        {
          code: "no-token",
        },
      );
    }
    // Any other sign would change the address that is called.
    if (!/^\d+:[\w-]+$/.test(this.#token)) throw new ChannelError("auth", TOKEN_REFUSED);
    this.#secrets = [this.#token, webhookSecret(account) ?? ""];
    this.#apiRoot = (account.apiRoot?.trim() || API_ROOT).replace(/\/+$/, "");
    this.#me = { id: Number(this.#token.split(":")[0]) };
    this.#api = this.#line(this.#closing.signal);
    if (this.#isWebhook) this.accepted = (update) => this.#answerButton(update);
  }

  #line(signal?: AbortSignal): BotApi {
    const { fetch, request } = this.#ctx;
    return new BotApi({
      token: this.#token,
      apiRoot: this.#apiRoot,
      secrets: this.#secrets,
      fetch,
      request,
      ...(signal ? { signal } : {}),
    });
  }

  get #isWebhook(): boolean {
    return this.#ctx.account.options["mode"] === "webhook";
  }

  /** Finds out who we are and starts receiving. */
  async open(): Promise<void> {
    this.#ctx.status({ state: "connecting" });
    const me = await this.#call("getMe", {}, this.#ctx.signal);
    this.#me = { id: me.id, username: me.username };
    this.#buttons = await ButtonValues.load(this.#ctx.memory);
    if (this.#isWebhook) await this.#openWebhook(me);
    else await this.#openPoll(me);
  }

  async #openPoll(me: UserFromGetMe): Promise<void> {
    // A webhook of an earlier life would take the messages. What waits at Telegram is kept (no drop_pending_updates).
    await this.#call("deleteWebhook", {}, this.#ctx.signal).catch((error) => {
      // A server of one's own may not know webhooks at all.
      if (!(error instanceof TelegramError) || error.fault !== "refused") throw error;
    });
    const identity = identityOf(me);
    const poll = new Poll({
      ctx: this.#ctx,
      api: this.#api,
      timing: this.#timing,
      identity,
      signal: AbortSignal.any([this.#ctx.signal, this.#closing.signal, this.#halted.signal]),
      accepted: (updates) => updates.forEach((update) => void this.#answerButton(update)),
      refused: (error) => this.#refused(error),
    });
    this.#poll = poll;
    this.#ctx.status({ state: "connected", identity });
    // The gateway knows this client only after `connect` has resolved; an update before that would reach nobody.
    setImmediate(() => {
      this.#polling = poll.run();
    });
  }

  async #openWebhook(me: UserFromGetMe): Promise<void> {
    const { account, webhookUrl } = this.#ctx;
    const secret = webhookSecret(account);
    const misconfigured = (reason: string) => this.#ctx.status({ state: "misconfigured", reason });
    if (!webhookUrl) {
      misconfigured(
        "Telegram's webhook needs a public address: set it in the Redclaw gateway (https://...), or choose polling, which needs none.",
      );
      return;
    }
    if (secret === undefined || !WEBHOOK_SECRET.test(secret)) {
      misconfigured(
        "The webhook secret may have up to 256 letters, digits, - and _. Change it, or leave it empty.",
      );
      return;
    }
    try {
      const args = { url: webhookUrl, secret_token: secret, allowed_updates: ALLOWED_UPDATES };
      await this.#call("setWebhook", args, this.#ctx.signal);
    } catch (error) {
      if (!(error instanceof TelegramError) || error.fault !== "refused") throw error;
      misconfigured(
        `Telegram does not accept the public address: ${error.description}. It must be https and reachable from outside.`,
      );
      return;
    }
    this.#ctx.status({ state: "connected", identity: identityOf(me) });
  }

  receive(update: unknown): MessageEvent[] {
    return parse(update, this.#me, this.#ctx.account.id, {
      raw: this.#ctx.account.options["raw"] === true,
      buttonValue: (data) => this.#buttons?.find(data),
    });
  }

  async send(part: MessagePart, to: Destination, options: SendOptions): Promise<{ messageId: string }> {
    await this.#remember(part);
    const message = await this.#inChat(to, (place) =>
      part.kind === "text"
        ? this.#deliver(renderText(part, place), options.signal)
        : this.#sendFile(part, place, options.signal),
    );
    if (!isId(message?.message_id)) {
      throw new ChannelError("interrupted", "Telegram said yes, but not which message it made of this.", {
        code: "no-message-id",
      });
    }
    return { messageId: String(message.message_id) };
  }

  async #sendFile(part: FilePart, to: Destination, signal: AbortSignal): Promise<Message> {
    let media: Media = isForTelegram(part.file)
      ? { url: part.file.url }
      : { file: await this.#openFile(part) };
    let asDocument = false;
    // At most: by address, as photo, as document. Each of them only after a clear "no", so nothing is sent twice.
    for (;;) {
      try {
        return await this.#deliver(renderFile(part, to, media, asDocument), signal);
      } catch (error) {
        const said = error instanceof TelegramError && error.fault === "refused" ? error.description : "";
        if ("url" in media && ADDRESS_FAILED.test(said)) media = { file: await this.#openFile(part) };
        else if (!asDocument && NO_PHOTO.test(said)) asDocument = true;
        else throw error;
      }
    }
  }

  async #openFile({ file }: FilePart): Promise<OpenedFile> {
    let opened: OpenedFile;
    try {
      opened = await this.#ctx.open(file);
    } catch (thrown) {
      // Cut off while fetching the file: nothing has gone to Telegram yet, so it is safe to try again.
      if (!(thrown instanceof ChannelError) || thrown.fault !== "interrupted") throw thrown;
      throw new ChannelError("unreachable", describe(thrown, this.#secrets), { code: thrown.code });
    }
    if (this.#apiRoot === API_ROOT && opened.data.length > UPLOAD_MAX_BYTES) {
      throw new ChannelError(
        "refused",
        "This file is larger than the 50 MB that Telegram lets a bot send. Send a link to it.",
        {
          code: "too-large",
        },
      );
    }
    return opened;
  }

  async #deliver({ method, args, upload }: Call, signal: AbortSignal): Promise<Message> {
    if (!upload) return this.#call(method, args, signal);
    return this.#watched(this.#api.upload(method, args, upload, { withinMs: this.#timing.uploadMs, signal }));
  }

  async edit(messageId: string, part: TextPart, to: Destination, { signal }: SendOptions): Promise<void> {
    await this.#remember(part);
    await this.#inChat(to, async (place) => {
      const { text, ...args } = renderEdit(messageId, part, place);
      try {
        await this.#call("editMessageText", { ...args, text }, signal);
      } catch (error) {
        const said = error instanceof TelegramError ? error.description : "";
        // It says already what it should say.
        if (/message is not modified/i.test(said)) return;
        if (!/no text in the message/i.test(said)) throw error;
        await this.#call("editMessageCaption", { ...args, caption: text }, signal);
      }
    });
  }

  async remove(messageId: string, to: Destination, { signal }: SendOptions): Promise<void> {
    await this.#inChat(to, async ({ conversation }) => {
      try {
        const args = { chat_id: chatId(conversation), message_id: messageNumber(messageId) };
        await this.#call("deleteMessage", args, signal);
      } catch (error) {
        // Gone is gone, whoever did it.
        if (!(error instanceof TelegramError && /message to delete not found/i.test(error.description)))
          throw error;
      }
    });
  }

  async react(messageId: string, emoji: string, to: Destination, { signal }: SendOptions): Promise<void> {
    // Telegram's list of reactions has no "show as emoji" marks (api#reactiontypeemoji).
    const sign = emoji.trim().replaceAll("\uFE0F", "");
    await this.#inChat(to, async ({ conversation }) => {
      await this.#call(
        "setMessageReaction",
        {
          chat_id: chatId(conversation),
          message_id: messageNumber(messageId),
          reaction: sign === "" ? [] : [{ type: "emoji", emoji: sign }],
        },
        signal,
      );
    });
  }

  async typing(to: Destination): Promise<void> {
    try {
      await this.#inChat(to, async ({ conversation, thread }) => {
        await this.#call("sendChatAction", {
          chat_id: chatId(conversation),
          action: "typing",
          ...(thread ? { message_thread_id: messageNumber(thread) } : {}),
        });
      });
    } catch (error) {
      // Nobody tries this one again, but the next message should know.
      if (error instanceof ChannelError && error.fault === "rate" && error.retryAfterMs !== undefined)
        this.#ctx.slowDown(error.retryAfterMs, error.scope === "chat" ? to.conversation : undefined);
      throw error;
    }
  }

  download(ref: string, signal: AbortSignal): Promise<OpenedFile> {
    return downloadFile(
      {
        ctx: this.#ctx,
        api: this.#api,
        apiRoot: this.#apiRoot,
        token: this.#token,
        secrets: this.#secrets,
        timing: this.#timing,
      },
      ref,
      signal,
    );
  }

  async test(): Promise<Identity> {
    const me = await this.#call("getMe", {});
    const name = identityOf(me);
    const picture = await this.#picture(me.id).catch(() => undefined);
    return { name, sentence: `Connected as ${name}.`, ...(picture ? { picture } : {}) };
  }

  /** The smallest size of the bot's own picture, as a `data:` URL: its real address holds the token. */
  async #picture(userId: number): Promise<string | undefined> {
    const { photos } = await this.#call("getUserProfilePhotos", { user_id: userId, limit: 1 });
    const smallest = photos[0]?.toSorted((a, b) => a.width - b.width)[0];
    if (!smallest) return undefined;
    const { data, mime } = await this.download(smallest.file_id, this.#closing.signal);
    return `data:${mime};base64,${data.toString("base64")}`;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#polling;
    // The account is on its way out: this last call has its own short time and may fail.
    await this.#poll
      ?.confirm(this.#line())
      .catch((error) => this.#ctx.log.debug(`Telegram: ${asError(error).message}`));
    this.#poll = undefined;
  }

  #call<M extends Method>(
    method: M,
    args: Record<string, unknown>,
    signal?: AbortSignal,
  ): Promise<Result<M>> {
    const withinMs = this.#timing.callMs;
    return this.#watched(this.#api.call(method, args, { withinMs, ...(signal ? { signal } : {}) }));
  }

  /** Any call may be the one that shows that the token was taken back. */
  async #watched<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof ChannelError && error.fault === "auth" && this.#poll) this.#refused(error);
      throw error;
    }
  }

  /** A token that was taken back stays so: no further call to receive. */
  #refused(error: ChannelError): void {
    if (this.#halted.signal.aborted || this.#closing.signal.aborted) return;
    this.#halted.abort();
    this.#ctx.status({ state: "refused", reason: error.message });
  }

  /** A group that became a supergroup has a new id; Telegram tells it once, and we go on there. */
  async #inChat<T>(to: Destination, act: (to: Destination) => Promise<T>): Promise<T> {
    const known = this.#moved.get(to.conversation);
    try {
      return await act(known === undefined ? to : { ...to, conversation: known });
    } catch (error) {
      if (!(error instanceof TelegramError) || !isId(error.migrateTo)) throw error;
      const conversation = String(error.migrateTo);
      this.#moved.set(to.conversation, conversation);
      return act({ ...to, conversation });
    }
  }

  async #remember(part: MessagePart): Promise<void> {
    const values = buttonValues(part);
    if (values.length === 0) return;
    this.#buttons ??= await ButtonValues.load(this.#ctx.memory);
    await this.#buttons.keep(values);
  }

  /** Ends the waiting sign on the button. Telegram forgets a press after some seconds, so failing means nothing. */
  #answerButton(update: unknown): void {
    const query = isRecord(update) ? update["callback_query"] : undefined;
    if (!isRecord(query) || typeof query["id"] !== "string") return;
    this.#call("answerCallbackQuery", { callback_query_id: query["id"] }).catch((error) =>
      this.#ctx.log.debug(`Telegram: ${asError(error).message}`),
    );
  }
}

function identityOf({ username, first_name: name }: UserFromGetMe): string {
  return username ? `@${username}` : name;
}
