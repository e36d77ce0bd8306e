import assert from "node:assert/strict";
import { ChannelError, RedclawError } from "../../lib/errors";
import type { ChatContext } from "../../lib/message/types";
import { messageEvent, Scripted, until } from "./scripted";

describe("outbox", () => {
  let channel: Scripted;
  beforeEach(() => {
    channel = new Scripted();
  });
  afterEach(() => channel.close());

  it("answers the platform's receipt", async () => {
    channel.open();
    const receipt = await channel.send("hi");
    assert.equal(receipt.messageId, "1");
    assert.deepEqual(receipt.messageIds, ["1"]);
    assert.equal(receipt.conversation, "c1");
    assert.ok(Date.parse(receipt.sentAt) > 0);
  });

  it("sends the same key once, and answers the same receipt, at once or later", async () => {
    channel.open();
    const [first, second] = await Promise.all([channel.send("hi", "c1", "k"), channel.send("hi", "c1", "k")]);
    const third = await channel.send("hi", "c1", "k");
    assert.deepEqual(second, first);
    assert.deepEqual(third, first);
    assert.equal(channel.sent.length, 1);
  });

  it("keeps the order inside a conversation, also when the first one is slow", async () => {
    channel.onSend = async ({ part }) => {
      if (part.kind === "text" && part.plain === "first")
        await new Promise((resolve) => setTimeout(resolve, 80));
    };
    channel.open();
    await Promise.all([channel.send("first"), channel.send("second"), channel.send("third")]);
    assert.deepEqual(channel.texts(), ["first", "second", "third"]);
  });

  it("lets other conversations pass a slow one", async () => {
    channel.onSend = async ({ to }) => {
      if (to.conversation === "slow") await new Promise((resolve) => setTimeout(resolve, 150));
    };
    channel.open();
    await Promise.all([channel.send("a", "slow"), channel.send("b", "quick")]);
    assert.deepEqual(channel.texts(), ["b", "a"]);
  });

  it("waits exactly as long as the platform asks, then sends once", async () => {
    let refused = 0;
    channel.onSend = () => {
      if (refused === 0) {
        refused = Date.now();
        throw new ChannelError("rate", "Too fast.", { retryAfterMs: 200 });
      }
    };
    channel.open();
    await channel.send("hi");
    assert.equal(channel.sent.length, 1);
    assert.ok((channel.sent[0]?.at ?? 0) - refused >= 199);
  });

  it("sends text again as plain when the platform refuses the formatting", async () => {
    channel.onSend = ({ part }) => {
      if (!part.unformatted) throw new ChannelError("formatting", "can't parse entities");
    };
    channel.open();
    await channel.send("**bold**");
    assert.deepEqual(channel.texts(), ["bold"]);
  });

  it("holds a message that may have arrived, and does not send it again by itself", async () => {
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      throw new ChannelError("interrupted", "cut off");
    };
    channel.open();
    await assert.rejects(channel.send("hi", "c1", "k"), { code: "held" });
    await assert.rejects(channel.send("hi", "c1", "k"), { code: "held" });
    assert.equal(calls, 1);
    const row = await (await channel.gateway.store()).get("response", "k");
    assert.equal(row?.state, "unknown");
  });

  it("sends a message that may have arrived again, when the account asks for it", async () => {
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      if (calls === 1) throw new ChannelError("interrupted", "cut off", { retryAfterMs: 10 });
    };
    channel.open({ onUnknown: "resend" });
    await channel.send("alarm");
    assert.equal(calls, 2);
  });

  it("tries again when the request never left", async () => {
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      if (calls < 3) throw new ChannelError("unreachable", "refused", { retryAfterMs: 5 });
    };
    channel.open();
    await channel.send("hi");
    assert.equal(channel.sent.length, 1);
  });

  it("goes on with the part where it stopped, not with the first", async () => {
    let failed = false;
    channel.onSend = () => {
      if (channel.sent.length === 1 && !failed) {
        failed = true;
        throw new ChannelError("unavailable", "503", { retryAfterMs: 5 });
      }
    };
    channel.open();
    const words = Array.from({ length: 20 }, (_, index) => `word${index}`).join(" ");
    const receipt = await channel.send(words);
    assert.equal(channel.texts().join(" "), words);
    assert.equal(receipt.messageIds.length, channel.sent.length);
  });

  it("tells why the platform said no, and goes on with the next message", async () => {
    channel.onSend = ({ part }) => {
      if (part.kind === "text" && part.plain === "bad")
        throw new ChannelError("gone", "The bot was blocked.");
    };
    channel.open();
    await assert.rejects(channel.send("bad"), /blocked/);
    await channel.send("good");
    assert.deepEqual(channel.texts(), ["good"]);
  });

  it("keeps messages while the token is refused and sends them with the new one", async () => {
    channel.onSend = () => {
      throw new ChannelError("auth", "Token refused.");
    };
    const account = channel.open();
    const refused = channel.send("waits").catch((error: RedclawError) => error.code);
    await until(() => account.status.state === "refused");
    assert.equal(channel.gateway.outbox.counts("acc").waiting, 1);
    await channel.gateway.closeAccount(account);
    assert.equal(await refused, "closing");
    channel.onSend = () => undefined;
    channel.open({ credentials: { token: "new" } });
    await until(() => channel.sent.length === 1);
    assert.deepEqual(channel.texts(), ["waits"]);
  });

  it("lets a request in flight finish when the account closes: nothing is lost or held", async () => {
    channel.onSend = () => new Promise((resolve) => setTimeout(resolve, 200));
    const account = channel.open();
    const sending = channel.send("hi", "c1", "k");
    await until(() => account.client !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await channel.gateway.closeAccount(account);
    await sending;
    assert.equal((await (await channel.gateway.store()).get("response", "k"))?.state, "sent");
  });

  it("keeps to the account's own limits", async () => {
    channel.open({ limits: { perChat: "20/s" } });
    await Promise.all(Array.from({ length: 25 }, (_, index) => channel.send(String(index))));
    const first = channel.sent[0]?.at ?? 0;
    const last = channel.sent.at(-1)?.at ?? 0;
    assert.ok(last - first >= 200, `25 messages in ${last - first} ms`);
  });

  it("reports a message to an account that is gone", async () => {
    await assert.rejects(channel.send("hi"), (error: RedclawError) => error.code === "account-missing");
  });
});

