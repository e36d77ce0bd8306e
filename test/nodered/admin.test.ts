import assert from "node:assert/strict";
import { TelegramServer } from "../platforms/telegram";
import { type Runtime, startNodeRed } from "./runtime";

describe("admin API in a real Node-RED", function () {
  this.timeout(60_000);
  let runtime: Runtime;
  let server: TelegramServer;
  before(async () => {
    server = await new TelegramServer().start();
    runtime = await startNodeRed({
      adminRoot: "/admin",
      adminAuth: { username: "owner", password: "long-enough" },
    });
  });
  after(async () => {
    await runtime.stop();
    await server.stop();
  });

  it("lets nobody in without a login", async () => {
    const routes: [string, string][] = [
      ["GET", "accounts"],
      ["GET", "roots"],
      ["GET", "accounts/x/targets"],
      ["POST", "accounts/x/test"],
      ["POST", "models/x/test"],
      ["POST", "models/x/list"],
    ];
    for (const [method, route] of routes) {
      const { status } = await fetch(`${runtime.adminUrl}/redclaw/api/${route}`, { method });
      assert.equal(status, 401, `${method} ${route}`);
    }
  });

  it("tests an account that is not saved yet, and says what to do when the token is refused", async () => {
    const form = (token: string) => ({
      type: "redclaw-telegram",
      credentials: { token },
      options: { apiRoot: server.url, mode: "polling" },
    });
    const good = await runtime.post<{ ok: boolean; name: string; sentence: string }>(
      "redclaw/api/accounts/new/test",
      form(server.token),
    );
    assert.equal(good.ok, true);
    assert.match(good.sentence, /Connected as @/);
    const bad = await runtime.post<{ ok: boolean; sentence: string }>(
      "redclaw/api/accounts/new/test",
      form("999:wrong-token-wrong-token-wrong-token-w"),
    );
    assert.equal(bad.ok, false);
    assert.match(bad.sentence, /BotFather/);
    assert.ok(!bad.sentence.includes("wrong-token"));
    const none = await runtime.post<{ ok: boolean; sentence: string }>(
      "redclaw/api/accounts/new/test",
      form(""),
    );
    assert.equal(none.ok, false);
    assert.match(none.sentence, /no .*token yet/i);
  });

  it("answers bad requests with a sentence, not with a crash", async () => {
    for (const body of [
      {},
      [],
      { type: 7 },
      { type: "redclaw-nothing" },
      { type: "redclaw-telegram", options: { limits: "{" } },
    ]) {
      const answer = await runtime.post<{ ok: boolean; sentence: string }>(
        "redclaw/api/accounts/new/test",
        body,
      );
      assert.equal(answer.ok, false);
      assert.ok(answer.sentence.length > 10);
    }
  });
});
