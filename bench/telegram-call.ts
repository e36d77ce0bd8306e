/**
 * What one call of the Bot API costs, from the bare socket up to our own `sendMessage`, and what the pure part of an
 * echoed message costs: CPU microseconds, in rounds that take turns. Prints JSON.
 *
 * `npx tsx bench/telegram-call.ts [calls per round] [rounds] [calls at once]`
 */
import { fork } from "node:child_process";
import { connect, createServer, type Socket } from "node:net";
import { cpus } from "node:os";
import { Api } from "grammy";
import { Client as UndiciClient } from "undici";
import { createHttp } from "../lib/http/client";
import { checkEvent, checkResponse } from "../lib/message/check";
import { toActions } from "../lib/message/parts";
import { BotApi } from "../nodes/channels/telegram/api";
import definition from "../nodes/channels/telegram/channel";
import { parse } from "../nodes/channels/telegram/parse";
import { renderText } from "../nodes/channels/telegram/render";

const TOKEN = "123456789:AAE4f0zXTestTokenTestTokenTestToken00";
const ARGS = { chat_id: 4242, text: "hello there, how are you today?", parse_mode: "HTML" };

/** Another process: the cheapest server there is, with headers like Telegram's. */
function serve(): void {
  const message = {
    message_id: 1234567,
    from: { id: 123456789, is_bot: true, first_name: "Crayfish", username: "crayfish_test_bot" },
    chat: { id: 4242, first_name: "Ada", username: "ada_l", type: "private" },
    date: 1760000000,
    text: ARGS.text,
  };
  const body = JSON.stringify({ ok: true, result: message });
  const head = [
    "HTTP/1.1 200 OK",
    "Server: nginx/1.18.0",
    "Date: Tue, 14 Oct 2025 10:00:00 GMT",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: keep-alive",
    "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
    "Access-Control-Allow-Origin: *",
    "Access-Control-Allow-Methods: GET, POST, OPTIONS",
    "Access-Control-Expose-Headers: Content-Length,Content-Type,Date,Server,Connection",
  ];
  const answer = Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
  const server = createServer({ noDelay: true }, (socket) => {
    let seen = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      for (;;) {
        const headEnd = seen.indexOf("\r\n\r\n");
        if (headEnd < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(seen)?.[1] ?? 0);
        if (seen.length < headEnd + 4 + length) return;
        seen = seen.slice(headEnd + 4 + length);
        socket.write(answer);
      }
    });
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as { port: number }).port));
  process.on("disconnect", () => process.exit());
}

type Call = () => unknown;

/** Ways to call, from nothing to everything. */
function networkWays(origin: string, port: number, atOnce: number): Record<string, Call> {
  const path = `/bot${TOKEN}/sendMessage`;
  const http = createHttp({ allowPrivate: true });
  const headers = { "content-type": "application/json" };
  const free: (Socket & { answer?: (chunk: Buffer) => void })[] = [];
  const open = () => {
    const socket: (typeof free)[number] = connect(port, "127.0.0.1").setNoDelay(true);
    socket.on("data", (chunk) => {
      free.push(socket);
      socket.answer?.(chunk);
    });
    return socket;
  };
  const clients = Array.from({ length: atOnce }, () => new UndiciClient(origin));
  let turn = 0;
  const line = { token: TOKEN, apiRoot: origin, secrets: [TOKEN], fetch: http.fetch, request: http.request };
  const ours = new BotApi(line);
  const { signal } = new AbortController();
  const grammy = new Api(TOKEN, { apiRoot: origin });
  return {
    "raw socket": () =>
      new Promise((resolve) => {
        const socket = free.pop() ?? open();
        socket.answer = (chunk) => resolve(JSON.parse(chunk.toString("utf8", chunk.indexOf("\r\n\r\n") + 4)));
        const body = JSON.stringify(ARGS);
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
      }),
    "undici dispatch": () =>
      new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        (clients[turn++ % atOnce] as UndiciClient).dispatch(
          { path, method: "POST", headers, body: JSON.stringify(ARGS) },
          {
            onRequestStart() {},
            onResponseStart() {},
            onResponseData: (_, chunk) => void chunks.push(chunk),
            onResponseEnd: () => resolve(JSON.parse(Buffer.concat(chunks).toString())),
            onResponseError: (_, error) => reject(error),
          },
        );
      }),
    "http.request": async () =>
      (await http.request({ url: origin + path, headers, body: JSON.stringify(ARGS) })).json(),
    "http.fetch": async () =>
      (await http.fetch(origin + path, { method: "POST", headers, body: JSON.stringify(ARGS) })).json(),
    "our sendMessage": () => ours.call("sendMessage", ARGS, { withinMs: 30_000, signal }),
    "grammY sendMessage": () => grammy.raw.sendMessage(ARGS as never),
  };
}

