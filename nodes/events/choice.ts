/** Which news a node passes on, as its form says. */
import type { News } from "../../lib/delivery/news";
import type { NodeConfig } from "../red";
import { SEVERITIES } from "./severities";

/** `events` and `accounts`: nothing chosen means all. News that concern all accounts (the store) pass for each. */
export function choiceOf(config: NodeConfig): (news: News) => boolean {
  const events = setOf(config["events"]);
  const accounts = setOf(config["accounts"]);
  const least = SEVERITIES.indexOf(config["severity"] as News["severity"]);
  return ({ event, account, severity }) =>
    (events.size === 0 || events.has(event)) &&
    (accounts.size === 0 || account === undefined || accounts.has(account)) &&
    SEVERITIES.indexOf(severity) >= least;
}

function setOf(value: unknown): Set<string> {
  return new Set([value].flat().flatMap((item) => (typeof item === "string" && item ? [item] : [])));
}
