/** A lean Telegram: bots that are polled or called by webhook, with updates made by the load. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Wire } from "../wire";
import { answerAsModel } from "./model";

/** Of one getUpdates, as at Telegram. */
const BATCH_MAX = 100;
/** Telegram's own standard for a webhook (`max_connections`). */
const WEBHOOK_CONNECTIONS = 40;

interface Waiting {
  response: ServerResponse;
  limit: number;
  timer: NodeJS.Timeout;
}

export class Bot {
  readonly id: number;
  readonly #pending: { number: number; json: string }[] = [];
  #nextNumber = 1;
  #waiting?: Waiting;
  webhook?: { path: string; headers: string };
  readonly #wires: Wire[] = [];
  polled = false;
  /** Webhook calls that were not answered with 200. */
  refused = 0;

  constructor(id: number) {
    this.id = id;
  }

  /** A person writes in a direct chat. Goes out with the next `flush`. */
  say(chat: number, text: string, date: number): void {
    const number = this.#nextNumber++;
    const person = `"id":${chat},"first_name":"Ada","last_name":"Lovelace","username":"ada_${chat}"`;
    const json = `{"update_id":${number},"message":{"message_id":${number},"from":{${person},"is_bot":false,"language_code":"en"},"chat":{${person},"type":"private"},"date":${date},"text":"${text}"}}`;
    this.#pending.push({ number, json });
  }

  /** Hands out what is there: to the poll that waits, or to the webhook at `port`. */
  flush(port?: number): void {
    if (port !== undefined) this.#call(port);
    else if (this.#waiting && this.#pending.length > 0) {
      const { response, limit, timer } = this.#waiting;
      clearTimeout(timer);
      this.#waiting = undefined;
      this.#hand(response, limit);
    }
  }

  /** One chat keeps to one connection, so that its messages arrive in order. */
  #call(port: number): void {
    const { path, headers } = this.webhook ?? { path: "/", headers: "" };
    for (const { number, json } of this.#pending.splice(0)) {
      const chat = Number(/"id":(\d+)/.exec(json)?.[1] ?? number);
      const lane = chat % WEBHOOK_CONNECTIONS;
      this.#wires[lane] ??= new Wire(port);
      const post = (triesLeft: number) =>
        this.#wires[lane]?.post(path, headers, json, (status) => {
          if (status === 200) return;
          this.refused += 1;
          if (triesLeft > 0) post(triesLeft - 1);
        });
      post(2);
    }
  }

  poll(offset: number, limit: number, seconds: number, response: ServerResponse): void {
    this.polled = true;
    if (this.#waiting) {
      clearTimeout(this.#waiting.timer);
      send(this.#waiting.response, '{"ok":true,"result":[]}');
      this.#waiting = undefined;
    }
    let confirmed = 0;
    while ((this.#pending[confirmed]?.number ?? offset) < offset) confirmed += 1;
    if (confirmed > 0) this.#pending.splice(0, confirmed);
    if (this.#pending.length > 0 || seconds === 0) {
      this.#hand(response, limit);
      return;
    }
    const timer = setTimeout(() => {
      this.#waiting = undefined;
      send(response, '{"ok":true,"result":[]}');
    }, seconds * 1000);
    this.#waiting = { response, limit, timer };
    response.once("close", () => {
      if (this.#waiting?.response !== response) return;
      clearTimeout(timer);
      this.#waiting = undefined;
    });
  }

  #hand(response: ServerResponse, limit: number): void {
    const updates = this.#pending.slice(0, Math.min(limit, BATCH_MAX));
    send(response, `{"ok":true,"result":[${updates.map(({ json }) => json).join()}]}`);
  }

  /** Between two runs: what nobody confirmed is forgotten, and connections end. */
  reset(): void {
    this.#pending.length = 0;
    for (const wire of this.#wires.splice(0)) wire?.close();
    this.refused = 0;
  }
}

export interface Heard {
  sent(bot: number, chat: number, text: string): void;
  call(method: string): void;
}

export class Telegram {
  readonly #bots = new Map<number, Bot>();
  readonly #heard: Heard;
  readonly #modelDelayMs: number;
  #nextMessage = 1_000_000;

  constructor(heard: Heard, modelDelayMs: number) {
    this.#heard = heard;
    this.#modelDelayMs = modelDelayMs;
  }

  /** Resolves with the port. */
  async start(): Promise<number> {
    const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => this.#answer(request, parts, response));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  bot(id: number): Bot {
    let bot = this.#bots.get(id);
    if (!bot) {
      bot = new Bot(id);
      this.#bots.set(id, bot);
    }
    return bot;
  }

  #answer(request: IncomingMessage, parts: Buffer[], response: ServerResponse): void {
    const url = request.url as string;
    const body = parts.length === 1 ? String(parts[0]) : String(Buffer.concat(parts));
    if (url.endsWith("/chat/completions")) {
      answerAsModel(body, response, this.#modelDelayMs);
      return;
    }
    const [, number, method = "", query] = /^\/bot(\d+):\w+\/(\w+)(?:\?(.*))?$/.exec(url) ?? [];
    const id = Number(number);
    const args = readArguments(body, request.headers["content-type"] ?? "", query);
    this.#heard.call(method);
    if (method === "sendMessage") {
      const chat = Number(args["chat_id"]);
      const text = String(args["text"]);
      const message = this.#nextMessage++;
      const date = Math.floor(Date.now() / 1000);
      send(
        response,
        `{"ok":true,"result":{"message_id":${message},"from":{"id":${id},"is_bot":true,"first_name":"Bench","username":"bench_${id}_bot"},"chat":{"id":${chat},"first_name":"Ada","type":"private"},"date":${date},"text":${JSON.stringify(text)}}}`,
      );
      this.#heard.sent(id, chat, text);
    } else if (method === "getUpdates") {
      const { offset = 0, limit = BATCH_MAX, timeout = 0 } = args;
      this.bot(id).poll(Number(offset), Number(limit), Number(timeout), response);
    } else if (method === "getMe") {
      send(
        response,
        `{"ok":true,"result":{"id":${id},"is_bot":true,"first_name":"Bench","username":"bench_${id}_bot","can_join_groups":true,"can_read_all_group_messages":false,"supports_inline_queries":false}}`,
      );
    } else {
      if (method === "setWebhook") this.#setWebhook(id, args);
      send(response, '{"ok":true,"result":true}');
    }
  }

  #setWebhook(id: number, args: Record<string, unknown>): void {
    if (!args["url"]) return;
    const secret = args["secret_token"];
    this.bot(id).webhook = {
      path: new URL(String(args["url"])).pathname,
      headers: secret ? `X-Telegram-Bot-Api-Secret-Token: ${secret}\r\n` : "",
    };
  }
}

function readArguments(body: string, type: string, query?: string): Record<string, unknown> {
  if (body === "") return Object.fromEntries(new URLSearchParams(query ?? ""));
  if (type.startsWith("application/json")) return JSON.parse(body);
  return Object.fromEntries(new URLSearchParams(body));
}

function send(response: ServerResponse, json: string): void {
  if (response.destroyed) return;
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(json),
  });
  response.end(json);
}
