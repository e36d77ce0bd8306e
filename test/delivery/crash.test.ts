/** What a crash leaves behind: one gateway after the other on the same database, none of them closed in order. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { News } from "../../lib/delivery/news";
import type { ChatContext, MessageEvent } from "../../lib/message/types";
import { messageEvent, Scripted, until } from "./scripted";

describe("after a crash", () => {
  let folder: string;
  let runs: Run[] = [];
  let time = Date.now();
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-crashes-"));
    time = Date.now();
  });
  afterEach(async () => {
    for (const run of runs) await run.channel.close();
    runs = [];
    fs.rmSync(folder, { recursive: true, force: true });
  });

  interface Run {
    channel: Scripted;
    heard: MessageEvent[];
    chats: ChatContext[];
    news: News[];
  }

  /** The next run of the process. The one before is just left: it does nothing more by itself. */
  async function start(hear: (event: MessageEvent, chat: ChatContext) => void = () => {}): Promise<Run> {
    const channel = new Scripted({ clock: { now: () => time } });
    const run: Run = { channel, heard: [], chats: [], news: [] };
    runs.push(run);
    channel.gateway.onNews((news) => run.news.push(news));
    const file = path.join(folder, "g.db");
    channel.gateway.configure("gw", { store: "sqlite", path: file, maxReplyAge: 600_000 });
    channel.gateway.inbox.listen("acc", (event, chat) => {
      run.heard.push(structuredClone(event));
      run.chats.push(chat);
      hear(event, chat);
    });
    await channel.open().ready(Date.now() + 2000);
    return run;
  }
  const accept = (run: Run, event: MessageEvent) => run.channel.gateway.accounts.get("acc")?.accept(event);
  const rowOf = async ({ channel }: Run, id: string) => (await channel.gateway.store()).get("event", id);

  it("a message goes into the flow again three times; then it stays out, visibly, until somebody says so", async () => {
    const event = messageEvent({ text: "poison" });
    let run = await start();
    await accept(run, event);
    await until(() => run.heard.length === 1);
    for (const redelivered of [1, 2, 3]) {
      run = await start();
      await until(() => run.heard.length === 1);
      assert.equal(run.heard[0]?.redelivered, redelivered);
    }
    run = await start();
    await until(() => run.news.some((news) => news.event === "quarantined"));
    const row = await rowOf(run, event.id);
    assert.equal(row?.state, "quarantined");
    assert.match(JSON.stringify(row), /"text":"poison"/);
    assert.equal(run.heard.length, 0);
    const other = await start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(other.heard.length, 0);
    assert.equal(
      await other.channel.gateway.inbox.sendAgain(other.channel.definition, "acc", event.id),
      true,
    );
    await until(() => other.heard.length === 1);
  });

  it("those that were there at three crashes go out one at a time, so that only one is to blame", async () => {
    let run = await start();
    const events = ["a", "b", "c"].map((text) =>
      messageEvent({ text, conversation: { id: text, kind: "direct" } }),
    );
    for (const event of events) await accept(run, event);
    await until(() => run.heard.length === 3);
    for (const _ of [1, 2]) {
      run = await start();
      await until(() => run.heard.length === 3);
    }
    run = await start();
    await until(() => run.heard.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(run.heard.length, 1);
    const [first] = run.heard;
    run.channel.gateway.inbox.settle(first?.id ?? "", "answered");
    await until(() => run.heard.length === 2);
    // A crash now blames the second only: the third was not out.
    run = await start();
    await until(() => run.news.some((news) => news.event === "quarantined"));
    await until(() => run.heard.length === 1);
    const states = await Promise.all(events.map(({ id }) => rowOf(run, id)));
    assert.deepEqual(
      states.map((row) => JSON.stringify(row?.value).match(/"c":(\d)/)?.[1]),
      ["3", "4", "3"],
    );
  });

  it("messages go out in the order they came, also those that came after the restart", async () => {
    let run = await start();
    for (const text of ["1", "2", "3"]) await accept(run, messageEvent({ text }));
    run = await start();
    for (const text of ["4", "5"]) await accept(run, messageEvent({ text }));
    await until(() => run.heard.length === 5);
    assert.deepEqual(
      run.heard.map(({ text }) => text),
      ["1", "2", "3", "4", "5"],
    );
  });

  it("a message that is too old to be answered is kept and shown, not answered", async () => {
    let run = await start();
    const event = messageEvent();
    await accept(run, event);
    await until(() => run.heard.length === 1);
    time += 11 * 60_000;
    run = await start();
    await until(() => run.news.some((news) => news.event === "expired"));
    assert.equal(run.heard.length, 0);
    assert.equal((await rowOf(run, event.id))?.state, "expired");
  });

  it("a clock that was set back by a day lets nothing expire", async () => {
    let run = await start();
    await accept(run, messageEvent());
    await until(() => run.heard.length === 1);
    time -= 24 * 3_600_000;
    run = await start();
    await until(() => run.heard.length === 1);
  });

  it("an answer that the platform has is not sent again, and an intended one is sent once", async () => {
    const answer = (run: () => Run) => (event: MessageEvent, chat: ChatContext) =>
      void run()
        .channel.gateway.send({
          key: `${chat.eventId}/n/0`,
          account: "acc",
          to: { conversation: "c1" },
          response: { text: `re ${event.text}` },
          eventId: chat.eventId,
        })
        .catch(() => undefined);
    let run = await start((event, chat) => answer(() => run)(event, chat));
    await accept(run, messageEvent({ text: "one" }));
    await until(() => run.channel.sent.length === 1);
    // The second one waits for its turn when Node-RED dies.
    run.channel.gateway.accounts.get("acc")?.slowDown(60_000);
    await accept(run, messageEvent({ text: "two" }));
    await until(() => run.channel.gateway.outbox.counts("acc").waiting === 1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    run = await start((event, chat) => answer(() => run)(event, chat));
    await until(() => run.channel.sent.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.deepEqual(run.channel.texts(), ["re two"]);
  });

  it("what was cut off in the middle of a request is held, its event does not run again, and a click sends it", async () => {
    let run = await start();
    await accept(run, messageEvent({ id: "scripted:acc:1" }));
    await until(() => run.heard.length === 1);
    run.channel.onSend = () => new Promise(() => undefined);
    const { gateway } = run.channel;
    const to = { conversation: "c1" };
    const intent = { key: "k", account: "acc", to, response: { text: "hi" }, eventId: "scripted:acc:1" };
    gateway.send(intent).catch(() => undefined);
    const store = await gateway.store();
    while ((await store.get("response", "k"))?.state !== "sending") await new Promise(setImmediate);
    run = await start();
    await until(() => run.channel.gateway.outbox.counts("acc").held === 1);
    await until(() => run.news.some((news) => news.event === "held"));
    assert.equal(run.channel.sent.length, 0);
    assert.equal((await rowOf(run, "scripted:acc:1"))?.state, "settled");
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.equal(run.heard.length, 0);
    const account = run.channel.gateway.accounts.get("acc");
    assert.ok(account);
    await run.channel.gateway.outbox.resend(account, "k");
    await until(() => run.channel.sent.length === 1);
    assert.equal(run.channel.gateway.outbox.counts("acc").held, 0);
  });

  it("an answer that was cut off is held also when the flow gives it again before the list was read", async () => {
    const run = await start();
    const { gateway, sent } = run.channel;
    const store = await gateway.store();
    const to = { conversation: "c1" };
    const cutOff = gateway.ledger.intend(
      "k",
      "acc",
      { text: "hi" },
      { to, done: 0, ids: [] },
      "sending",
      time,
    );
    await store.commit([{ insert: cutOff }]);
    const again = { key: "k", account: "acc", to, response: { text: "hi" } };
    await assert.rejects(gateway.send(again), { code: "held" });
    assert.equal((await store.get("response", "k"))?.state, "unknown");
    assert.equal(sent.length, 0);
  });

  it("an event with two answers is open until both are through: a crash in between loses neither", async () => {
    let run = await start();
    const event = messageEvent();
    const answer = (n: number) =>
      run.channel.gateway.send({
        key: `${event.id}/n/${n}`,
        account: "acc",
        to: { conversation: `c${n}` },
        response: { text: `answer ${n}` },
        eventId: event.id,
      });
    await accept(run, event);
    await until(() => run.heard.length === 1);
    const { sent } = run.channel;
    run.channel.onSend = ({ to }) => (to.conversation === "c1" ? new Promise(() => undefined) : undefined);
    const first = answer(0);
    answer(1).catch(() => undefined);
    await first;
    assert.equal(sent.length, 1);
    assert.equal((await rowOf(run, event.id))?.state, "emitted");
    run = await start();
    await until(() => run.channel.gateway.outbox.counts("acc").held === 1);
    await until(() => run.heard.length === 0);
    await assert.rejects(answer(1), { code: "held" });
    assert.equal((await answer(0)).messageId, "1");
    assert.equal(run.channel.sent.length, 0);
    assert.equal((await rowOf(run, event.id))?.state, "settled");
  });

  it("an event that is settled while it goes out again stays settled", async () => {
    const run = await start();
    const { ledger, inbox } = run.channel.gateway;
    inbox.pause();
    await accept(run, messageEvent({ id: "scripted:acc:1" }));
    const commit = ledger.commit.bind(ledger);
    ledger.commit = async (writes) => {
      if (!JSON.stringify(writes).includes('"emitted"')) return commit(writes);
      ledger.commit = commit;
      await commit(inbox.settling("scripted:acc:1", "answered"));
      return commit(writes);
    };
    inbox.go();
    while ((await rowOf(run, "scripted:acc:1"))?.state !== "settled") await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal((await rowOf(run, "scripted:acc:1"))?.state, "settled");
    assert.equal(run.heard.length, 0);
  });
});

describe("deliveries of the same event", () => {
  it("now, in five minutes, a day and a week later, and twenty times at once: it is counted once", async () => {
    let time = Date.now();
    const channel = new Scripted({ clock: { now: () => time } });
    const heard: string[] = [];
    channel.gateway.inbox.listen("acc", ({ id }) => heard.push(id));
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const event = messageEvent();
    await account.accept(event);
    for (const ms of [0, 5 * 60_000, 24 * 3_600_000, 7 * 24 * 3_600_000]) {
      time += ms;
      await Promise.all(Array.from({ length: 20 }, () => account.accept(structuredClone(event))));
      await (await channel.gateway.store()).sweep();
    }
    await until(() => heard.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(heard, [event.id]);
    assert.equal(channel.gateway.inbox.duplicates, 80);
    await channel.close();
  });

  it("the same number on two accounts is two events", async () => {
    const channel = new Scripted();
    const heard: string[] = [];
    for (const id of ["acc", "acc2"]) channel.gateway.inbox.listen(id, ({ account }) => heard.push(account));
    for (const id of ["acc", "acc2"]) {
      const account = channel.open({ id });
      await account.ready(Date.now() + 1000);
      await account.accept(messageEvent({ id: `scripted:${id}:7`, account: id }));
    }
    await until(() => heard.length === 2);
    assert.deepEqual(heard, ["acc", "acc2"]);
    await channel.close();
  });
});

describe("more messages than the flows can take", () => {
  it("wait in the store, come in order, and a new chat does not wait behind them", async () => {
    const channel = new Scripted();
    const out = new Map<string, () => void>();
    const order = new Map<string, number[]>();
    let most = 0;
    let heardNew = false;
    channel.gateway.inbox.listen("acc", (event) => {
      const { id } = event.conversation;
      if (id === "new") heardNew = true;
      else order.set(id, [...(order.get(id) ?? []), Number(event.text)]);
      out.set(event.id, channel.gateway.inbox.begin(event.id));
      most = Math.max(most, out.size);
    });
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    for (let batch = 0; batch < 20; batch += 1) {
      const events = Array.from({ length: 100 }, (_, index) =>
        messageEvent({
          text: String(batch * 100 + index),
          conversation: { id: `c${index % 7}`, kind: "direct" },
        }),
      );
      await account.acceptAll(events);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(channel.gateway.inbox.waiting("acc") > 1000);
    await account.accept(messageEvent({ conversation: { id: "new", kind: "direct" } }));
    let done = 0;
    let before = 0;
    while (done < 2001) {
      const [next] = out;
      if (!next) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        continue;
      }
      out.delete(next[0]);
      channel.gateway.inbox.settle(next[0], "answered");
      next[1]();
      done += 1;
      if (!heardNew) before += 1;
      if (done % 20 === 0) await new Promise(setImmediate);
    }
    assert.ok(most <= 520, `${most} at a time`);
    assert.ok(before < 200, `the new chat waited for ${before} others`);
    for (const numbers of order.values())
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
    await channel.close();
  }).timeout(30_000);
});

describe("messages of an account that is gone", () => {
  it("end in the ledger, visibly, when they are too old to be answered", async () => {
    let time = Date.now();
    const channel = new Scripted({ clock: { now: () => time } });
    const { gateway } = channel;
    const now = gateway.clock.now();
    const event = messageEvent({ account: "gone" });
    const marks = { to: { conversation: "c1" }, done: 0, ids: [] };
    const { ledger } = gateway;
    await ledger.commit([
      ledger.acceptEvent(event, false, now),
      { insert: ledger.intend("k", "gone", { text: "hi" }, marks, "intended", now) },
    ]);
    const states = async () => {
      const store = await gateway.store();
      return [(await store.get("event", event.id))?.state, (await store.get("response", "k"))?.state];
    };
    await Promise.all([gateway.inbox.expireOrphans(), gateway.outbox.expireOrphans()]);
    assert.deepEqual(await states(), ["accepted", "intended"]);
    time += 11 * 60_000;
    await Promise.all([gateway.inbox.expireOrphans(), gateway.outbox.expireOrphans()]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(await states(), ["expired", "expired"]);
    await channel.close();
  });
});

describe("an event with an interim answer", () => {
  it("is open until the last of those who work on it is through", async () => {
    const channel = new Scripted();
    const { gateway } = channel;
    gateway.inbox.listen("acc", () => undefined);
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const event = messageEvent();
    await account.accept(event);
    const state = async () => (await (await gateway.store()).get("event", event.id))?.state;
    // A model thinks, and meanwhile the flow says "one moment".
    const thinking = gateway.inbox.begin(event.id);
    const to = { conversation: "c1" };
    const intent = { key: "moment", account: "acc", to, response: { text: "One moment" }, eventId: event.id };
    await gateway.send(intent);
    assert.equal(await state(), "emitted");
    const answering = gateway.send({ ...intent, key: "answer", response: { text: "42" } });
    thinking();
    await answering;
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await state(), "settled");
    await channel.close();
  });
});
