/**
 * A Telegram of our own: a real HTTP server that speaks the Bot API (long polling with confirmation, webhooks, strict
 * HTML, uploads, file downloads), keeps a journal of every call, and fails on demand.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Chat, Message, Update, User, UserFromGetMe } from "grammy/types";
import { type Fault, Refusal } from "./telegram/answers";
import { BotMethods, type StoredFile } from "./telegram/methods";
import { type Arguments, readArguments } from "./telegram/request";

/** One call as it arrived. */
interface JournalEntry {
  method: string;
  args: Record<string, unknown>;
  files: Arguments["files"];
  /** Milliseconds since 1970. */
  at: number;
  /** HTTP status of the answer; 0: the connection was cut. */
  status?: number;
}

type NewUpdate = { [K in Exclude<keyof Update, "update_id">]?: object };

interface Poller {
  end(refusal?: Refusal): void;
}

/** Kinds that Telegram leaves out unless they are asked for (api#getupdates). */
const ONLY_WHEN_ASKED = ["chat_member", "message_reaction", "message_reaction_count"];

export class TelegramServer {
  readonly token: string;
  readonly me: UserFromGetMe;
  readonly journal: JournalEntry[] = [];
  /** What the chats show: every message of the bot, in order. */
  readonly sent: Message[] = [];
  readonly methods: BotMethods;
  /** 401 to everything: the owner took the token back. */
  revoked = false;
  webhook: { url: string; secret_token?: string } = { url: "" };
  #server?: Server;
  #faults: { method: string; fault: Fault; times: number }[] = [];
  #pending: Update[] = [];
  #nextUpdate = 870_000_001;
  #allowed?: string[];
  #poller?: Poller;
  #delivering: Promise<void> = Promise.resolve();

  constructor(options: { token?: string; username?: string } = {}) {
    this.token = options.token ?? "123456789:AAE4f0zXTestTokenTestTokenTestToken00";
    this.me = {
      id: Number(this.token.split(":")[0]),
      is_bot: true,
      first_name: "Crayfish",
      username: options.username ?? "crayfish_test_bot",
      can_join_groups: true,
      can_read_all_group_messages: false,
      supports_inline_queries: false,
      can_connect_to_business: false,
      has_main_web_app: false,
      has_topics_enabled: false,
      allows_users_to_create_topics: false,
      can_manage_bots: false,
      supports_join_request_queries: false,
    };
    this.methods = new BotMethods(this.me, this.sent);
  }

