/** What an author of a channel needs: `@redclaw/node-red-gateway/sdk`. */

export { channelNodes } from "../nodes/channels/nodes";
export type * from "./channel/define";
export { API_VERSION, defineChannel } from "./channel/define";
export { ChannelError, type Fault, RedclawError } from "./errors";
export type * from "./message/types";
