/** The three node classes of a channel: the account (config), its in-node and its out-node. */
import type { ChannelDefinition } from "../../lib/channel/define";
import { gatewayOf } from "../gateway/runtime";
import type { NodeConfig, NodeRed } from "../red";
import { accountClass } from "./account";
import { inClass } from "./in";
import { outClass } from "./out";

type NodeClass = new (config: NodeConfig) => unknown;

export function channelNodes(
  RED: NodeRed,
  definition: ChannelDefinition,
): { Account: NodeClass; In: NodeClass; Out: NodeClass } {
  const gateway = gatewayOf(RED);
  gateway.channels.set(definition.name, definition);
  return {
    Account: accountClass(RED, gateway, definition),
    In: inClass(RED, gateway, definition),
    Out: outClass(RED, gateway, definition),
  };
}
