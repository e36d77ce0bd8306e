/** `@redclaw/node-red-gateway`: the message shapes, and the checks for them. */
export { ChannelError, type Fault, RedclawError } from "./errors";
export { checkContext, checkEvent, checkResponse, toResponse } from "./message/check";
export type * from "./message/types";
