import assert from "node:assert/strict";
import type { ChatContext, MessageEvent } from "../../lib/message/types";
import { messageEvent, Scripted, until } from "./scripted";

describe("inbox", () => {
  let channel: Scripted;
  const seen: { event: MessageEvent; chat: ChatContext }[] = [];
  beforeEach(() => {
    channel = new Scripted();
    seen.length = 0;
    channel.gateway.inbox.listen("acc", (event, chat) => seen.push({ event, chat }));
  });
  afterEach(() => channel.close());

  it("emits an event once, however often it is delivered", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const event = messageEvent();
    await Promise.all([account.accept(event), account.accept(event)]);
    await account.accept(event);
    await until(() => seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(seen.length, 1);
    assert.equal(channel.gateway.inbox.duplicates, 2);
  });

  it("gives all that a reply needs as plain data", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await account.accept(messageEvent());
    await until(() => seen.length === 1);
    const chat = seen[0]?.chat as ChatContext;
    assert.deepEqual(structuredClone(chat), chat);
    assert.equal(chat.account, "acc");
    assert.equal(chat.can.text.max, 50);
  });

  it("stores what the platform must be told in the same commit as the events", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const store = await channel.gateway.store();
    const commits: number[] = [];
    const commit = store.commit.bind(store);
    store.commit = (writes) => {
      commits.push(writes.length);
      return commit(writes);
    };
    await account.accept(messageEvent(), { offset: 42 });
    assert.equal((await store.get("account:acc", "offset"))?.body, 42);
    assert.ok(commits.some((writes) => writes >= 2));
  });

  it("does not acknowledge and does not emit when the store cannot write", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const store = await channel.gateway.store();
    const commit = store.commit;
    store.commit = () => Promise.reject(new Error("disk full"));
    await assert.rejects(account.accept(messageEvent({ id: "scripted:acc:1" })), /disk full/);
    assert.equal(seen.length, 0);
    store.commit = commit;
    await account.accept(messageEvent({ id: "scripted:acc:1" }));
    await until(() => seen.length === 1);
  });

  it("leaves out an event that is not well formed, and takes the ones around it", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const bad = { ...messageEvent(), text: 7 } as unknown as MessageEvent;
    for (const update of [messageEvent({ text: "a" }), bad, messageEvent({ text: "b" })])
      await account.accept(update);
    await until(() => seen.length === 2);
    assert.deepEqual(
      seen.map(({ event }) => event.text),
      ["a", "b"],
    );
    assert.ok(channel.logged.some((line) => line.includes("left out")));
  });

  it("settles an event when its answer has a receipt, and wipes the body", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const event = messageEvent({ text: "private words" });
    await account.accept(event);
    await channel.gateway.send({
      key: "k",
      account: "acc",
      to: { conversation: "c1" },
      response: { text: "answer" },
      eventId: event.id,
    });
    const store = await channel.gateway.store();
    let row = await store.get("event", event.id);
    for (let tries = 0; row?.state !== "settled" && tries < 50; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      row = await store.get("event", event.id);
    }
    assert.equal(row?.state, "settled");
    assert.ok(!JSON.stringify(row).includes("private words"));
  });

  it("lets an event go when nobody answers within its lease, and not while it is held", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const event = messageEvent();
    await account.accept(event);
    const { inbox } = channel.gateway;
    const store = await channel.gateway.store();
    await until(() => seen.length === 1);
    inbox.expireLeases(performance.now() + 60_000);
    assert.notEqual((await store.get("event", event.id))?.state, "settled");
    inbox.expireLeases(performance.now() + 6 * 60_000);
    await until(() => true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal((await store.get("event", event.id))?.state, "settled");
  });

  it("what comes in while a deploy has no in-node listening goes out when the account is open again", async () => {
    const alone = new Scripted();
    const account = alone.open();
    await account.ready(Date.now() + 1000);
    await account.accept(messageEvent({ text: "in between" }));
    await alone.gateway.closeAccount(account);
    const heard: string[] = [];
    alone.gateway.inbox.listen("acc", (event) => heard.push(event.text));
    alone.open();
    await until(() => heard.length === 1);
    assert.deepEqual(heard, ["in between"]);
    await alone.close();
  });

  it("what is being written down when a deploy begins goes out after it, once and in order", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const { inbox, ledger } = channel.gateway;
    await account.accept(messageEvent({ text: "0" }));
    await until(() => seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    inbox.settle(seen[0]?.event.id ?? "", "answered");
    const commit = ledger.commit.bind(ledger);
    ledger.commit = async (writes) => {
      const changed = await commit(writes);
      if (!JSON.stringify(writes).includes('"accepted"')) return changed;
      ledger.commit = commit;
      inbox.pause();
      inbox.giveBackRecent();
      return changed;
    };
    await account.accept(messageEvent({ text: "1" }));
    await account.accept(messageEvent({ text: "2" }));
    assert.equal(seen.length, 1);
    inbox.go();
    await until(() => seen.length === 3);
    assert.deepEqual(
      seen.slice(1).map(({ event }) => [event.text, event.redelivered]),
      [
        ["1", undefined],
        ["2", undefined],
      ],
    );
  });

  it("remembers the chats, the newest first, by name or id", async () => {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await account.accept(messageEvent({ conversation: { id: "c1", kind: "direct" } }));
    await new Promise((resolve) => setTimeout(resolve, 3));
    await account.accept(messageEvent({ conversation: { id: "g9", kind: "group", name: "Kitchen" } }));
    const names = (await channel.gateway.targets("acc", "")).map(({ name }) => name);
    assert.deepEqual(names, ["Kitchen", "Ann"]);
    assert.equal((await channel.gateway.targets("acc", "kitch")).length, 1);
  });
});

describe("inbox: events that a flow did not finish", () => {
  async function opened(channel: Scripted) {
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    const heard: MessageEvent[] = [];
    channel.gateway.inbox.listen("acc", (event) => heard.push(structuredClone(event)));
    return { account, heard };
  }

  it("go out again after each deploy that stopped them, which is no fault of theirs", async () => {
    const channel = new Scripted();
    const { account, heard } = await opened(channel);
    const event = messageEvent();
    await account.accept(event);
    await until(() => heard.length === 1);
    for (let deploys = 1; deploys <= 5; deploys += 1) {
      channel.gateway.inbox.giveBack(event.id);
      await until(() => heard.length === deploys + 1);
      await channel.gateway.connected(account);
    }
    assert.deepEqual(
      heard.map(({ redelivered }) => redelivered),
      [undefined, 1, 2, 3, 4, 5],
    );
    assert.equal((await (await channel.gateway.store()).get("event", event.id))?.state, "emitted");
    await channel.close();
  });

  it("go out again when the account closed while they were between two nodes", async () => {
    const channel = new Scripted();
    const { account, heard } = await opened(channel);
    await account.accept(messageEvent());
    await until(() => heard.length === 1);
    await channel.gateway.closeAccount(account);
    channel.open();
    await until(() => heard.length === 2);
    assert.equal(heard[1]?.redelivered, 1);
    await channel.close();
  });

  it("stay where they are when they went out long before the account closed, or were answered", async () => {
    const channel = new Scripted();
    const { account, heard } = await opened(channel);
    const answered = messageEvent();
    await account.accept(messageEvent({ text: "old" }));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await account.accept(answered);
    channel.gateway.inbox.settle(answered.id, "answered");
    await channel.gateway.closeAccount(account);
    await channel.open().ready(Date.now() + 1000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(heard.length, 2);
    await channel.close();
  });
});
