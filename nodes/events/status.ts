/** What the `events` box shows: the last news for a while, then that it listens. */
import type { News } from "../../lib/delivery/news";
import type { NodeStatus, RedNode } from "../red";
import type { CountedNews } from "./joined";

const SHOWN_MS = 30_000;

const SHORT: Record<News["event"], string> = {
  connected: "connected",
  down: "out of reach",
  refused: "token refused",
  conflict: "another copy of this bot is running",
  misconfigured: "needs to be set up",
  "same-bot": "same bot twice",
  "crash-loop": "kept down after crashes",
  "breaker-open": "sending fails",
  "breaker-closed": "sending works again",
  held: "message held",
  "dead-letter": "message not delivered",
  expired: "message too late",
  quarantined: "message kept out",
  "store-trouble": "messages cannot be kept",
  "store-well": "messages are kept again",
};

const LOOKS: Record<News["severity"], NodeStatus> = {
  info: { fill: "green", shape: "dot" },
  warning: { fill: "yellow", shape: "dot" },
  error: { fill: "red", shape: "dot" },
};

export class EventsStatus {
  readonly #node: RedNode;
  #timer?: NodeJS.Timeout;

  constructor(node: RedNode) {
    this.#node = node;
    this.#listening();
  }

  show({ event, severity, name, count }: CountedNews): void {
    const times = count > 1 ? ` ${count} times` : "";
    const text = `${name ? `${name}: ` : ""}${SHORT[event]}${times}`;
    this.#node.status({ ...LOOKS[severity], text });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#listening(), SHOWN_MS);
    this.#timer.unref();
  }

  #listening(): void {
    this.#node.status({ fill: "grey", shape: "ring", text: "listening" });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#node.status({});
  }
}
