/** `redclaw-reply`: answers where the message came from, on any channel. */
import { RedclawError } from "../../lib/errors";
import { checkContext, toResponse } from "../../lib/message/check";
import { reportFailures } from "../failures";
import { gatewayOf } from "../gateway/runtime";
import { type NodeConfig, type NodeRed, nodeClass, onClose, onInput, type RedNode } from "../red";
import { Ordinals, runOf } from "./ordinals";
import { ReplyStatus } from "./status";

export default function replyNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const gateway = gatewayOf(RED);
    const ordinals = new Ordinals();
    const status = new ReplyStatus(node);
    onInput(node, async (message, send) => {
      if (isDeclined(message["ai"])) {
        status.said({ fill: "grey", shape: "ring", text: "nothing to answer" });
        return;
      }
      try {
        if (message["chat"] === undefined) {
          throw new RedclawError(
            "no-chat",
            "There is no msg.chat, so it is not known where to answer. Wire this node behind an in-node (the nodes between must keep msg.chat), or use an out-node to write to a chosen chat.",
          );
        }
        const chat = checkContext(message["chat"]);
        const response = toResponse(message.payload);
        if (config["quote"] === true && response.replyTo === undefined) response.replyTo = "auto";
        const { id, thread } = chat.conversation;
        status.begun();
        try {
          message.payload = await gateway.send({
            key: `${chat.eventId}/${node.id}/${ordinals.next(runOf(chat))}`,
            account: chat.account,
            to: thread === undefined ? { conversation: id } : { conversation: id, thread },
            response,
            eventId: chat.eventId,
            node: node.id,
            ...(message["onUnknown"] === "resend" ? { onUnknown: "resend" } : {}),
            ...(chat.messageId === undefined ? {} : { about: chat.messageId }),
          });
        } finally {
          status.ended();
        }
        status.delivered();
        send(message);
      } catch (error) {
        // A deploy: the answer waits in the ledger and goes out when the account opens again.
        if (error instanceof RedclawError && error.code === "closing") return;
        status.failed(error);
        throw error;
      }
    });
    const stopWatching = reportFailures(gateway, node);
    onClose(node, () => {
      stopWatching();
      status.close();
    });
  });
  RED.nodes.registerType("redclaw-reply", Node);
}

/** The `ai` node has marked a message that needs no answer (a reaction, somebody who left ...). */
function isDeclined(ai: unknown): boolean {
  return typeof ai === "object" && ai !== null && (ai as { declined?: unknown }).declined === true;
}
