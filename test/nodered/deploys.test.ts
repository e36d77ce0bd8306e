/** Deploys that change the account or the gateway itself while people write. */
import assert from "node:assert/strict";
import { TelegramServer } from "../platforms/telegram";
import { type Runtime, startNodeRed } from "./runtime";

type Flow = Record<string, unknown>[];

function flow(server: TelegramServer, name: string, gateway?: object): Flow {
  const place = { z: "tab", x: 100, y: 100 };
  return [
    { id: "tab", type: "tab", label: "Test" },
    ...(gateway ? [{ id: "gw", type: "redclaw-gateway", ...gateway }] : []),
    {
      id: "tg",
      type: "redclaw-telegram",
      name,
      apiRoot: server.url,
      limits: "{}",
      credentials: { token: server.token },
    },
    { id: "model", type: "redclaw-model", name: "demo", provider: "demo" },
    { ...place, id: "in", type: "redclaw-telegram-in", account: "tg", wires: [["ai"]] },
    { ...place, id: "ai", type: "redclaw-ai", model: "model", wires: [["reply"], []] },
    { ...place, id: "reply", type: "redclaw-reply", wires: [[]] },
  ];
}

describe("deploys of the account and the gateway in a real Node-RED", function () {
  this.timeout(60_000);
  let server: TelegramServer;
  let runtime: Runtime;
  beforeEach(async () => {
    server = await new TelegramServer().start();
  });
  afterEach(async () => {
    await runtime.stop();
    await server.stop();
  });

  it("lose no message, double none, and do not hang", async () => {
    runtime = await startNodeRed();
    await runtime.deploy(flow(server, "bot") as never);
    const people = Array.from({ length: 90 }, (_, index) =>
      server.person(7000 + index, `P${index}`, `person_${index}`),
    );
    const writing = (async () => {
      for (const from of people) {
        server.say(`Remember that my number is ${from.id}`, { from });
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    })();
    const sqlite = { store: "sqlite", maxReplyAge: 10 };
    for (const [type, name, gateway] of [
      ["nodes", "bot", sqlite],
      ["nodes", "bot", { ...sqlite, maxReplyAge: 9 }],
      ["nodes", "renamed", { ...sqlite, maxReplyAge: 9 }],
      ["flows", "renamed", { store: "memory" }],
      ["flows", "again", { store: "memory" }],
      ["full", "again", { store: "memory" }],
      ["nodes", "again", undefined],
      ["full", "last", sqlite],
    ] as const) {
      const start = Date.now();
      await runtime.deploy(flow(server, name, gateway) as never, type);
      assert.ok(Date.now() - start < 2500, `${type} ${name}: ${Date.now() - start} ms`);
      await new Promise((resolve) => setTimeout(resolve, 350));
    }
    await writing;
    const deadline = Date.now() + 10_000;
    while (server.sent.length < people.length && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const perChat = new Map(people.map(({ id }) => [id, 0]));
    for (const { chat } of server.sent) perChat.set(chat.id, (perChat.get(chat.id) ?? 0) + 1);
    assert.deepEqual(
      [...perChat].filter(([, count]) => count !== 1),
      [],
      runtime.logs(),
    );
    assert.doesNotMatch(runtime.logs(), /closed because|held|could not be brought up to date|unhandled/i);
  });
});
