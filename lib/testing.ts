/** The suite every channel must pass: `@redclaw/node-red-gateway/testing`. */
export { type ConformanceSubject, channelConformance } from "./channel/conformance";