  /** `apiRoot` of an account. */
  get url(): string {
    const address = this.#server?.address() as AddressInfo | undefined;
    if (!address) throw new Error("the server is not running");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Updates that nobody confirmed yet. */
  get pending(): readonly Update[] {
    return this.#pending;
  }

  async start(port = 0): Promise<this> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#poller?.end();
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** The next `times` calls of `method` (`*`: any) go wrong. */
  fail(method: string, fault: Fault, times = 1): void {
    this.#faults.push({ method, fault, times });
  }

  /** No faults any more. */
  heal(): void {
    this.#faults = [];
  }

  /** Calls of one method so far. */
  calls(method: string): JournalEntry[] {
    return this.journal.filter((entry) => entry.method === method);
  }

  /** Something happened: waits for a poll, or goes to the webhook. Answers the update with its number. */
  push(update: NewUpdate): Update {
    const numbered = { update_id: this.#nextUpdate++, ...update } as Update;
    this.pushRaw(numbered);
    return numbered;
  }

  /** An update as it is: with a number of one's own, a second time, out of order, or broken. */
  pushRaw(update: unknown): void {
    const kind = Object.keys(update as object).find((key) => key !== "update_id") ?? "";
    const asked = this.#allowed ? this.#allowed.includes(kind) : !ONLY_WHEN_ASKED.includes(kind);
    if (!asked && kind !== "" && kind in KINDS) return;
    this.#pending.push(update as Update);
    if (this.webhook.url !== "") this.#deliver();
    else this.#poller?.end();
  }

  /** A person, complete enough to write. */
  person(id = 4242, first_name = "Ada", username = "ada_l"): User {
    return { id, is_bot: false, first_name, username, language_code: "en" };
  }

  direct(user: User = this.person()): Chat.PrivateChat {
    return { id: user.id, type: "private", first_name: user.first_name, username: user.username ?? "" };
  }

  group(id = -1001234567890, title = "Kitchen"): Chat.SupergroupChat {
    return { id, type: "supergroup", title };
  }

  /** Somebody writes; mentions and commands are marked as Telegram marks them. */
  say(text: string, options: { from?: User; chat?: Chat; extra?: object } = {}): Update {
    const from = options.from ?? this.person();
    const message = {
      message_id: this.methods.nextMessageId(),
      from,
      chat: options.chat ?? this.direct(from),
      date: Math.floor(Date.now() / 1000),
      text,
      ...entitiesIn(text),
      ...options.extra,
    };
    return this.push({ message });
  }

  /** A file that `getFile` finds. */
  addFile(file: StoredFile): void {
    this.methods.files.set(file.file_id, file);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(path);
    if (file) return this.#download(decodeURIComponent(file[2] as string), file[1] as string, response);
    const [, token, method] = /^\/bot([^/]+)\/(\w+)$/.exec(path) ?? [];
    if (method === undefined) return send(response, { status: 404, body: "<h1>404 Not Found</h1>" });
    let call: Arguments;
    try {
      call = await readArguments(request);
    } catch (error) {
      return send(response, refusal(new Refusal(400, `Bad Request: ${(error as Error).message}`)));
    }
    const entry: JournalEntry = { method, ...call, at: Date.now() };
    this.journal.push(entry);
    if (!/^\d+:[\w-]+$/.test(token ?? ""))
      return send(response, refusal(new Refusal(404, "Not Found")), entry);
    if (token !== this.token || this.revoked) {
      return send(response, refusal(new Refusal(401, "Unauthorized")), entry);
    }
    const fault = this.#takeFault(method);
    if (fault?.kind === "drop-before") return cut(response, entry);
    if (fault?.kind === "slow") await wait(fault.ms);
    const failed = fault && failureOf(fault);
    if (failed) return send(response, failed, entry);
    try {
      const result = await this.#run(method, call, response);
      if (fault?.kind === "drop-after") return cut(response, entry);
      return send(response, { status: 200, body: JSON.stringify({ ok: true, result }) }, entry);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return send(response, refusal(error), entry);
    }
  }

  #takeFault(method: string): Fault | undefined {
    const found = this.#faults.find((one) => one.times > 0 && (one.method === method || one.method === "*"));
    if (found) found.times -= 1;
    return found?.fault;
  }

  #run(method: string, call: Arguments, response: ServerResponse): unknown {
    switch (method) {
      case "getUpdates":
        return this.#getUpdates(call.args, response);
      case "setWebhook":
        return this.#setWebhook(call.args);
      case "deleteWebhook":
        this.webhook = { url: "" };
        if (call.args["drop_pending_updates"] === true) this.#pending = [];
        return true;
      case "getWebhookInfo":
        return {
          url: this.webhook.url,
          has_custom_certificate: false,
          pending_update_count: this.#pending.length,
        };
      default:
        return this.methods.run(method, call);
    }
  }