/** What happens to a message between the two calls, as far as it is pure. */
function pureWays(): Record<string, Call> {
  const update = {
    update_id: 870000001,
    message: {
      message_id: 5,
      from: { id: 4242, is_bot: false, first_name: "Ada", username: "ada_l", language_code: "en" },
      chat: { id: 4242, first_name: "Ada", username: "ada_l", type: "private" },
      date: 1760000000,
      text: ARGS.text,
    },
  };
  const me = { id: 123456789, username: "crayfish_test_bot" };
  const [event] = parse(update, me, "a1b2c3d4");
  const plain = checkResponse({ text: ARGS.text });
  const rich = checkResponse({ text: "**Lights**: the *kitchen* is `on`, see [docs](https://a.example)." });
  const to = { conversation: "4242" };
  const [action] = toActions(plain, definition.capabilities);
  if (action?.do !== "send" || action.part.kind !== "text") throw new Error("no text");
  const { part } = action;
  return {
    "parse an update": () => parse(update, me, "a1b2c3d4"),
    checkEvent: () => checkEvent(event),
    checkResponse: () => checkResponse({ text: ARGS.text }),
    "toActions, plain text": () => toActions(plain, definition.capabilities),
    "toActions, formatted text": () => toActions(rich, definition.capabilities),
    "render a call": () => renderText(part, to),
    "write its JSON": () => JSON.stringify(renderText(part, to).args),
  };
}

/** Medians of CPU microseconds for one call, over rounds that take turns; the first of each warms up. */
async function measure(ways: Record<string, Call>, calls: number, rounds: number, atOnce: number) {
  const seen = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, call] of Object.entries(ways)) {
      const before = process.cpuUsage();
      let left = calls;
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          while (left-- > 0) await call();
        }),
      );
      const { user, system } = process.cpuUsage(before);
      if (round > 0) seen.get(name)?.push((user + system) / calls);
    }
  }
  return Object.fromEntries(
    [...seen].map(([name, each]) => {
      const sorted = each.toSorted((a, b) => a - b).map((us) => Math.round(us * 10) / 10);
      return [name, { median: sorted[sorted.length >> 1], from: sorted[0], to: sorted.at(-1) }];
    }),
  );
}

async function main(): Promise<void> {
  const [calls = 20_000, rounds = 5, atOnce = 8] = process.argv.slice(2).map(Number);
  const child = fork(__filename, ["serve"], { execArgv: process.execArgv });
  const port = await new Promise<number>((resolve) =>
    child.once("message", (value) => resolve(Number(value))),
  );
  const network = await measure(networkWays(`http://127.0.0.1:${port}`, port, atOnce), calls, rounds, atOnce);
  const pure = await measure(pureWays(), calls, rounds, 1);
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
  console.log(
    JSON.stringify({ unit: "CPU us per call", calls, rounds, atOnce, machine, network, pure }, null, 2),
  );
  child.disconnect();
  process.exit();
}

if (process.argv[2] === "serve") serve();
else void main();
