/** The least that a polling echo costs on Node: a loop with keep-alive connections, nothing kept, nothing checked. */
import { bareCall } from "./bare-call";
import { pollAndEcho } from "./echo";

const [, , apiRoot = "", token = ""] = process.argv;
pollAndEcho(bareCall(apiRoot, token));
