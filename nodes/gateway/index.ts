/** `redclaw-gateway`: where messages are kept, how old an answer may be, and the public address. */
import { homedir } from "node:os";
import { join } from "node:path";
import { type NodeConfig, type NodeRed, nodeClass, onClose, type RedNode } from "../red";
import { gatewayOf } from "./runtime";

const MINUTE_MS = 60_000;

export default function gatewayNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const userDir = RED.settings.userDir ?? join(homedir(), ".node-red");
    const minutes = Number(config["maxReplyAge"] ?? 10);
    const publicUrl = typeof config["publicUrl"] === "string" ? config["publicUrl"].trim() : "";
    const gateway = gatewayOf(RED);
    const release = gateway.configure(node.id, {
      store: config["store"] === "sqlite" ? "sqlite" : "memory",
      path: join(userDir, "redclaw", "gateway.db"),
      maxReplyAge: (Number.isFinite(minutes) && minutes > 0 ? minutes : 10) * MINUTE_MS,
      ...(publicUrl ? { publicUrl } : {}),
    });
    // A store that cannot be opened is said at the deploy, not at the first message.
    gateway.store().catch((error: Error) => node.error(error.message));
    onClose(node, release);
  });
  RED.nodes.registerType("redclaw-gateway", Node);
}
