/** `redclaw-<channel>-in`: what happens on an account comes out here, in order per conversation. */
import type { ChannelDefinition } from "../../lib/channel/define";
import type { Gateway } from "../../lib/gateway";
import type { ChatContext, MessageEvent } from "../../lib/message/types";
import { type NodeConfig, type NodeRed, nodeClass, onClose, type RedNode } from "../red";
import { findAccount, stateOf, statusOf } from "./account";

export function inClass(RED: NodeRed, gateway: Gateway, definition: ChannelDefinition) {
  return nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const { account, use } = findAccount(RED, definition, config);
    const kinds = listOf(config["kinds"]);
    const conversations = listOf(config["conversations"]);
    const stopListening = gateway.inbox.listen(account.id, (event, chat) => {
      if (kinds.size > 0 && !kinds.has(event.kind)) return;
      if (conversations.size > 0 && !conversations.has(event.conversation.id)) return;
      node.send(messageOf(event, chat));
    });
    const stopUsing = use(node, () => statusOf(stateOf(gateway, account)));
    onClose(node, () => {
      stopListening();
      stopUsing();
      // What went out a moment ago may not have reached the next node, which is gone now, too.
      gateway.inbox.giveBackRecent(account.id);
    });
  });
}

/** Every listener has its own event and chat, so nothing is copied here. */
function messageOf(event: MessageEvent, chat: ChatContext) {
  return {
    payload: event,
    chat,
    topic: `${event.channel}:${event.account}:${event.conversation.id}`,
  };
}

/** A list from a form: an array, or text with commas or lines. Nothing chosen: everything passes. */
function listOf(value: unknown): Set<string> {
  const items = Array.isArray(value) ? value : typeof value === "string" ? value.split(/[,\n]/) : [];
  return new Set(items.map((item) => String(item).trim()).filter(Boolean));
}
