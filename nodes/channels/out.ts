/** `redclaw-<channel>-out`: writes to a chosen chat. */
import { randomUUID } from "node:crypto";
import type { ChannelDefinition, Destination } from "../../lib/channel/define";
import { RedclawError } from "../../lib/errors";
import type { Gateway } from "../../lib/gateway";
import { checkContext, toResponse } from "../../lib/message/check";
import { reportFailures } from "../failures";
import {
  type FlowMessage,
  type NodeConfig,
  type NodeRed,
  type NodeStatus,
  nodeClass,
  onClose,
  onInput,
  type RedNode,
} from "../red";
import { Ordinals, runOf } from "../reply/ordinals";
import { findAccount, stateOf, statusOf } from "./account";

export function outClass(RED: NodeRed, gateway: Gateway, definition: ChannelDefinition) {
  return nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const ordinals = new Ordinals();
    let sent = 0;
    // The input is taken even without an account: the sender hears why nothing was sent.
    let account: ReturnType<typeof findAccount>["account"] | undefined;
    onInput(node, async (message, send) => {
      account ??= findAccount(RED, definition, config).account;
      const to = await destinationOf(RED, definition, node, config, message);
      const response = toResponse(message.payload);
      // A message that comes from an event has its key from it: when the flow runs again, it is not sent again.
      const chat = message["chat"] === undefined ? undefined : checkContext(message["chat"]);
      const eventId = chat?.eventId;
      try {
        message.payload = await gateway.send({
          key:
            chat === undefined
              ? `${node.id}/${randomUUID()}`
              : `${chat.eventId}/${node.id}/${ordinals.next(runOf(chat))}`,
          account: account.id,
          to,
          response,
          node: node.id,
          ...(eventId === undefined ? {} : { eventId }),
          ...(message["onUnknown"] === "resend" ? { onUnknown: "resend" } : {}),
        });
      } catch (error) {
        // A deploy: the message waits in the ledger and goes out when the account opens again.
        if (error instanceof RedclawError && error.code === "closing") return;
        throw error;
      }
      sent += 1;
      send(message);
    });
    const found = findAccount(RED, definition, config);
    account = found.account;
    const stopUsing = found.use(node, () => withSent(statusOf(stateOf(gateway, found.account)), sent));
    const stopWatching = reportFailures(gateway, node);
    onClose(node, () => {
      stopUsing();
      stopWatching();
    });
  });
}

/** While all is well, the box also says how many messages went out through it. */
function withSent(status: NodeStatus, sent: number): NodeStatus {
  return sent > 0 && status.fill === "green" ? { ...status, text: `${status.text}, ${sent} sent` } : status;
}

/** The form's choice; left empty, `msg.to`; then the chat the message came from, if it is on this channel. */
async function destinationOf(
  RED: NodeRed,
  definition: ChannelDefinition,
  node: RedNode,
  config: NodeConfig,
  message: FlowMessage,
): Promise<Destination> {
  const type = String(config["toType"] ?? "str");
  const plain = type === "chat" || type === "str" || config["to"] === "";
  const chosen = plain ? config["to"] : await evaluate(RED, node, String(config["to"] ?? ""), type, message);
  const destination =
    parseDestination(chosen) ?? parseDestination(message["to"]) ?? sameChannelChat(definition, message);
  if (!destination) {
    throw new RedclawError(
      "no-destination",
      `It is not known which ${definition.label} chat to write to. Choose a chat in the node, or set msg.to to the chat's id, for example "123456789".`,
    );
  }
  return destination;
}

function evaluate(
  RED: NodeRed,
  node: RedNode,
  value: string,
  type: string,
  message: FlowMessage,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    RED.util.evaluateNodeProperty(value, type, node, message, (error, result) =>
      error ? reject(error) : resolve(result),
    );
  });
}

/** `"123"`, `"123|7"` (chat and thread), `123`, `{ conversation, thread }`, `{ id, thread }`, or a ChatContext. */
export function parseDestination(value: unknown): Destination | undefined {
  if (typeof value === "number" && Number.isSafeInteger(value)) return { conversation: String(value) };
  if (typeof value === "string") {
    const [conversation, thread] = value.trim().split("|");
    if (!conversation) return undefined;
    return thread ? { conversation, thread } : { conversation };
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { conversation, id, thread } = value as { conversation?: unknown; id?: unknown; thread?: unknown };
  if (typeof conversation === "object") return parseDestination(conversation);
  const found = parseDestination(conversation ?? id);
  const part = typeof thread === "string" || typeof thread === "number" ? String(thread) : undefined;
  return found && part ? { conversation: found.conversation, thread: part } : found;
}

function sameChannelChat(definition: ChannelDefinition, message: FlowMessage): Destination | undefined {
  const chat = message["chat"] as { channel?: unknown } | undefined;
  return chat?.channel === definition.name ? parseDestination(chat) : undefined;
}
