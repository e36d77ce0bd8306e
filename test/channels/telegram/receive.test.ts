/** Receiving: nothing is lost, the offset follows the ledger, and every trouble has its own status and manner. */
import assert from "node:assert/strict";
import { ChannelError, RedclawError } from "../../../lib/errors";
import { createConnect } from "../../../nodes/channels/telegram/client";
import { accountOn, ada, connected, quick, sending, startServer, text } from "./bench";

describe("telegram receiving by polling", () => {
  it("connects as the bot, takes an old webhook away and receives what is said", async () => {
    const server = await startServer();
    server.webhook = { url: "https://old.example" };
    const account = accountOn(server);
    await account.connect();
    server.say("hello");
    await account.until(() => account.events.length === 1);
    assert.deepEqual(account.ctx.statuses.at(-1), { state: "connected", identity: "@crayfish_test_bot" });
    assert.equal(account.events[0]?.text, "hello");
    assert.equal("drop_pending_updates" in (server.calls("deleteWebhook")[0]?.args ?? {}), false);
    const asked = server.calls("getUpdates")[0]?.args["allowed_updates"] as string[];
    for (const kind of [
      "message_reaction",
      "chat_member",
      "my_chat_member",
      "channel_post",
      "callback_query",
    ]) {
      assert.ok(asked.includes(kind), kind);
    }
  });

  it("moves the offset only after the ledger has the update", async () => {
    const { server, account } = await connected();
    account.ctx.refuseWith = new RedclawError("store-full", "The disk of /data is full. Free some space.");
    const { update_id } = server.say("keep me");
    await account.until(() => account.states.includes("misconfigured"));
    await account.until(() => server.calls("getUpdates").length >= 4);
    assert.ok(server.calls("getUpdates").every(({ args }) => args["offset"] === undefined));
    assert.equal(server.pending.length, 1);
    account.ctx.refuseWith = undefined;
    await account.until(() => account.events.length === 1 && server.pending.length === 0);
    assert.equal(Number(account.disk.kept.get("offset")), update_id + 1);
    assert.equal(account.states.at(-1), "connected");
  });

  it("a store in trouble is said in the store's words, steadily, and never blamed on Telegram", async () => {
    const { server, account } = await connected();
    account.ctx.refuseWith = new RedclawError("store-full", "The disk of /data is full. Free some space.");
    server.say("keep me");
    await account.until(() => server.calls("getUpdates").length >= 5);
    assert.deepEqual(account.ctx.statuses.at(-1), {
      state: "misconfigured",
      reason: "The disk of /data is full. Free some space.",
    });
    const since = account.states.slice(account.states.indexOf("misconfigured"));
    assert.ok(
      since.every((state) => state === "misconfigured"),
      since.join(" "),
    );
    assert.equal(/reconnect|connection/i.test(JSON.stringify(account.ctx.logged)), false);
    account.ctx.refuseWith = undefined;
    await account.until(() => account.events.length === 1 && account.states.at(-1) === "connected");
  });

  it("takes all updates of one answer in one commit, and asks again at once", async () => {
    const server = await startServer();
    for (let index = 0; index < 250; index += 1) server.say(String(index));
    const account = accountOn(server);
    const commits: number[] = [];
    const { acceptAll } = account.ctx;
    account.ctx.acceptAll = (updates, remember) => {
      commits.push(updates.length);
      assert.equal(remember?.["offset"], Number((updates.at(-1) as { update_id: number }).update_id) + 1);
      return acceptAll(updates, remember);
    };
    await account.connect();
    await account.until(() => account.events.length === 250 && server.calls("getUpdates").length >= 4);
    assert.deepEqual(commits, [100, 100, 50]);
    assert.equal(account.states.includes("reconnecting"), false);
  });

  it("a connection that fell silent is noticed, given up and made anew", async () => {
    const { server, account } = await connected();
    await account.until(() => server.calls("getUpdates").length > 0);
    server.fail("getUpdates", { kind: "slow", ms: 60_000 });
    server.say("ends the open poll");
    await account.until(() => account.states.includes("reconnecting"), 4000);
    assert.match(JSON.stringify(account.ctx.statuses), /Telegram has been silent for too long/);
    server.say("after the silence");
    await account.until(() => account.events.length === 2 && account.states.at(-1) === "connected", 4000);
  });

  it("goes on behind an update that nobody can read", async () => {
    const { server, account } = await connected();
    server.pushRaw({ update_id: 870000001, message: { message_id: "what", chat: 7, entities: "x" } });
    server.pushRaw({ update_id: 870000002, surprise: [null] });
    server.pushRaw({
      update_id: 870000003,
      message: { message_id: 1, chat: { id: 5, type: "private" }, from: 5 },
    });
    server.say("after the poison");
    await account.until(() => account.events.length === 1);
    assert.equal(account.events[0]?.text, "after the poison");
    await account.until(() => server.pending.length === 0);
  });

  it("goes on behind an update without a number, without asking in a frenzy", async () => {
    const { server, account } = await connected();
    server.pushRaw({ message: "no number" });
    await account.until(() => account.states.includes("reconnecting"));
    server.say("still here");
    await account.until(() => account.events.length === 1);
  });

  it("after a restart goes on where it was, and nothing comes twice", async () => {
    const { server, account } = await connected();
    for (let index = 0; index < 5; index += 1) server.say(`before ${index}`);
    await account.until(() => account.events.length === 5);
    await account.close();
    for (let index = 0; index < 5; index += 1) server.say(`while away ${index}`);
    const later = accountOn(server, { disk: account.disk });
    await later.connect();
    await later.until(() => later.events.length === 5);
    assert.deepEqual(
      later.events.map((event) => event.text),
      [0, 1, 2, 3, 4].map((index) => `while away ${index}`),
    );
    assert.equal(later.ctx.accepted.length, 5);
  });

  it("killed between the ledger and the confirmation, the update comes again and is known", async () => {
    const server = await startServer();
    const account = accountOn(server);
    server.fail("getUpdates", { kind: "slow", ms: 0 });
    server.fail("getUpdates", { kind: "drop-before" }, 50);
    server.say("once");
    await account.connect();
    await account.until(() => account.events.length === 1);
    // Killed: no closing call reaches Telegram, and the offset written last is lost with the disk's cache.
    await server.stop();
    await account.close();
    account.disk.kept.delete("offset");
    server.heal();
    await server.start();
    assert.equal(server.pending.length, 1);
    const later = accountOn(server, { disk: account.disk });
    await later.connect();
    await later.until(() => server.pending.length === 0);
    assert.deepEqual(later.events, []);
    assert.equal(later.ctx.accepted.length, 1);
  });

  it("doubled and shuffled updates are taken in Telegram's order, once each", async () => {
    const server = await startServer();
    const first = server.say("1");
    const second = server.say("2");
    const third = server.say("3");
    (server.pending as unknown[]).splice(0, 3, third, first, second, first, third);
    const account = accountOn(server);
    await account.connect();
    await account.until(() => account.events.length === 3 && server.pending.length === 0);
    assert.deepEqual(
      account.events.map((event) => event.text),
      ["1", "2", "3"],
    );
    assert.equal(Number(account.disk.kept.get("offset")), third.update_id + 1);
  });

  it("closing tells Telegram what is safe, so that a start without memory does not get it again", async () => {
    const { server, account } = await connected();
    server.fail("getUpdates", { kind: "drop-after" }, 1);
    server.say("last words");
    await account.until(() => account.events.length === 1);
    await account.close();
    assert.equal(server.pending.length, 0);
  });

  it("an offset older than Telegram keeps its numbers is not used", async () => {
    const server = await startServer();
    const account = accountOn(server);
    account.disk.kept.set("offset", String(999_999_999));
    account.disk.kept.set("offsetAt", String(Date.now() - 8 * 24 * 3600 * 1000));
    server.say("numbers began anew");
    await account.connect();
    await account.until(() => account.events.length === 1);
  });

  it("a backlog of 1,000 messages comes whole and in order", async () => {
    const server = await startServer();
    for (let index = 0; index < 1000; index += 1) server.say(String(index));
    const account = accountOn(server);
    await account.connect();
    await account.until(() => account.events.length === 1000, 10_000);
    assert.deepEqual(
      account.events.map((event) => event.text),
      Array.from({ length: 1000 }, (_, index) => String(index)),
    );
  });
});