describe("outbox: a deploy between intent and sending", () => {
  it("an answer to an account that is just closed waits and goes out when it opens", async () => {
    const channel = new Scripted();
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await channel.gateway.closeAccount(account);
    await assert.rejects(channel.send("late", "c1", "k"), { code: "closing" });
    channel.open();
    await until(() => channel.sent.length === 1);
    assert.deepEqual(channel.texts(), ["late"]);
    const again = await channel.send("late", "c1", "k");
    assert.equal(again.messageId, "1");
    assert.equal(channel.sent.length, 1);
    await channel.close();
  });

  it("an answer to an account that was deleted says so", async () => {
    const channel = new Scripted();
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await channel.gateway.closeAccount(account, true);
    await assert.rejects(channel.send("late"), { code: "account-missing" });
    await channel.close();
  });
});

describe("outbox: a platform where our own messages can be looked up", () => {
  let channel: Scripted;
  /** Keys that the platform has, with the ids of their messages. */
  let there: Map<string, string>;
  let lookups: number;
  beforeEach(() => {
    channel = new Scripted();
    there = new Map();
    lookups = 0;
    Object.assign(channel.definition.capabilities, { idempotency: "lookup" });
  });
  afterEach(() => channel.close());
  const open = async () => {
    const client = await channel.open().ready(Date.now() + 1000);
    client.lookup = async (_part, _to, { key }) => {
      lookups += 1;
      const messageId = there.get(key);
      return messageId === undefined ? undefined : { messageId };
    };
  };
  const cutOff = (arrived: boolean) => {
    let first = true;
    channel.onSend = ({ key }) => {
      if (!first) return;
      first = false;
      if (arrived) there.set(key, "found");
      throw new ChannelError("interrupted", "cut off", { retryAfterMs: 5 });
    };
  };

  it("a message that arrived although its answer was lost is found, not sent again", async () => {
    await open();
    cutOff(true);
    const receipt = await channel.send("hi");
    assert.equal(receipt.messageId, "found");
    assert.equal(channel.sent.length, 0);
  });

  it("one that did not arrive is looked for, then sent again", async () => {
    await open();
    cutOff(false);
    await channel.send("hi");
    assert.equal(lookups, 1);
    assert.deepEqual(channel.texts(), ["hi"]);
  });

  it("while it cannot be looked up, it is neither sent nor given up", async () => {
    await open();
    cutOff(false);
    const client = channel.gateway.accounts.get("acc")?.client;
    assert.ok(client?.lookup);
    const { lookup } = client;
    let fails = 2;
    client.lookup = (...given) => {
      if (fails === 0) return lookup(...given);
      fails -= 1;
      return Promise.reject(new ChannelError("unavailable", "503", { retryAfterMs: 5 }));
    };
    await channel.send("hi");
    assert.equal(fails, 0);
    assert.deepEqual(channel.texts(), ["hi"]);
  });
});

