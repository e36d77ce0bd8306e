/** How Node-RED ends: stopped with work in flight, and crashed by a message, again and again. */
import assert from "node:assert/strict";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { deploy, linkPackage, type RunningNodeRed, startNodeRed } from "../../scripts/node-red";
import { TelegramServer } from "../platforms/telegram";

type Flow = Record<string, unknown>[];
/** Somebody's node with a fault. */
const FRAGILE = `module.exports = (RED) => RED.nodes.registerType("fragile", function (config) {
  RED.nodes.createNode(this, config);
  this.on("input", (msg, send, done) => {
    if (msg.payload.text === "boom" && config.boom === "abort") process.abort();
    if (msg.payload.text === "boom" && config.boom === "throw")
      setTimeout(() => { throw new Error("nobody catches this"); });
    send(msg);
    done();
  });
});`;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("the end of a Node-RED", function () {
  this.timeout(120_000);
  let server: TelegramServer;
  let userDir: string;
  let red: RunningNodeRed | undefined;
  beforeEach(async () => {
    server = await new TelegramServer().start();
    userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-end-"));
    linkPackage(userDir);
    fs.mkdirSync(path.join(userDir, "nodes"));
    fs.writeFileSync(path.join(userDir, "nodes/fragile.js"), FRAGILE);
    fs.writeFileSync(
      path.join(userDir, "nodes/fragile.html"),
      `<script>RED.nodes.registerType("fragile", { category: "test", defaults: { boom: { value: "" } }, inputs: 1, outputs: 1 })</script>`,
    );
  });
  afterEach(async () => {
    red?.child.kill("SIGKILL");
    await server.stop();
    fs.rmSync(userDir, { recursive: true, force: true });
  });

  /** telegram in -> a node that ends Node-RED at the word "boom" -> reply. */
  function flow(boom: "abort" | "throw" | "nothing"): Flow {
    const place = { z: "tab", x: 100, y: 100 };
    return [
      { id: "tab", type: "tab", label: "Test" },
      { id: "gw", type: "redclaw-gateway", store: "sqlite" },
      { id: "tg", type: "redclaw-telegram", name: "bot", apiRoot: server.url, limits: "{}" },
      { ...place, id: "in", type: "redclaw-telegram-in", account: "tg", wires: [["does"]] },
      { ...place, id: "does", type: "fragile", boom, wires: [["reply"]] },
      { ...place, id: "reply", type: "redclaw-reply", wires: [[]] },
    ];
  }
  const withToken = (nodes: Flow) =>
    nodes.map((node) => (node["id"] === "tg" ? { ...node, credentials: { token: server.token } } : node));
  async function start(nodes: Flow): Promise<RunningNodeRed> {
    red = await startNodeRed({ userDir, flows: nodes as never });
    return red;
  }
  const person = (id: number) => server.person(id, `P${id}`, `person_${id}`);
  const answers = () => server.sent.map(({ chat }) => chat.id).sort();
  async function until(holds: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!holds()) {
      assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(answers())}\n${red?.log()}`);
      await pause(50);
    }
  }
  const gone = async () => {
    const { child } = red as RunningNodeRed;
    if (child.exitCode === null && child.signalCode === null)
      await once(child, "exit", { signal: AbortSignal.timeout(15_000) });
  };

  it("a stop with answers in flight takes less than ten seconds, loses none, doubles none, holds none", async () => {
    const nodes = flow("nothing");
    await start(nodes);
    await deploy(red?.url as string, withToken(nodes) as never);
    await until(() => server.calls("getUpdates").length > 0, "polls");
    server.fail("sendMessage", { kind: "slow", ms: 700 }, 40);
    const people = Array.from({ length: 40 }, (_, index) => 6000 + index);
    for (const id of people) server.say("hello", { from: person(id) });
    await until(() => server.calls("sendMessage").length >= 8, "in flight");
    const began = Date.now();
    await red?.stop();
    assert.ok(Date.now() - began < 10_000, `${Date.now() - began} ms`);
    server.heal();
    await start(nodes);
    await until(() => server.sent.length >= people.length, "answered");
    await pause(500);
    assert.deepEqual(answers(), people);
    assert.doesNotMatch(red?.log() ?? "", /may not have been delivered/);
  });

  it("a message that aborts Node-RED is kept out after its fourth try; all others are answered once", async () => {
    const code = flow("abort");
    red = await start(code);
    await deploy(red.url, withToken(code) as never);
    server.say("boom", { from: person(6666) });
    let died = 0;
    for (let run = 0; run < 8; run += 1) {
      server.say("hello", { from: person(7000 + run) });
      await Promise.race([gone(), pause(4000)]);
      if (red.child.exitCode === null && red.child.signalCode === null) break;
      died += 1;
      red = await start(code);
    }
    assert.equal(died, 4, red.log());
    await until(() => server.sent.length >= died + 1, "the others");
    await pause(300);
    assert.deepEqual(
      answers(),
      Array.from({ length: died + 1 }, (_, run) => 7000 + run),
    );
    const ledger = await fetch(`${red.url}/redclaw/api/ledger?state=quarantined`);
    const { total, items } = (await ledger.json()) as { total: number; items: { conversation: string }[] };
    assert.equal(total, 1);
    assert.equal(items[0]?.conversation, "6666");
    assert.match(red.log(), /crashed 4 times while this message was in the flow/);
  });

  it("three crashes by an error in five minutes: the channels stay down, the editor stays up, a deploy goes on", async () => {
    const bad = flow("throw");
    const good = flow("nothing");
    await start(bad);
    await deploy(red?.url as string, withToken(bad) as never);
    server.say("boom", { from: person(6666) });
    for (let run = 0; run < 3; run += 1) {
      await gone();
      await start(bad);
    }
    await pause(1500);
    const calls = server.journal.length;
    await pause(1000);
    assert.equal(server.journal.length, calls, "no call to Telegram");
    assert.match(red?.log() ?? "", /crashed 3 times within five minutes/);
    const accounts = await fetch(`${red?.url}/redclaw/api/accounts`);
    assert.match(await accounts.text(), /Kept down after crashes/);
    await deploy(red?.url as string, withToken(good) as never);
    await until(() => server.sent.length === 1, "answered at last");
    assert.deepEqual(answers(), [6666]);
  });
});
