/** Nodes that stay while others are deployed, and a second run of one event. */
import assert from "node:assert/strict";
import type { FlowMessage } from "../../nodes/red";
import { messageEvent, until } from "../delivery/scripted";
import { helper, loadFlow } from "./flow";

const account = { id: "acc", type: "redclaw-scripted", name: "test", z: "" };
const inNode = { id: "in", type: "redclaw-scripted-in", account: "acc", wires: [["reply", "out"]] };
const reply = { id: "reply", type: "redclaw-reply", wires: [["seen"]] };
const out = { id: "out", type: "redclaw-scripted-out", account: "acc", to: "c9", toType: "chat" };
const seen = { id: "seen", type: "helper" };
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe("nodes: deploys in the middle of work", () => {
  before(() => helper.startServer());
  after(() => helper.stopServer());
  afterEach(async () => {
    await helper.unload();
  });

  it("an event that goes out again is not answered twice by a node that was not deployed", async () => {
    const { channel, gateway } = await loadFlow([
      account,
      inNode,
      reply,
      { ...out, wires: [["seen"]] },
      seen,
    ]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    channel.onSend = () => pause(150);
    const event = messageEvent();
    await channel.ctx?.accept(event);
    await pause(40);
    const running = gateway.accounts.get("acc");
    assert.ok(running);
    gateway.inbox.giveBack(event.id);
    await gateway.connected(running);
    await pause(600);
    assert.deepEqual(channel.sent.map(({ to }) => to.conversation).sort(), ["c1", "c9"]);
  });

  it("what was between an in-node and the next when only nodes were deployed goes out again", async () => {
    const { channel, gateway, node } = await loadFlow([account, { ...inNode, wires: [["seen"]] }, seen]);
    await until(() => gateway.accounts.get("acc")?.client !== undefined);
    await channel.ctx?.accept(messageEvent());
    await (node("in") as unknown as { close(): Promise<void> }).close();
    const heard: FlowMessage[] = [];
    gateway.inbox.listen("acc", (payload) => heard.push({ payload }));
    const running = gateway.accounts.get("acc");
    assert.ok(running);
    await gateway.connected(running);
    await until(() => heard.length === 1);
  });
});
