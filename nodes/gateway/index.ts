/** `redclaw-gateway`: where messages are kept and for how long, and how this Node-RED is reached from outside. */
import { homedir } from "node:os";
import { join } from "node:path";
import { type NodeConfig, type NodeRed, nodeClass, onClose, type RedNode } from "../red";
import { gatewayOf } from "./runtime";

const MINUTE_MS = 60_000;
const MAX_AGE_MINUTES = 10;
const HISTORY_DAYS = 30;
const PORT_MAX = 65_535;

export default function gatewayNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const userDir = RED.settings.userDir ?? join(homedir(), ".node-red");
    const publicUrl = text(config["publicUrl"]);
    const webhookPort = positive(config["webhookPort"]);
    const webhookHost = text(config["webhookHost"]);
    const isPort = webhookPort !== undefined && Number.isInteger(webhookPort) && webhookPort <= PORT_MAX;
    if (text(config["webhookPort"]) && !isPort) {
      node.error(
        `"${text(config["webhookPort"])}" is no port for webhooks, so they come in on Node-RED's own. Enter a number from 1 to ${PORT_MAX}, or nothing.`,
      );
    }
    const gateway = gatewayOf(RED);
    const release = gateway.configure(node.id, {
      store: config["store"] === "sqlite" ? "sqlite" : "memory",
      path: join(userDir, "redclaw", "gateway.db"),
      retention: config["retention"] === "history" ? "history" : "crash-safe",
      historyDays: positive(config["historyDays"]) ?? HISTORY_DAYS,
      maxReplyAge: (positive(config["maxReplyAge"]) ?? MAX_AGE_MINUTES) * MINUTE_MS,
      trustedProxies: text(config["trustedProxies"])
        .split(/[\s,;]+/)
        .filter(Boolean),
      ...(publicUrl ? { publicUrl } : {}),
      ...(isPort ? { webhookPort } : {}),
      ...(webhookHost ? { webhookHost } : {}),
    });
    // A store that cannot be opened is said at the deploy, not at the first message.
    gateway.store().catch((error: Error) => node.error(error.message));
    onClose(node, release);
  });
  RED.nodes.registerType("redclaw-gateway", Node);
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
}

/** A number above 0, also typed as text; undefined for anything else. */
function positive(value: unknown): number | undefined {
  const number = Number(text(value));
  return Number.isFinite(number) && number > 0 ? number : undefined;
}
