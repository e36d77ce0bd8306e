/** The `ai` and `model` nodes in Node-RED's test helper. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import helper from "node-red-node-test-helper";
import type { MessageEvent } from "../../lib/message/types";
import aiNode from "../../nodes/ai";
import { gatewayOf } from "../../nodes/gateway/runtime";
import modelNode from "../../nodes/model";
import type { FlowMessage, NodeRed, RedNode } from "../../nodes/red";
import { OpenAIServer } from "../platforms/openai";
import { chat, conversation, sender } from "./chat";

/** Node-RED's own Catch: the helper brings none. */
const catchNode = createRequire(require.resolve("node-red"))("@node-red/nodes/core/common/25-catch.js");

helper.init(require.resolve("node-red"));

const KEY = "sk-very-secret-0123456789";

type TestNode = RedNode & {
  receive(message: FlowMessage): void;
  status: { args: [{ fill?: string; text?: string }][] };
};

const event: MessageEvent = {
  v: 1,
  id: "web:a:1",
  kind: "message",
  channel: "web",
  account: "a",
  conversation,
  sender,
  text: "hello",
  mentionsMe: true,
  attachments: [],
  timestamp: "2026-05-04T10:00:00.000Z",
  trusted: false,
};

describe("ai node", () => {
  let server: OpenAIServer;
  let red: NodeRed;
  let outputs: Record<"answer" | "failed" | "caught", FlowMessage[]>;

  before(() => helper.startServer());
  after(() => helper.stopServer());
  beforeEach(async () => {
    server = await new OpenAIServer().start();
  });
  afterEach(async () => {
    await helper.unload();
    await server.stop();
  });

  async function load(ai: object = {}, model: object = {}): Promise<TestNode> {
    const flow = [
      { id: "tab", type: "tab", label: "Test" },
      {
        id: "m",
        type: "redclaw-model",
        provider: "custom",
        baseUrl: server.url,
        model: "test-model",
        timeout: "2",
        ...model,
      },
      {
        id: "ai",
        z: "tab",
        type: "redclaw-ai",
        model: "m",
        memory: "20",
        wires: [["answer"], ["failed"]],
        ...ai,
      },
      { id: "answer", z: "tab", type: "helper" },
      { id: "failed", z: "tab", type: "helper" },
      { id: "catch", z: "tab", type: "catch", scope: null, wires: [["caught"]] },
      { id: "caught", z: "tab", type: "helper" },
    ];
    const remember = (RED: NodeRed) => {
      red = RED;
    };
    // Without a place on the canvas, Node-RED takes a node for a config node.
    const placed = flow.map((node) => ("z" in node ? { ...node, x: 1, y: 1 } : node));
    await helper.load([remember, catchNode, modelNode, aiNode], placed, { m: { apiKey: KEY } });
    outputs = { answer: [], failed: [], caught: [] };
    for (const name of ["answer", "failed", "caught"] as const) {
      (helper.getNode(name) as TestNode).on("input", (message) => outputs[name].push(message));
    }
    return helper.getNode("ai") as TestNode;
  }

  async function next(output: keyof typeof outputs, count = 1): Promise<FlowMessage> {
    const until = Date.now() + 5000;
    while (outputs[output].length < count && Date.now() < until) await sleep(5);
    assert.equal(outputs[output].length, count, `messages at ${output}: ${JSON.stringify(outputs)}`);
    return outputs[output].at(-1) as FlowMessage;
  }

  const caughtMessage = () => (outputs.caught[0] as { error: { message: string } }).error.message;
  const statuses = (node: TestNode) => node.status.args.map(([status]) => status.text).filter(Boolean);

  it("answers an event with a Response, and tells what it took", async () => {
    const node = await load({ instructions: "You talk to {{sender.name}}." });
    node.receive({ payload: event, chat, topic: "t" });
    const message = await next("answer");
    assert.deepEqual(message.payload, { v: 1, text: "echo: hello" });
    assert.deepEqual(message["event"], event);
    assert.deepEqual(message["chat"], chat);
    const { durationMs, ...ai } = message["ai"] as Record<string, unknown>;
    assert.deepEqual(ai, {
      model: "test-model",
      provider: "custom",
      usage: { inputTokens: 11, outputTokens: 7 },
    });
    assert(typeof durationMs === "number");
    assert.deepEqual(server.chats[0]?.body.messages?.[0], { role: "system", content: "You talk to Ann." });
    assert.equal(server.chats[0]?.headers.authorization, `Bearer ${KEY}`);
    await sleep(250);
    assert.deepEqual(statuses(node), ["thinking…", "test-model"]);
  });

  it("works without a chat, by topic, and remembers each by itself", async () => {
    const node = await load();
    node.receive({ payload: "a1", topic: "a" });
    node.receive({ payload: "b1", topic: "b" });
    node.receive({ payload: "a2", topic: "a" });
    await next("answer", 3);
    const last = server.chats.find((asked) => asked.body.messages?.at(-1)?.content === "a2");
    assert.deepEqual(
      last?.body.messages?.map((message) => message.content),
      ["a1", "echo: a1", "a2"],
    );
  });

  it("answers without a model node and without network: the demo model", async () => {
    const before = { key: process.env["OPENAI_API_KEY"], host: process.env["OLLAMA_HOST"] };
    delete process.env["OPENAI_API_KEY"];
    process.env["OLLAMA_HOST"] = "127.0.0.1:9";
    try {
      const node = await load({ model: "" });
      const start = Date.now();
      node.receive({ payload: "hello" });
      const { payload, ai } = await next("answer");
      assert.match((payload as { text: string }).text, /demo model, not a real AI/);
      assert.equal((ai as { provider: string }).provider, "demo");
      assert(Date.now() - start < 1000);
      await sleep(250);
      assert.equal(statuses(node).at(-1), "demo model");
    } finally {
      if (before.key !== undefined) process.env["OPENAI_API_KEY"] = before.key;
      if (before.host === undefined) delete process.env["OLLAMA_HOST"];
      else process.env["OLLAMA_HOST"] = before.host;
    }
  });

  it("sends failures to the second output with one polite sentence, to Catch with the reason, and shows it red", async () => {
    const node = await load();
    server.key = "another";
    node.receive({ payload: event, chat });
    const failed = await next("failed");
    assert.match((failed.payload as { text: string }).text, /^Sorry/);
    assert.equal((failed["error"] as { code: string }).code, "model-key-refused");
    assert.deepEqual(failed["chat"], chat);
    const caught = await next("caught");
    assert.match((caught["error"] as { message: string }).message, /refused this key/);
    assert.deepEqual(caught.payload, event);
    assert(!JSON.stringify([failed, caught]).includes(KEY));
    await sleep(250);
    assert.equal(statuses(node).at(-1), "model: key refused");
    assert.equal(outputs.answer.length, 0);
  });

  it("says what the owner wants said when it fails", async () => {
    const node = await load({ sorry: "Bitte rufen Sie an." });
    server.script({ status: 400 });
    node.receive({ payload: "hi" });
    assert.deepEqual((await next("failed")).payload, { v: 1, text: "Bitte rufen Sie an." });
  });

  it("passes a reaction to the second output with the reason, and is no error", async () => {
    const node = await load();
    const settled: string[] = [];
    const { inbox } = gatewayOf(red);
    inbox.settle = (id, how) => void settled.push(`${id} ${how}`);
    node.receive({ payload: { ...event, kind: "reaction", text: "" }, chat });
    const message = await next("failed");
    assert.deepEqual(message["ai"], { declined: true, reason: "A reaction is not a question." });
    assert.equal((message.payload as MessageEvent).kind, "reaction");
    assert.deepEqual(settled, ["web:a:1 let-go"]);
    await sleep(20);
    assert.equal(outputs.caught.length, 0);
    assert.equal(server.chats.length, 0);
  });

  it("says plainly when there is no text, and when its model was deleted", async () => {
    const node = await load();
    node.receive({ payload: {} });
    await next("caught");
    assert.match(caughtMessage(), /There is no text to answer/);
    await helper.unload();
    const orphan = await load({ model: "gone" });
    orphan.receive({ payload: "hi" });
    await next("caught");
    assert.match(caughtMessage(), /model of this node is not there any more/);
  });

  it("keeps the order of a chat, answers chats side by side, and counts in its status", async () => {
    const node = await load();
    server.otherwise((asked) => ({ text: `re ${asked.body.messages?.at(-1)?.content}`, delayMs: 250 }));
    const start = Date.now();
    for (const text of ["1", "2", "3"]) node.receive({ payload: text, chat });
    node.receive({ payload: "other", topic: "elsewhere" });
    await next("answer", 4);
    assert(Date.now() - start < 950, "chats waited for each other");
    const texts = outputs.answer.map((message) => (message.payload as { text: string }).text);
    assert.deepEqual(
      texts.filter((text) => text !== "re other"),
      ["re 1", "re 2", "re 3"],
    );
    await sleep(250);
    assert(statuses(node).includes("2 thinking, 2 waiting"), statuses(node).join(" | "));
  });

  it("shows typing while it thinks and keeps the event's lease; a quick answer shows none", async () => {
    const node = await load();
    const gateway = gatewayOf(red);
    const calls: string[] = [];
    gateway.typing = async ({ eventId }) => {
      calls.push(`typing ${eventId}`);
      throw new Error("not possible here");
    };
    gateway.holdEvent = (eventId) => void calls.push(`hold ${eventId}`);
    node.receive({ payload: "quick", chat });
    await next("answer");
    assert.deepEqual(calls, []);
    server.script({ text: "slow", delayMs: 500 });
    node.receive({ payload: "slow", chat });
    await next("answer", 2);
    assert.deepEqual(calls, ["hold web:a:1", "typing web:a:1"]);
  });

  it("closes at once while it thinks: nothing is sent, nothing is remembered, nothing is left open", async () => {
    const node = await load();
    server.script({ stall: "headers" });
    node.receive({ payload: "one", chat });
    node.receive({ payload: "two", chat });
    while (server.chats.length === 0) await sleep(5);
    const start = Date.now();
    await helper.unload();
    assert(Date.now() - start < 1000);
    await sleep(50);
    assert.equal(server.chats.length, 1);
    assert.deepEqual([...outputs.answer, ...outputs.failed, ...outputs.caught], []);
  });
});