describe("telegram receiving in trouble", () => {
  it("two copies of a bot: one says so, asks calmly, and goes on when the other stops", async () => {
    const { server, account } = await connected();
    server.fail(
      "getUpdates",
      { kind: "error", code: 409, description: "Conflict: terminated by other getUpdates request" },
      3,
    );
    server.say("wake up");
    await account.until(() => account.states.includes("conflict"));
    const status = account.ctx.statuses.find(({ state }) => state === "conflict");
    assert.match((status as { reason: string }).reason, /Another copy of this bot is running/);
    const before = server.calls("getUpdates").length;
    await new Promise((resolve) => setTimeout(resolve, quick.conflictMs * 2));
    assert.ok(server.calls("getUpdates").length - before <= 3, "at most one try per pause");
    await account.until(() => account.events.length === 1);
    assert.equal(account.states.at(-1), "connected");
  });

  it("two real pollers do not throw each other out in a storm", async () => {
    const server = await startServer();
    const one = accountOn(server, { id: "one" });
    const two = accountOn(server, { id: "two" });
    await one.connect();
    await two.connect();
    await one.until(() => one.states.includes("conflict"), 3000);
    const before = server.calls("getUpdates").length;
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.ok(server.calls("getUpdates").length - before < 30);
    await two.close();
    server.say("for the one that is left");
    await one.until(() => one.events.length === 1 && one.states.at(-1) === "connected", 3000);
  });

  it("a webhook set by another program is taken away again, calmly", async () => {
    const { server, account } = await connected();
    await account.until(() => server.calls("getUpdates").length > 0);
    server.webhook = { url: "http://127.0.0.1:9/other" };
    await account.until(() => account.states.includes("conflict"), 3000);
    await account.until(() => server.webhook.url === "" && account.states.at(-1) === "connected", 3000);
    assert.equal(server.calls("deleteWebhook").length, 2);
  });

  it("a token refused by Telegram stops the account and says where to get a new one", async () => {
    const server = await startServer();
    server.revoked = true;
    const account = accountOn(server);
    await assert.rejects(account.connect(), (error) => {
      assert.ok(error instanceof ChannelError);
      assert.equal(error.fault, "auth");
      assert.equal(
        error.message,
        "Telegram refused this token. Copy it again from @BotFather - it looks like 123456:ABC...",
      );
      return true;
    });
    assert.equal(server.journal.length, 1);
  });

  it("a token of the wrong shape is refused without asking anybody", async () => {
    const server = await startServer();
    for (const token of ["", "hello", "1:a/../../x", "1:a b"]) {
      const account = accountOn(server, { credentials: { token } });
      await assert.rejects(
        account.connect(),
        (error) => error instanceof ChannelError && error.fault === "auth",
      );
    }
    assert.equal(server.journal.length, 0);
  });

  it("a token taken back while running: red status, and at most three calls more", async () => {
    const { server, account, client } = await connected();
    await account.until(() => server.calls("getUpdates").length > 0);
    server.revoked = true;
    const before = server.journal.length;
    await assert.rejects(
      client.send(text("x"), ada, sending()),
      (error) => error instanceof ChannelError && error.fault === "auth",
    );
    await account.until(() => account.states.at(-1) === "refused");
    await new Promise((resolve) => setTimeout(resolve, 1300));
    assert.ok(server.journal.length - before <= 3, `${server.journal.length - before} calls`);
  });

  it("told to slow down, it asks nothing inside the time and goes on right after", async () => {
    const { server, account } = await connected();
    await account.until(() => server.calls("getUpdates").length > 0);
    server.fail("getUpdates", { kind: "rate", retryAfter: 1 });
    server.say("ends the open poll");
    await account.until(() => server.calls("getUpdates").some(({ status }) => status === 429));
    server.say("patience");
    await account.until(() => account.events.length === 2 && account.states.at(-1) === "connected", 4000);
    const calls = server.calls("getUpdates");
    const limited = calls.findIndex(({ status }) => status === 429);
    const pause = (calls[limited + 1]?.at ?? 0) - (calls[limited]?.at ?? 0);
    assert.ok(pause >= 1000 && pause < 1600, `${pause} ms`);
    assert.match(JSON.stringify(account.ctx.statuses), /slow down/);
    assert.deepEqual(account.ctx.slowed, [{ forMs: 1000 }]);
  });

  it("Telegram down and back: reconnecting with growing pauses, then everything that waited", async () => {
    const { server, account } = await connected();
    const port = Number(new URL(server.url).port);
    await server.stop();
    await account.until(
      () => account.ctx.statuses.filter(({ state }) => state === "reconnecting").length >= 4,
      4000,
    );
    const pauses = account.ctx.statuses.flatMap((status) =>
      status.state === "reconnecting" ? [status.inMs] : [],
    );
    assert.ok((pauses[3] as number) > (pauses[0] as number), pauses.join(" "));
    server.say("while down");
    await server.start(port);
    await account.until(() => account.events.length === 1 && account.states.at(-1) === "connected", 4000);
  });

  it("a proxy's error page, an error of Telegram's and a cut answer are waited out", async () => {
    const { server, account } = await connected();
    await account.until(() => server.calls("getUpdates").length > 0);
    server.fail("getUpdates", { kind: "page", status: 502 });
    server.fail("getUpdates", { kind: "error", code: 500, description: "Internal Server Error" });
    server.fail("getUpdates", { kind: "drop-after" });
    server.fail("getUpdates", { kind: "drop-before" });
    server.say("ends the open poll");
    await account.until(() => account.states.includes("reconnecting"));
    server.say("through it all");
    await account.until(() => account.events.length === 2, 5000);
    assert.ok(account.states.filter((state) => state === "reconnecting").length >= 3);
  });

  it("no token stands in any status or log line", async () => {
    const { server, account } = await connected();
    await server.stop();
    await account.until(() => account.states.includes("reconnecting"));
    assert.equal(
      JSON.stringify([account.ctx.statuses, account.ctx.logged]).includes(
        server.token.split(":")[1] as string,
      ),
      false,
    );
  });

  it("an address where something else lives is said so, and is no reason to blame the token", async () => {
    const server = await startServer();
    const account = accountOn(server, { apiRoot: `${server.url}/elsewhere` });
    await assert.rejects(account.connect(), (error) => {
      assert.ok(error instanceof ChannelError);
      assert.equal(error.fault, "refused");
      assert.match(error.message, /does not speak Telegram's Bot API/);
      return true;
    });
  });

  it("closes in under two seconds in the middle of a poll, and leaves no call open", async () => {
    const server = await startServer();
    const account = accountOn(server);
    await account.connect(createConnect({ ...quick, pollSeconds: 30 }));
    await account.until(() => server.calls("getUpdates").length === 1);
    const started = Date.now();
    await account.close();
    assert.ok(Date.now() - started < 2000);
    const calls = server.journal.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(server.journal.length, calls);
  });

  it("closing while Telegram hangs takes under two seconds, too", async () => {
    const { server, account } = await connected();
    server.say("one");
    await account.until(() => account.events.length === 1);
    server.fail("*", { kind: "slow", ms: 5000 }, 20);
    const started = Date.now();
    await account.close();
    assert.ok(Date.now() - started < 2000, `${Date.now() - started} ms`);
  });
});

describe("telegram receiving by webhook", () => {
  const webhook = { options: { mode: "webhook" } };

  it("without a public address it says what to do, and can still send", async () => {
    const { server, account, client } = await connected(webhook);
    const status = account.ctx.statuses.at(-1);
    assert.equal(status?.state, "misconfigured");
    assert.match(JSON.stringify(status), /public address/);
    await client.send(text("x"), ada, sending());
    assert.equal(server.calls("getUpdates").length, 0);
  });

  it("tells Telegram the address, the secret and the kinds of update", async () => {
    const { server, account } = await connected({
      ...webhook,
      webhookUrl: "https://me.example/redclaw/telegram/acc1",
    });
    const args = server.calls("setWebhook")[0]?.args;
    assert.equal(args?.["url"], "https://me.example/redclaw/telegram/acc1");
    assert.match(String(args?.["secret_token"]), /^[\w-]{40,}$/);
    assert.ok((args?.["allowed_updates"] as string[] | undefined)?.includes("message_reaction"));
    assert.deepEqual(account.ctx.statuses.at(-1), { state: "connected", identity: "@crayfish_test_bot" });
  });

  it("an address that Telegram does not take is said in its words", async () => {
    const { account } = await connected({ ...webhook, webhookUrl: "ftp://me.example/x" });
    assert.equal(account.ctx.statuses.at(-1)?.state, "misconfigured");
    assert.match(JSON.stringify(account.ctx.statuses.at(-1)), /bad webhook/);
  });

  it("a button pressed by webhook is answered as well", async () => {
    const { server, account, client } = await connected({ ...webhook, webhookUrl: "https://me.example/x" });
    client.accepted?.({ update_id: 1, callback_query: { id: "555" } });
    client.accepted?.({ update_id: 2 });
    client.accepted?.(null);
    await account.until(() => server.methods.answered.length === 1);
    assert.deepEqual(server.methods.answered, ["555"]);
  });
});
