/** What a deploy (or a stop) in the middle of work must not break: answers, queues, the store. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { ChannelError, RedclawError } from "../../lib/errors";
import { Gateway } from "../../lib/gateway";
import type { MessageEvent } from "../../lib/message/types";
import { messageEvent, Scripted, until } from "./scripted";

const MEMORY = { store: "memory", maxReplyAge: 600_000 } as const;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("deploys: the outbox", () => {
  let channel: Scripted;
  beforeEach(() => {
    channel = new Scripted();
  });
  afterEach(() => channel.close());

  it("a long answer goes on with its second part when the account closed after the first", async () => {
    let account = channel.open();
    const client = await account.ready(Date.now() + 1000);
    channel.onSend = () => pause(100);
    const sending = channel.send(`${"a".repeat(40)} ${"b".repeat(40)}`, "c1", "k").catch(({ code }) => code);
    await pause(40);
    await channel.gateway.closeAccount(account);
    assert.equal(await sending, "closing");
    assert.equal(channel.sent.length, 1);
    account = channel.open();
    await until(() => channel.sent.length === 2);
    assert.deepEqual(channel.texts(), ["a".repeat(40), "b".repeat(40)]);
    assert.ok(client);
  });

  it("nothing is held that was not on its way yet when the account closed", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const store = await channel.gateway.store();
    const commit = store.commit.bind(store);
    // A slow disk: the account closes while "sending" is written down.
    store.commit = async (writes) => {
      const changed = await commit(writes);
      if (JSON.stringify(writes).includes('"state":"sending"')) await pause(80);
      return changed;
    };
    channel.onSend = (_sent, signal) => {
      if (signal.aborted) throw new ChannelError("interrupted", "The connection broke.");
    };
    const sending = channel.send("hi", "c1", "k").catch(({ code }) => code);
    await pause(30);
    await channel.gateway.closeAccount(account);
    await sending;
    store.commit = commit;
    channel.open();
    await until(() => channel.sent.length === 1);
    await pause(20);
    assert.equal((await store.get("response", "k"))?.state, "sent");
  });

  it("what the platform refused while the account closed is refused, not held", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    channel.onSend = async () => {
      await pause(80);
      throw new ChannelError("refused", "The chat does not exist.");
    };
    const sending = channel.send("hi", "c1", "k").catch(({ code }) => code);
    await pause(30);
    await channel.gateway.closeAccount(account);
    assert.equal(await sending, "channel-refused");
    assert.equal((await (await channel.gateway.store()).get("response", "k"))?.state, "failed");
  });

  it("a typing indicator that fails does not stop the answer", async () => {
    const account = channel.open();
    const client = await account.ready(Date.now() + 1000);
    client.typing = async () => {
      throw new ChannelError("interrupted", "The connection broke.");
    };
    Object.assign(channel.definition.capabilities, { typing: true });
    await channel.gateway.send({
      key: "k",
      account: "acc",
      to: { conversation: "c1" },
      response: { text: "hi", typing: true },
    });
    assert.deepEqual(channel.texts(), ["hi"]);
  });

  it("a second try of a message of several parts goes on where the first was cut off", async () => {
    const account = channel.open({ onUnknown: "resend" });
    await account.ready(Date.now() + 1000);
    const store = await channel.gateway.store();
    const intent = {
      key: "k",
      account: "acc",
      to: { conversation: "c1" },
      response: { text: `${"a".repeat(40)} ${"b".repeat(40)}` },
    };
    // As a crash leaves it: the first part has arrived, the second was on its way.
    await store.commit([
      {
        insert: {
          space: "response",
          key: "k",
          value: { to: intent.to, done: 1, of: 2, ids: ["first"] },
          body: intent.response,
          state: "sending",
          account: "acc",
          conversation: "c1",
          at: Date.now(),
        },
      },
    ]);
    await channel.gateway.send(intent);
    assert.deepEqual(channel.texts(), ["b".repeat(40)]);
  });

  it("an account closes in under 2 s when the platform hangs in every way", async () => {
    const account = channel.open();
    const client = await account.ready(Date.now() + 1000);
    client.close = () => new Promise(() => undefined);
    channel.onSend = () => new Promise(() => undefined);
    channel.send("hi").catch(() => undefined);
    await pause(20);
    const start = Date.now();
    await channel.gateway.closeAccount(account);
    assert.ok(Date.now() - start < 2000, `took ${Date.now() - start} ms`);
  });

  it("an account closes also when its client throws at once", async () => {
    const account = channel.open();
    const client = await account.ready(Date.now() + 1000);
    client.close = () => {
      throw new Error("no");
    };
    await channel.gateway.closeAccount(account);
    assert.equal(account.status.state, "closed");
  });
});

describe("deploys: the store", () => {
  let channel: Scripted;
  let folder: string;
  beforeEach(() => {
    channel = new Scripted();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-deploys-"));
  });
  afterEach(async () => {
    await channel.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  const sqlite = () => ({ store: "sqlite", path: path.join(folder, "g.db"), maxReplyAge: 600_000 }) as const;

  it("an event that was just answered does not go out again because the disk is slow to hear of it", async () => {
    channel.gateway.configure("gw", sqlite());
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await pause(20);
    const heard: MessageEvent[] = [];
    channel.gateway.inbox.listen("acc", (event) => heard.push(event));
    const event = messageEvent();
    await account.accept(event);
    await pause(50);
    channel.gateway.inbox.settle(event.id, "answered");
    await channel.gateway.connected(account);
    assert.equal(heard.length, 1);
  });

  it("a gateway without a database forgets nothing in a full deploy", async () => {
    const release = channel.gateway.configure("gw", MEMORY);
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await account.accept(messageEvent({ text: "in between" }));
    await Promise.all([channel.gateway.closeAccount(account), release()]);
    const heard: string[] = [];
    channel.gateway.inbox.listen("acc", (event) => heard.push(event.text));
    channel.gateway.configure("gw", MEMORY);
    channel.open();
    await until(() => heard.length === 1);
  });

  it("a changed gateway does not hold up the deploy, and keeps the store that is in use", async () => {
    const flows = new EventEmitter();
    const note = (text: string) => void channel.logged.push(text);
    const gateway = new Gateway({ log: { debug: note, info: note, warn: note, error: note }, flows });
    Object.assign(channel, { gateway });
    const release = gateway.configure("gw", sqlite());
    flows.emit("flows:started");
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    channel.onSend = () => pause(150);
    const sending = channel.send("hi", "c1", "k");
    await pause(30);
    const start = Date.now();
    await release();
    assert.ok(Date.now() - start < 500, `took ${Date.now() - start} ms`);
    gateway.configure("gw", { ...sqlite(), maxReplyAge: 300_000 });
    flows.emit("flows:started");
    assert.equal((await sending).messageId, "1");
    const store = await gateway.store();
    assert.equal(store.kind, "sqlite");
    assert.equal((await store.get("response", "k"))?.state, "sent");
    assert.equal(gateway.config.maxReplyAge, 300_000);
  });

  it("a gateway that is added or removed lets what is under way finish", async () => {
    const flows = new EventEmitter();
    const note = (text: string) => void channel.logged.push(text);
    const gateway = new Gateway({ log: { debug: note, info: note, warn: note, error: note }, flows });
    Object.assign(channel, { gateway });
    flows.emit("flows:started");
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    channel.onSend = () => pause(150);
    const before = channel.send("before", "c1");
    await pause(30);
    const release = gateway.configure("gw", sqlite());
    assert.equal((await before).messageId, "1");
    assert.equal((await gateway.store()).kind, "sqlite");
    const during = channel.send("during", "c1");
    await pause(30);
    await release();
    flows.emit("flows:started");
    assert.equal((await during).messageId, "2");
    await until(() => gateway.config.store === "memory");
    assert.equal((await gateway.store()).kind, "memory");
  });
});

describe("deploys: accounts", () => {
  let flows: EventEmitter;
  let channel: Scripted;
  let config = {};
  beforeEach(() => {
    flows = new EventEmitter();
    channel = new Scripted({ flows });
    config = {};
  });
  afterEach(() => channel.close());
  const started = () => flows.emit("flows:started", { config });
  const stopping = (deploy: boolean) => {
    if (deploy) config = {};
    flows.emit("flows:stopping", { config });
  };

  it("nothing connects and no event goes out before the flows run", async () => {
    const heard: string[] = [];
    channel.gateway.inbox.listen("acc", ({ text }) => heard.push(text));
    const account = channel.open();
    await pause(20);
    assert.equal(channel.connects, 0);
    started();
    await account.ready(Date.now() + 1000);
    await account.accept(messageEvent({ text: "now" }));
    await until(() => heard.length === 1);
  });

  it("a deploy that did not change an account keeps its connection, and what waits goes on", async () => {
    const first = channel.open();
    started();
    await first.ready(Date.now() + 1000);
    let answer = () => {};
    channel.onSend = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const sending = channel.send("in flight", "c1");
    const waiting = channel.send("behind it", "c1");
    await pause(20);
    stopping(true);
    const closed = channel.gateway.closeAccount(first);
    answer();
    await closed;
    assert.equal((await sending).messageId, "1");
    await pause(30);
    assert.equal(channel.sent.length, 1, "nothing new begins in the middle of a deploy");
    channel.onSend = () => undefined;
    const second = channel.open();
    started();
    assert.equal(second, first);
    assert.equal((await waiting).messageId, "2");
    assert.equal(channel.connects, 1);
  });

  it("a deploy that changed the account makes a new connection, one at a time", async () => {
    const first = channel.open();
    started();
    await first.ready(Date.now() + 1000);
    stopping(true);
    await channel.gateway.closeAccount(first);
    const second = channel.open({ credentials: { token: "another-token" } });
    started();
    await second.ready(Date.now() + 1000);
    await until(() => first.status.state === "closed");
    assert.notEqual(second, first);
    assert.equal(channel.connects, 2);
    await channel.send("hi");
  });

  it("an account that nobody took over in the deploy closes when it is over", async () => {
    const account = channel.open();
    started();
    await account.ready(Date.now() + 1000);
    stopping(true);
    await channel.gateway.closeAccount(account);
    assert.equal(account.status.state, "connected");
    started();
    await until(() => account.status.state === "closed");
  });

  it("the end of Node-RED is no deploy: the account closes at once", async () => {
    const account = channel.open();
    started();
    await account.ready(Date.now() + 1000);
    stopping(false);
    await channel.gateway.closeAccount(account);
    assert.equal(account.status.state, "closed");
  });

  it("two accounts of one bot: the second says so, and takes over when the first is gone", async () => {
    Object.assign(channel.definition, {
      identity: ({ credentials }: { credentials: { token?: string } }) => credentials.token,
    });
    const news: string[] = [];
    channel.gateway.onNews(({ event }) => news.push(event));
    const first = channel.open();
    const second = channel.open({ id: "acc2", name: "copy" });
    started();
    await until(() => second.status.state === "misconfigured");
    assert.match(JSON.stringify(second.status), /"test\\" uses this bot already/);
    assert.ok(news.includes("same-bot"));
    assert.equal(channel.connects, 1);
    await channel.gateway.closeAccount(first, true);
    await until(() => second.status.state === "connected");
  });

  it("an answer that cannot be written down when the account closes is no secret: its sender hears why", async () => {
    const account = channel.open();
    started();
    await account.ready(Date.now() + 1000);
    const store = await channel.gateway.store();
    const { commit } = store;
    store.commit = () => Promise.reject(new RedclawError("store-full", "The disk is full."));
    const sending = channel.send("hi", "c1", "k").catch(({ code }) => code);
    await pause(20);
    await channel.gateway.closeAccount(account);
    assert.equal(await sending, "store-full");
    store.commit = commit;
  });

  it("a connection that is lost or falls silent is made anew, without end", async () => {
    const account = channel.open();
    started();
    await account.ready(Date.now() + 1000);
    channel.ctx?.lost(new ChannelError("unreachable", "cut", { retryAfterMs: 10 }));
    await until(() => channel.connects === 2 && account.status.state === "connected");
    channel.ctx?.alive(10);
    await until(() => channel.connects === 3 && account.status.state === "connected");
    await channel.send("hi");
  });
});
