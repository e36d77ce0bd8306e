import assert from "node:assert/strict";
import { connect } from "node:net";
import { TelegramServer } from "../platforms/telegram";
import { type Runtime, startNodeRed } from "./runtime";

const SECRET = "a-secret-of-the-webhook";

/** telegram in -> ai (demo model) -> reply */
function flow(server: TelegramServer, account: object = {}): Record<string, unknown>[] {
  const place = { z: "tab", x: 100, y: 100 };
  return [
    { id: "tab", type: "tab", label: "Test" },
    {
      id: "tg",
      type: "redclaw-telegram",
      name: "bot",
      apiRoot: server.url,
      limits: "{}",
      credentials: { token: server.token, webhookSecret: SECRET },
      ...account,
    },
    { id: "model", type: "redclaw-model", name: "demo", provider: "demo" },
    { ...place, id: "in", type: "redclaw-telegram-in", account: "tg", wires: [["ai"]] },
    { ...place, id: "ai", type: "redclaw-ai", model: "model", wires: [["reply"], []] },
    { ...place, id: "reply", type: "redclaw-reply", wires: [[]] },
  ] as Record<string, unknown>[];
}

async function until(
  condition: () => boolean | Promise<boolean>,
  explain: () => string = () => "",
): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`did not happen in 15 s. ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

describe("telegram in a real Node-RED", function () {
  this.timeout(60_000);
  let server: TelegramServer;
  let runtime: Runtime;
  const connected = () =>
    until(
      async () => {
        const accounts = await runtime.get<{ status: { state: string } }[]>("redclaw/api/accounts");
        return accounts[0]?.status.state === "connected";
      },
      () => runtime.logs(),
    );

  beforeEach(async () => {
    server = await new TelegramServer().start();
  });
  afterEach(async () => {
    await runtime.stop();
    await server.stop();
  });

  it("a person writes to the bot and gets one answer, remembered along the conversation", async () => {
    runtime = await startNodeRed();
    await runtime.deploy(flow(server) as never);
    await connected();
    server.say("My name is Ada");
    await until(
      () => server.sent.length === 1,
      () => runtime.logs(),
    );
    server.say("What is my name?");
    await until(() => server.sent.length === 2);
    assert.match(server.sent[1]?.text ?? "", /Ada/);
    assert.ok(!runtime.logs().includes(server.token), "the token is in the log");
  });

  it("deploys under load lose no message and double none", async () => {
    runtime = await startNodeRed();
    await runtime.deploy(flow(server) as never);
    await connected();
    const people = Array.from({ length: 60 }, (_, index) =>
      server.person(5000 + index, `P${index}`, `person_${index}`),
    );
    let written = 0;
    const writing = (async () => {
      for (const from of people) {
        server.say(`Remember that my number is ${from.id}`, { from });
        written += 1;
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    })();
    for (const type of ["full", "nodes", "flows", "full", "full"] as const) {
      await runtime.deploy(
        [...flow(server), { id: `c${written}`, type: "comment", z: "tab", name: String(written) }] as never,
        type,
      );
      await new Promise((resolve) => setTimeout(resolve, 350));
    }
    await writing;
    await until(
      () => server.sent.length >= people.length,
      () => `${server.sent.length} answers. ${runtime.logs()}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    const perChat = new Map<number, number>();
    for (const { chat } of server.sent) perChat.set(chat.id, (perChat.get(chat.id) ?? 0) + 1);
    assert.deepEqual(
      [...perChat.values()].filter((count) => count !== 1),
      [],
    );
    assert.equal(perChat.size, people.length);
  });

  it("webhook: only what carries the secret comes in, on raw bytes, also behind httpNodeAuth", async () => {
    runtime = await startNodeRed({
      nodeRoot: "/api",
      // bcrypt of "visitor"
      settings: {
        httpNodeAuth: { user: "u", pass: "$2b$08$wJq9Hq7n1VQ8o5aDpQkq3.Xp0v0QmYV6o9m0m5Y1Xq0a9b8c7d6e5" },
      },
    });
    const gateway = {
      id: "gw",
      type: "redclaw-gateway",
      store: "sqlite",
      publicUrl: `${runtime.nodeUrl.replace(/\/api$/, "")}`,
    };
    await runtime.deploy([gateway, ...flow(server, { mode: "webhook" })] as never);
    await connected();
    const address = server.webhook.url;
    assert.equal(address, `${runtime.nodeUrl}/redclaw/telegram/tg`);
    const post = (body: string, headers: Record<string, string> = {}) =>
      fetch(address, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
    const secret = { "x-telegram-bot-api-secret-token": SECRET };
    const update = JSON.stringify({
      update_id: 1,
      message: { message_id: 1, date: 1, chat: server.direct(), from: server.person(), text: "forged" },
    });
    assert.equal((await post(update)).status, 401);
    assert.equal((await post(update, { "x-telegram-bot-api-secret-token": "wrong" })).status, 401);
    assert.equal((await post("{not json", {})).status, 401);
    assert.equal((await post("{not json", secret)).status, 400);
    assert.equal((await post(`"${"x".repeat(1_100_000)}"`, secret)).status, 413);
    assert.equal(
      (await post(JSON.stringify({ update_id: 7, of_a_kind_nobody_knows: {} }), secret)).status,
      200,
    );
    assert.equal(server.sent.length, 0);
    server.say("hello");
    await until(
      () => server.sent.length === 1,
      () => runtime.logs(),
    );
    assert.equal(server.pending.length, 0);
  });

  it("webhook: guessing is slowed down, and a body that never ends is cut off", async () => {
    runtime = await startNodeRed();
    const gateway = { id: "gw", type: "redclaw-gateway", store: "memory", publicUrl: runtime.nodeUrl };
    await runtime.deploy([gateway, ...flow(server, { mode: "webhook" })] as never);
    await connected();
    const { port, pathname } = new URL(server.webhook.url);
    const socket = connect(Number(port), "127.0.0.1");
    const started = Date.now();
    const said = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk;
      });
      socket.on("close", () => resolve(text));
      socket.on("error", () => resolve(text));
    });
    socket.write(`POST ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{`);
    const statuses: number[] = [];
    for (let tries = 0; tries < 25; tries += 1)
      statuses.push((await fetch(server.webhook.url, { method: "POST" })).status);
    assert.deepEqual(new Set(statuses), new Set([401, 429]));
    assert.match(await said, / 408 /);
    assert.ok(Date.now() - started < 10_000);
  });
});
