/** `redclaw-reply`: answers where the message came from, on any channel. */
import { RedclawError } from "../../lib/errors";
import { checkContext, toResponse } from "../../lib/message/check";
import { gatewayOf } from "../gateway/runtime";
import { type NodeConfig, type NodeRed, nodeClass, onClose, onInput, type RedNode } from "../red";
import { Ordinals, runOf } from "./ordinals";

export default function replyNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const gateway = gatewayOf(RED);
    const ordinals = new Ordinals();
    let sending = 0;
    const show = (done?: string) => {
      if (sending > 0)
        node.status({ fill: "blue", shape: "dot", text: sending > 1 ? `sending ${sending}` : "sending" });
      else if (done) node.status({ fill: "green", shape: "dot", text: done });
    };
    onInput(node, async (message, send) => {
      if (isDeclined(message["ai"])) {
        node.status({ fill: "grey", shape: "ring", text: "nothing to answer" });
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
        sending += 1;
        show();
        try {
          message.payload = await gateway.send({
            key: `${chat.eventId}/${node.id}/${ordinals.next(runOf(chat))}`,
            account: chat.account,
            to: thread === undefined ? { conversation: id } : { conversation: id, thread },
            response,
            eventId: chat.eventId,
            ...(chat.messageId === undefined ? {} : { about: chat.messageId }),
          });
        } finally {
          sending -= 1;
        }
        show("sent");
        send(message);
      } catch (error) {
        // A deploy: the answer waits in the ledger and goes out when the account opens again.
        if (error instanceof RedclawError && error.code === "closing") return;
        node.status({ fill: "red", shape: "ring", text: statusOf(error) });
        throw error;
      }
    });
    onClose(node, () => node.status({}));
  });
  RED.nodes.registerType("redclaw-reply", Node);
}

/** The `ai` node has marked a message that needs no answer (a reaction, somebody who left ...). */
function isDeclined(ai: unknown): boolean {
  return typeof ai === "object" && ai !== null && (ai as { declined?: unknown }).declined === true;
}

const STATUS: Record<string, string> = {
  "no-chat": "no chat to answer",
  "no-text": "no text to send",
  held: "held: may have arrived",
  "not-connected": "not connected",
  "account-missing": "account is missing",
};

function statusOf(error: unknown): string {
  const code = error instanceof RedclawError ? error.code : "";
  return STATUS[code] ?? "not sent";
}
