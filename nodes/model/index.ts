/** `redclaw-model`: the config node that says which model answers, and with which key. */
import { type Model, openModel } from "../../lib/ai/model";
import { modelSettings } from "../../lib/ai/settings";
import { gatewayOf } from "../gateway/runtime";
import { type NodeConfig, type NodeRed, nodeClass, type RedNode } from "../red";

/** The model's own timeout ends a request; a local model that is being loaded may be silent for many minutes. */
const LONGEST_MS = 3_600_000;

export interface ModelNode extends RedNode {
  /** The model, the same for all nodes that use it. Nothing is loaded before the first question. */
  open(): Model;
}

export default function modelNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: ModelNode, config: NodeConfig) => {
    const apiKey = node.credentials?.["apiKey"];
    // A model server often stands in the local network, where the owner's own settings may reach.
    const fetch = gatewayOf(RED).ownHttp.fetchWith({ headersTimeoutMs: LONGEST_MS, timeoutMs: LONGEST_MS });
    const model = openModel(modelSettings(config, { fetch, ...(apiKey && { apiKey }) }));
    node.open = () => model;
  });
  RED.nodes.registerType("redclaw-model", Node, { credentials: { apiKey: { type: "password" } } });
}
