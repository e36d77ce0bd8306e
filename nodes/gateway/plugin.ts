/** The Node-RED plugin: loads before all nodes, and is how other packages find the gateway and offer channels. */
import { API_VERSION, type ChannelDefinition } from "../../lib/channel/define";
import { asError } from "../../lib/errors";
import type { NodeRed } from "../red";
import { gatewayOf } from "./runtime";

interface ChannelPlugin {
  id?: string;
  apiVersion?: number;
  definition?: ChannelDefinition;
}

export default function plugin(RED: NodeRed): void {
  const gateway = gatewayOf(RED);
  RED.plugins?.registerPlugin("redclaw", {
    type: "redclaw-gateway",
    apiVersion: API_VERSION,
    gateway,
    onadd: () => {
      try {
        for (const found of (RED.plugins?.getByType("redclaw-channel") ?? []) as ChannelPlugin[]) {
          if (found.apiVersion === API_VERSION && found.definition) {
            gateway.channels.set(found.definition.name, found.definition);
          } else {
            RED.log.warn(
              `[redclaw] The channel package "${found.id}" was built for another version of Redclaw. Update it, or Redclaw.`,
            );
          }
        }
      } catch (thrown) {
        RED.log.error(`[redclaw] ${asError(thrown).message}`);
      }
    },
  });
}
