/** The suite every channel must pass: `@redclaw/node-red-gateway/testing`. */
export { channelConformance, type ConformanceSubject } from "./channel/conformance";
