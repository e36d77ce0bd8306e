/** The chat page after a crash: one gateway after the other on the same database, each dies after some commit. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { Gateway } from "../../../lib/gateway";
import type { Write } from "../../../lib/store/store";
import web from "../../../nodes/channels/web/channel";
import { TestVisitor, until } from "../../platforms/web";

const PLACE = "/redclaw/web/acc/";
/** A message and its answer take fewer commits. */
const COMMITS = 6;

interface Life {
  gateway: Gateway;
  logged: string[];
  /** Commits that were done, from the one with the message on. */
  commits: number;
  dead: boolean;
}

const isEvent = (write: Write) => "insert" in write && write.insert.space === "event";

describe("web: after a crash", () => {
  let folder: string;
  let server: Server;
  let now: Life | undefined;
  let visitor: TestVisitor;
  const lives: Life[] = [];

  beforeEach(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-web-crashes-"));
    server = createServer((request, response) => {
      const client = now?.dead ? undefined : now?.gateway.accounts.get("acc")?.client;
      if (client) void client.handle?.(request, response, (request.url ?? "").slice(PLACE.length - 1));
      else response.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    visitor = new TestVisitor(`http://127.0.0.1:${(server.address() as AddressInfo).port}${PLACE}`);
  });
  afterEach(async () => {
    visitor.leave();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await Promise.all(
      lives.splice(0).map(async ({ gateway }) => {
        for (const account of [...gateway.accounts.values()]) await gateway.closeAccount(account);
        await gateway.close();
      }),
    );
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /**
   * The next life, which answers every message; the one before is dead. It dies after so many commits, counted from
   * the one with the message on.
   */
  async function live(commits = Number.POSITIVE_INFINITY): Promise<Life> {
    if (now) now.dead = true;
    const logged: string[] = [];
    const note = (text: string) => void logged.push(text);
    const log = { debug: note, info: note, warn: note, error: note };
    const gateway = new Gateway({ log });
    const life: Life = { gateway, logged, commits: 0, dead: false };
    lives.push(life);
    now = life;
    gateway.configure("gw", { store: "sqlite", path: path.join(folder, "g.db"), maxReplyAge: 600_000 });
    gateway.inbox.listen("acc", (event, { eventId }) => {
      const to = { conversation: event.conversation.id };
      const response = { text: `re ${event.text}` };
      gateway.send({ key: `${eventId}/n/0`, account: "acc", to, response, eventId }).catch(() => undefined);
    });
    const settings = { id: "acc", name: "page", credentials: {}, options: {}, limits: {} };
    const account = gateway.openAccount(web, settings, log);
    account.start();
    await account.ready(Date.now() + 5000);
    const store = await gateway.store();
    const commit = store.commit.bind(store);
    store.commit = async (writes) => {
      const counts = life.commits > 0 || writes.some(isEvent);
      if (counts && !life.dead && life.commits >= commits) {
        life.dead = true;
        server.closeAllConnections();
      }
      if (life.dead) return new Promise(() => undefined);
      if (counts) life.commits += 1;
      const changed = await commit(writes);
      return life.dead ? new Promise(() => undefined) : changed;
    };
    return life;
  }

  /** As the page does it: the same message until it is taken. */
  async function say(text: string, nonce: string): Promise<boolean> {
    return visitor.say(text, nonce).then(
      ({ status }) => status === 202,
      () => false,
    );
  }

  async function shown(): Promise<string[]> {
    const stream = await visitor.listen();
    stream.stop();
    return stream.messages.map(({ text, deleted }) => (deleted ? "(deleted)" : text));
  }

  for (let commits = 0; commits <= COMMITS; commits += 1) {
    it(`a message is shown once and answered once, also when Node-RED dies after ${commits} commits`, async () => {
      const first = await live(commits);
      await visitor.listen();
      const taken = await say("hello", "nonce-of-hello");
      await until(() => first.dead || first.gateway.outbox.counts("acc").waiting === 0);
      // Whatever it still does when it does not die.
      await new Promise((resolve) => setTimeout(resolve, 60));
      const second = await live();
      if (!taken) assert.ok(await say("hello", "nonce-of-hello"));
      let messages: string[] = [];
      for (let tries = 0; tries < 100 && !messages.includes("re hello"); tries += 1) {
        messages = await shown();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.deepEqual(messages, ["hello", "re hello"], second.logged.join("\n"));
      // A page that never heard of it posts it again.
      assert.ok(await say("hello", "nonce-of-hello"));
      await new Promise((resolve) => setTimeout(resolve, 60));
      assert.deepEqual(await shown(), ["hello", "re hello"]);
      const store = await second.gateway.store();
      assert.equal(await store.count({ space: "response", state: ["failed", "unknown"] }), 0);
      await live();
      assert.deepEqual(await shown(), ["hello", "re hello"]);
    });
  }

  it("a visitor whose page is closed gets the answer to a message from before the crash", async () => {
    const first = await live(1);
    const stream = await visitor.listen();
    await say("hello", "nonce-of-hello");
    stream.stop();
    await until(() => first.dead);
    const { gateway } = await live();
    const store = await gateway.store();
    while ((await store.count({ space: "response", state: "sent" })) === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(await shown(), ["hello", "re hello"]);
  });

  it("a message that was not stored before the crash is not taken for a duplicate after it", async () => {
    const first = await live();
    await visitor.listen();
    const { gateway } = first;
    const store = await gateway.store();
    const { commit } = store;
    // The message hangs; meanwhile an answer to the same visitor is stored.
    store.commit = (writes) => (writes.some(isEvent) ? new Promise(() => undefined) : commit(writes));
    const stream = await visitor.listen();
    void say("lost?", "nonce-of-lost");
    await until(() => stream.messages.some(({ text }) => text === "lost?"));
    const to = { conversation: stream.heard[0]?.data.visitor };
    await gateway.send({ key: "k", account: "acc", to, response: { text: "by the way" } });
    server.closeAllConnections();
    const second = await live();
    assert.deepEqual(await shown(), ["by the way"]);
    assert.ok(await say("lost?", "nonce-of-lost"));
    await until(() => second.gateway.inbox.accepted === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(await shown(), ["by the way", "lost?", "re lost?"]);
  });
});