describe("outbox: what the platform says about speed", () => {
  let channel: Scripted;
  beforeEach(() => {
    channel = new Scripted();
  });
  afterEach(() => channel.close());

  it("one chat that is told to wait is left alone exactly so long, with typing, and the others go on", async () => {
    const account = channel.open();
    const client = await account.ready(Date.now() + 1000);
    let typed = 0;
    client.typing = async () => {
      typed += 1;
    };
    let refusedAt = 0;
    channel.onSend = ({ to }) => {
      if (to.conversation !== "slow" || refusedAt > 0) return;
      refusedAt = performance.now();
      throw new ChannelError("rate", "Too fast.", { retryAfterMs: 250 });
    };
    let slowAt = 0;
    const slow = channel.send("a", "slow").then(() => {
      slowAt = performance.now();
    });
    const behind = channel.send("b", "slow");
    await until(() => refusedAt > 0);
    for (let index = 0; index < 20; index += 1) await channel.send(String(index), `other ${index % 3}`);
    assert.equal(channel.sent.length, 20);
    const chat = { account: "acc", conversation: { id: "slow", kind: "direct" } } as ChatContext;
    await channel.gateway.typing(chat);
    assert.equal(typed, 0, "no typing inside the window");
    await Promise.all([slow, behind]);
    assert.ok(slowAt - refusedAt >= 249, `${slowAt - refusedAt} ms`);
    assert.deepEqual(channel.texts().slice(-2), ["a", "b"]);
    await channel.gateway.typing(chat);
    assert.equal(typed, 1);
  });

  it("an account that is told to wait sends nothing to anybody so long", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const start = performance.now();
    channel.ctx?.slowDown(200);
    await Promise.all([channel.send("a", "c1"), channel.send("b", "c2")]);
    assert.ok(performance.now() - start >= 199);
  });

  it("a platform that fails again and again is left alone, then tried with one message, and nothing is lost", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    let works = false;
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      if (!works) throw new ChannelError("unavailable", "503", { retryAfterMs: 1 });
    };
    const news: string[] = [];
    channel.gateway.onNews(({ event }) => news.push(event));
    const sending = Array.from({ length: 10 }, (_, index) => channel.send(String(index), `c${index}`));
    await until(() => news.includes("breaker-open"));
    const before = calls;
    assert.ok(account.breaker.open);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(calls, before, "no call while it rests");
    works = true;
    await Promise.all(sending);
    assert.equal(channel.sent.length, 10);
    assert.ok(news.includes("breaker-closed"));
  }).timeout(15_000);

  it("an alarm may ask to be sent again when it is not known whether it arrived", async () => {
    channel.open();
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      if (calls === 1) throw new ChannelError("interrupted", "cut off", { retryAfterMs: 5 });
    };
    const to = { conversation: "c1" };
    const response = { text: "smoke" };
    await channel.gateway.send({ key: "k", account: "acc", to, response, onUnknown: "resend" });
    assert.equal(calls, 2);
  });
});

describe("outbox: how long messages are kept", () => {
  for (const retention of ["crash-safe", "history"] as const) {
    it(`${retention}: what is through is ${retention === "history" ? "there for as long as asked" : "wiped at once"}`, async () => {
      const channel = new Scripted();
      channel.gateway.configure("gw", { store: "memory", maxReplyAge: 600_000, retention, historyDays: 30 });
      const account = channel.open();
      await account.ready(Date.now() + 1000);
      const event = messageEvent({ text: "question" });
      await account.accept(event);
      const { gateway } = channel;
      const intent = { key: "k", account: "acc", to: { conversation: "c1" }, response: { text: "answer" } };
      await gateway.send({ ...intent, eventId: event.id });
      const store = await gateway.store();
      const rows = [await store.get("event", event.id), await store.get("response", "k")];
      assert.deepEqual(
        rows.map((row) => row?.state),
        ["settled", "sent"],
      );
      for (const row of rows) {
        assert.equal(row?.body !== undefined, retention === "history");
        const days = ((row?.expires ?? 0) - Date.now()) / (24 * 3_600_000);
        assert.ok(Math.abs(days - (retention === "history" ? 30 : 8)) < 0.1, `${days} days`);
      }
      await channel.close();
    });
  }
});

describe("the ledger when the store fails", () => {
  it("takes nothing, says so once, keeps the end of what was sent, and is well again by itself", async () => {
    const channel = new Scripted();
    const news: string[] = [];
    channel.gateway.onNews(({ event }) => news.push(event));
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const store = await channel.gateway.store();
    const { commit } = store;
    const broken = () => Promise.reject(new RedclawError("store-full", "The disk is full."));
    channel.onSend = () => {
      store.commit = broken;
    };
    const sending = channel.send("hi", "c1", "k");
    await until(() => news.includes("store-trouble"));
    await assert.rejects(account.accept(messageEvent()), /disk is full/);
    assert.match(channel.gateway.trouble ?? "", /disk is full/);
    store.commit = commit;
    assert.equal((await sending).messageId, "1");
    await until(() => news.includes("store-well"), 6000);
    assert.equal((await store.get("response", "k"))?.state, "sent");
    assert.deepEqual(
      news.filter((event) => event.startsWith("store")),
      ["store-trouble", "store-well"],
    );
    assert.equal(channel.gateway.trouble, undefined);
    await channel.close();
  }).timeout(15_000);
});
