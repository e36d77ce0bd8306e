/** Writes what Node-RED loads: three node types, their constructors and nothing heavy. */
import type { ChannelDefinition } from "../define";

const OWN_SDK = "@redclaw/node-red-gateway/sdk";

export function runtimeFile(
  definition: ChannelDefinition,
  paths: { modulePath: string; nodesPath?: string },
): string {
  const type = `redclaw-${definition.name}`;
  const credentials = Object.entries(definition.credentials).map(
    ([name, field]) => `      ${name}: { type: ${JSON.stringify(field.secret ? "password" : "text")} },\n`,
  );
  return `// Written by the build from the definition of the channel ${definition.label}: change that, not this file.
"use strict";
const { channelNodes } = require(${JSON.stringify(paths.nodesPath ?? OWN_SDK)});
const channel = require(${JSON.stringify(paths.modulePath)});

module.exports = function (RED) {
  const nodes = channelNodes(RED, channel.default ?? channel);
  RED.nodes.registerType(${JSON.stringify(type)}, nodes.Account, {
    credentials: {
${credentials.join("")}    },
  });
  RED.nodes.registerType(${JSON.stringify(`${type}-in`)}, nodes.In);
  RED.nodes.registerType(${JSON.stringify(`${type}-out`)}, nodes.Out);
};
`;
}