  async #getUpdates(args: Record<string, unknown>, response: ServerResponse): Promise<Update[]> {
    if (this.webhook.url !== "") {
      throw new Refusal(
        409,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
      );
    }
    this.#poller?.end(
      new Refusal(
        409,
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
      ),
    );
    this.#choose(args["allowed_updates"]);
    const limit = Number(args["limit"] ?? 100);
    const offset = args["offset"] === undefined ? undefined : Number(args["offset"]);
    if (offset !== undefined) this.#confirm(offset);
    const timeout = Number(args["timeout"] ?? 0) * 1000;
    if (this.#pending.length === 0 && timeout > 0) await this.#wait(timeout, response);
    return this.#pending.slice(0, limit);
  }

  /** Not given: as before. An empty list: everything except what must be asked for. */
  #choose(kinds: unknown): void {
    if (Array.isArray(kinds)) this.#allowed = kinds.length > 0 ? (kinds as string[]) : undefined;
  }

  /** A positive offset forgets everything before it; a negative one keeps the last so many. */
  #confirm(offset: number): void {
    this.#pending =
      offset < 0
        ? this.#pending.slice(offset)
        : this.#pending.filter((update) => !Number.isInteger(update.update_id) || update.update_id >= offset);
  }

  #wait(ms: number, response: ServerResponse): Promise<void> {
    return new Promise((resolve, reject) => {
      const poller: Poller = {
        end: (refused) => {
          clearTimeout(timer);
          response.off("close", closed);
          if (this.#poller === poller) this.#poller = undefined;
          if (refused) reject(refused);
          else resolve();
        },
      };
      const closed = () => poller.end();
      const timer = setTimeout(() => poller.end(), ms);
      response.on("close", closed);
      this.#poller = poller;
    });
  }

  #setWebhook(args: Record<string, unknown>): true {
    const url = String(args["url"] ?? "");
    const secret = args["secret_token"];
    if (url !== "" && !/^https?:\/\//.test(url))
      throw new Refusal(400, "Bad Request: bad webhook: invalid URL");
    if (secret !== undefined && !/^[A-Za-z0-9_-]{1,256}$/.test(String(secret))) {
      throw new Refusal(400, "Bad Request: secret token contains unallowed characters");
    }
    this.#choose(args["allowed_updates"]);
    this.webhook = { url, ...(typeof secret === "string" ? { secret_token: secret } : {}) };
    if (this.#pending.length > 0) this.#deliver();
    return true;
  }

  /** Sends what waits to the webhook, in order; what is not answered with 2xx is sent again. */
  #deliver(): void {
    this.#delivering = this.#delivering.then(async () => {
      for (let attempts = 0; this.#pending[0] && this.webhook.url !== "" && attempts < 50; attempts += 1) {
        const update = this.#pending[0];
        const answer = await fetch(this.webhook.url, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            ...(this.webhook.secret_token
              ? { "x-telegram-bot-api-secret-token": this.webhook.secret_token }
              : {}),
          },
          body: JSON.stringify(update),
        }).catch(() => undefined);
        await answer?.body?.cancel();
        if (answer?.ok) this.#pending.shift();
        else await wait(50);
      }
    });
  }

  #download(path: string, token: string, response: ServerResponse): void {
    const file = [...this.methods.files.values()].find((one) => one.file_path === path);
    this.journal.push({ method: "file", args: { path }, files: new Map(), at: Date.now() });
    if (token !== this.token || this.revoked)
      return void send(response, refusal(new Refusal(401, "Unauthorized")));
    if (!file) return void send(response, refusal(new Refusal(404, "Not Found")));
    response.writeHead(200, { "content-type": "application/octet-stream" }).end(file.data);
  }
}

const KINDS: Record<string, true> = {
  message: true,
  edited_message: true,
  channel_post: true,
  edited_channel_post: true,
  callback_query: true,
  message_reaction: true,
  message_reaction_count: true,
  my_chat_member: true,
  chat_member: true,
  poll: true,
  poll_answer: true,
  inline_query: true,
  chat_join_request: true,
};

function entitiesIn(text: string): { entities?: object[] } {
  const entities = [
    ...Array.from(text.matchAll(/(?<![\w/])\/\w+(@\w+)?/g), (match) => ({ type: "bot_command", match })),
    ...Array.from(text.matchAll(/(?<![\w/])@\w{4,32}/g), (match) => ({ type: "mention", match })),
    ...Array.from(text.matchAll(/https?:\/\/\S+/g), (match) => ({ type: "url", match })),
  ].map(({ type, match }) => ({ type, offset: match.index, length: match[0].length }));
  return entities.length > 0 ? { entities } : {};
}

interface Answer {
  status: number;
  body: string;
}

function refusal(refused: Refusal): Answer {
  const { code, message, parameters } = refused;
  const body = { ok: false, error_code: code, description: message, ...(parameters ? { parameters } : {}) };
  return { status: code, body: JSON.stringify(body) };
}

function failureOf(fault: Fault): Answer | undefined {
  if (fault.kind === "rate") {
    const { retryAfter } = fault;
    return refusal(
      new Refusal(429, `Too Many Requests: retry after ${retryAfter}`, { retry_after: retryAfter }),
    );
  }
  if (fault.kind === "error") {
    const parameters = fault.migrateTo === undefined ? undefined : { migrate_to_chat_id: fault.migrateTo };
    return refusal(new Refusal(fault.code, fault.description, parameters));
  }
  return fault.kind === "page"
    ? { status: fault.status, body: fault.body ?? "<html>Bad Gateway</html>" }
    : undefined;
}

function send(response: ServerResponse, { status, body }: Answer, entry?: JournalEntry): void {
  if (entry) entry.status = status;
  if (response.destroyed) return;
  const type = body.startsWith("{") ? "application/json" : "text/html";
  response.writeHead(status, { "content-type": type }).end(body);
}

function cut(response: ServerResponse, entry: JournalEntry): void {
  entry.status = 0;
  response.socket?.destroy();
}
