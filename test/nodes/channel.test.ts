import assert from "node:assert/strict";
import { ChannelError } from "../../lib/errors";
import { parseDestination } from "../../nodes/channels/out";
import type { FlowMessage } from "../../nodes/red";
import { messageEvent, until } from "../delivery/scripted";
import { helper, loadFlow, nextInput } from "./flow";

const account = { id: "acc", type: "redclaw-scripted", name: "test", z: "" };
const inNode = { id: "in", type: "redclaw-scripted-in", account: "acc", wires: [["seen"]] };
const out = {
  id: "out",
  type: "redclaw-scripted-out",
  account: "acc",
  to: "",
  toType: "chat",
  wires: [["seen"]],
};
const reply = { id: "reply", type: "redclaw-reply", wires: [["seen"]] };
const caught = { id: "caught", type: "catch", scope: null, wires: [["errors"]] };
const seen = { id: "seen", type: "helper" };
const errors = { id: "errors", type: "helper" };

interface CaughtError {
  error: { message: string; code?: string; source?: { id: string } };
}

describe("channel nodes and reply", () => {
  before(() => helper.startServer());
  after(() => helper.stopServer());
  afterEach(async () => {
    await helper.unload();
  });

  it("an event comes out as payload, chat and topic, all plain data", async () => {
    const { channel, node } = await loadFlow([account, inNode, seen]);
    await until(() => channel.ctx !== undefined);
    const arriving = nextInput(node("seen"));
    await until(() => channel.connects === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await channel.ctx?.accept(messageEvent({ id: "scripted:acc:7" }));
    const { payload, chat, topic } = await arriving;
    assert.equal((payload as { id: string }).id, "scripted:acc:7");
    assert.equal((chat as { eventId: string }).eventId, "scripted:acc:7");
    assert.equal(topic, "scripted:acc:c1");
    assert.deepEqual(JSON.parse(JSON.stringify(payload)), payload);
  });

  it("lets only the chosen kinds and conversations through", async () => {
    const chosen = { ...inNode, kinds: ["message"], conversations: "c1\nc2" };
    const { channel, node, gateway } = await loadFlow([account, chosen, seen]);
    const texts: unknown[] = [];
    node("seen").on("input", (message: FlowMessage) =>
      texts.push((message.payload as { text: string }).text),
    );
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    await channel.ctx?.accept(messageEvent({ text: "passes" }));
    await channel.ctx?.accept(messageEvent({ text: "other kind", kind: "join" }));
    await channel.ctx?.accept(
      messageEvent({ text: "other chat", conversation: { id: "c3", kind: "group" } }),
    );
    await channel.ctx?.accept(
      messageEvent({ text: "passes too", conversation: { id: "c2", kind: "group" } }),
    );
    await until(() => texts.length === 2);
    assert.deepEqual(texts, ["passes", "passes too"]);
  });

  it("in -> reply answers in the same conversation and settles the event", async () => {
    const { channel, gateway } = await loadFlow([account, { ...inNode, wires: [["reply"]] }, reply, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    await channel.ctx?.accept(messageEvent({ text: "echo me" }));
    await until(() => channel.sent.length === 1);
    assert.deepEqual(channel.texts(), ["echo me"]);
    assert.equal(channel.sent[0]?.to.conversation, "c1");
  });

  for (const [what, payload, text] of [
    ["a string", "hello", "hello"],
    ["a number", 21.5, "21.5"],
    ["a boolean", false, "false"],
    ["a Response", { text: "from a Response" }, "from a Response"],
    ["an answer of the ai node", { v: 1, text: "from the ai" }, "from the ai"],
  ] as const) {
    it(`reply sends ${what}`, async () => {
      const { channel, gateway, node } = await loadFlow([account, inNode, reply, seen]);
      await until(() => gateway.accounts.get("acc")?.client !== undefined);
      let message: FlowMessage = {};
      node("seen").on("input", (arrived: FlowMessage) => {
        message = arrived;
      });
      await channel.ctx?.accept(messageEvent());
      await until(() => message.payload !== undefined);
      node("reply").receive({ ...message, payload });
      await until(() => channel.sent.length === 1);
      assert.deepEqual(channel.texts(), [text]);
    });
  }

  it("reply without msg.chat says so in plain words, to Catch", async () => {
    const { node } = await loadFlow([account, inNode, reply, caught, errors, seen]);
    const arriving = nextInput(node("errors"));
    node("reply").receive({ payload: "hello" });
    const { error } = (await arriving) as unknown as CaughtError;
    assert.equal(error.code, "no-chat");
    assert.ok(!/RedclawError/.test(error.message), "the name of a class is nothing for people");
    assert.match(error.message, /There is no msg\.chat/);
    assert.equal(error.source?.id, "reply");
  });

  it("a Response with nothing in it is refused with an example", async () => {
    const { channel, gateway, node } = await loadFlow([account, inNode, out, caught, errors, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    const arriving = nextInput(node("errors"));
    node("out").receive({ payload: {}, to: "c1" });
    const { error } = (await arriving) as unknown as CaughtError;
    assert.equal(error.code, "no-text");
    assert.equal(channel.sent.length, 0);
  });

  it("out takes msg.to when no chat is chosen, and gives the receipt on", async () => {
    const { channel, gateway, node } = await loadFlow([account, out, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    const arriving = nextInput(node("seen"));
    node("out").receive({ payload: "hi", to: 42 });
    const { payload } = await arriving;
    assert.equal((payload as { messageId: string }).messageId, "1");
    assert.equal(channel.sent[0]?.to.conversation, "42");
  });

  it("out without any chat says what to do", async () => {
    const { node } = await loadFlow([account, out, caught, errors, seen]);
    const arriving = nextInput(node("errors"));
    node("out").receive({ payload: "hi" });
    const { error } = (await arriving) as unknown as CaughtError;
    assert.equal(error.code, "no-destination");
    assert.match(error.message, /msg\.to/);
  });

  it("nodes of a deleted account show it, say it, and do not stop the flow", async () => {
    const { node, statuses } = await loadFlow([
      { ...inNode, account: "gone" },
      { ...out, account: "gone" },
      caught,
      errors,
      seen,
    ]);
    assert.deepEqual(statuses("in").at(-1), { fill: "red", shape: "ring", text: "account is missing" });
    const arriving = nextInput(node("errors"));
    node("out").receive({ payload: "hi", to: "c1" });
    const { error } = (await arriving) as unknown as CaughtError;
    assert.equal(error.code, "account-missing");
  });

  it("an account without its token does not connect and says what to paste", async () => {
    const { channel, statuses } = await loadFlow([account, inNode, seen], {});
    await until(() => /has no token yet/.test(statuses("in").at(-1)?.text ?? ""));
    assert.equal(channel.connects, 0);
  });

  it("a second gateway is refused with a sentence", async () => {
    const first = { id: "g1", type: "redclaw-gateway", store: "memory", z: "" };
    const { statuses } = await loadFlow([first, { ...first, id: "g2" }, seen]);
    const shown = [...statuses("g1"), ...statuses("g2")].map(({ text }) => text).join();
    assert.match(shown, /a second gateway/);
  });

  it("shows at a glance how the account is", async () => {
    const { channel, gateway, statuses } = await loadFlow([account, inNode, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    channel.ctx?.status({ state: "connected", identity: "@mybot" });
    assert.deepEqual(statuses("in").at(-1), { fill: "green", shape: "dot", text: "@mybot" });
    channel.ctx?.status({ state: "reconnecting", inMs: 8000, reason: "ETIMEDOUT" });
    assert.equal(statuses("in").at(-1)?.text, "reconnecting in 8 s (ETIMEDOUT)");
    channel.ctx?.status({ state: "conflict", reason: "409" });
    assert.equal(statuses("in").at(-1)?.text, "another copy of this bot is running");
    channel.ctx?.status({ state: "refused", reason: "401" });
    assert.equal(statuses("in").at(-1)?.text, "token refused");
  });

  it("shows for how long the platform asks to wait, and how many messages do", async () => {
    const { channel, gateway, node, statuses } = await loadFlow([account, inNode, out, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    channel.onSend = () => {
      channel.onSend = () => undefined;
      throw new ChannelError("rate", "Too fast.", { retryAfterMs: 700 });
    };
    node("out").receive({ payload: "one", to: "c1" });
    node("out").receive({ payload: "two", to: "c1" });
    await until(() => channel.sent.length === 2);
    const shown = [...statuses("out"), ...statuses("in")].map(({ text }) => text);
    assert.ok(shown.includes("2 waiting (slow down: 1 s)"), shown.join(" | "));
    await until(() => statuses("out").at(-1)?.text === "test, 2 sent");
  });

  it("a held answer shows on both boxes, and Catch hears of it once", async () => {
    const { channel, node, gateway, statuses } = await loadFlow([
      account,
      { ...inNode, wires: [["reply"]] },
      reply,
      caught,
      errors,
      seen,
    ]);
    const codes: unknown[] = [];
    node("errors").on("input", (message: FlowMessage) =>
      codes.push((message["error"] as { code?: string }).code),
    );
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    channel.onSend = () => {
      throw new ChannelError("interrupted", "cut off");
    };
    await channel.ctx?.accept(messageEvent());
    await until(
      () => statuses("in").at(-1)?.text === "1 held" && statuses("reply").at(-1)?.text === "1 held",
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(codes, ["held"]);
  });

  it("an answer of an earlier run that cannot be delivered reaches the Catch node of its reply", async () => {
    const { channel, node, gateway } = await loadFlow([account, inNode, reply, caught, errors, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    const running = gateway.accounts.get("acc");
    assert.ok(running);
    channel.onSend = () => {
      throw new ChannelError("gone", "The bot was blocked.");
    };
    const { ledger } = gateway;
    const marks = { to: { conversation: "c1" }, done: 0, ids: [], node: "reply" };
    const row = ledger.intend("k", "acc", { text: "hi" }, marks, "intended", ledger.clock.now());
    await ledger.commit([{ insert: row }]);
    const arriving = nextInput(node("errors"));
    await gateway.outbox.resume(running);
    const { error, payload } = (await arriving) as unknown as CaughtError & { payload: { id: string } };
    assert.match(error.message, /blocked/);
    assert.equal(payload.id, "k");
  });

  it("an answer that a deploy catches while it waits is no error: it goes out after the deploy", async () => {
    const { channel, gateway, node } = await loadFlow([account, out, caught, errors, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    channel.onSend = () => {
      throw new ChannelError("unreachable", "refused", { retryAfterMs: 60_000 });
    };
    const failed: unknown[] = [];
    node("errors").on("input", (message: FlowMessage) => failed.push(message));
    node("out").receive({ payload: "waits", to: "c1" });
    await until(() => gateway.outbox.counts("acc").waiting === 1);
    const open = gateway.accounts.get("acc");
    assert.ok(open);
    await gateway.closeAccount(open);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(failed, []);
  });

  it("reads a chat in every way a flow may write it", () => {
    const cases: [unknown, unknown][] = [
      ["123", { conversation: "123" }],
      ["-100|7", { conversation: "-100", thread: "7" }],
      [-1001234567890, { conversation: "-1001234567890" }],
      [
        { conversation: "a", thread: 5 },
        { conversation: "a", thread: "5" },
      ],
      [{ id: "a" }, { conversation: "a" }],
      [{ conversation: { id: "a", thread: "t" } }, { conversation: "a", thread: "t" }],
      ["  ", undefined],
      [null, undefined],
      [Number.NaN, undefined],
      [{}, undefined],
      [[], undefined],
    ];
    for (const [value, expected] of cases) assert.deepEqual(parseDestination(value), expected);
  });
});
