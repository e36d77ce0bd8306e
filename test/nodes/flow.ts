/** Loads our nodes into node-red-node-test-helper with the scripted channel as `redclaw-scripted`. */
import helper from "node-red-node-test-helper";
import { channelNodes } from "../../nodes/channels/nodes";
import eventsNode from "../../nodes/events";
import gatewayNode from "../../nodes/gateway";
import { gatewayOf } from "../../nodes/gateway/runtime";
import type { FlowMessage, NodeRed, RedNode } from "../../nodes/red";
import replyNode from "../../nodes/reply";
import { Scripted } from "../delivery/scripted";

helper.init(require.resolve("node-red"));

export interface Loaded {
  channel: Scripted;
  node(id: string): RedNode & { receive(message: FlowMessage): void };
  gateway: ReturnType<typeof gatewayOf>;
  statuses(id: string): { fill?: string; text?: string }[];
}

export async function loadFlow(
  flow: object[],
  credentials: object = { acc: { token: "secret-token-1" } },
): Promise<Loaded> {
  const channel = new Scripted();
  await channel.gateway.close();
  let gateway: ReturnType<typeof gatewayOf> | undefined;
  const register = (RED: NodeRed) => {
    gateway = gatewayOf(RED);
    const nodes = channelNodes(RED, channel.definition);
    RED.nodes.registerType("redclaw-scripted", nodes.Account, {
      credentials: { token: { type: "password" } },
    });
    RED.nodes.registerType("redclaw-scripted-in", nodes.In);
    RED.nodes.registerType("redclaw-scripted-out", nodes.Out);
  };
  const tab = { id: "tab", type: "tab", label: "Test" };
  const config = flow.map((node) => ({ z: "tab", ...node }));
  const catchNode = require("@node-red/nodes/core/common/25-catch.js");
  await helper.load(
    [register, replyNode, gatewayNode, eventsNode, catchNode] as never,
    [tab, ...config] as never,
    credentials as never,
  );
  return {
    channel,
    node: (id) => helper.getNode(id) as never,
    gateway: gateway as ReturnType<typeof gatewayOf>,
    statuses: (id) => {
      const { status } = helper.getNode(id) as unknown as {
        status: { args: [{ fill?: string; text?: string }][] };
      };
      return status.args.map(([shown]) => shown);
    },
  };
}

/** The next message that reaches a helper node. */
export function nextInput(node: RedNode): Promise<FlowMessage> {
  return new Promise((resolve) => {
    (node as unknown as { once(event: "input", listener: (message: FlowMessage) => void): void }).once(
      "input",
      resolve,
    );
  });
}

export { helper };
