/** What the `reply` box shows: how many were sent, how many wait, how many are held, and why the last one failed. */
import { RedclawError } from "../../lib/errors";
import type { NodeStatus, RedNode } from "../red";

/** A busy node changes its mind faster than anybody can read. */
const SHOW_EVERY_MS = 200;

const SHORT: Record<string, string> = {
  "no-chat": "no chat to answer",
  "no-text": "no text to send",
  "not-connected": "not connected",
  "account-missing": "account is missing",
  expired: "too late, not sent",
};

export class ReplyStatus {
  readonly #node: RedNode;
  #waiting = 0;
  #sent = 0;
  #held = 0;
  #last?: NodeStatus;
  #shown = "";
  #timer?: NodeJS.Timeout;
  #closed = false;

  constructor(node: RedNode) {
    this.#node = node;
  }

  begun(): void {
    this.#waiting += 1;
    this.#changed();
  }

  ended(): void {
    this.#waiting -= 1;
    this.#changed();
  }

  delivered(): void {
    this.#sent += 1;
    this.#last = undefined;
    this.#changed();
  }

  failed(error: unknown): void {
    const code = error instanceof RedclawError ? error.code : "";
    if (code === "held") this.#held += 1;
    else this.#last = { fill: "red", shape: "ring", text: SHORT[code] ?? "not sent" };
    this.#changed();
  }

  said(status: NodeStatus): void {
    this.#last = status;
    this.#changed();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#node.status({});
  }

  #changed(): void {
    if (!this.#timer && !this.#closed) this.#show();
  }

  #show(): void {
    const status = this.#now();
    const text = `${status.fill} ${status.text}`;
    if (text === this.#shown) return;
    this.#shown = text;
    this.#node.status(status);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#show();
    }, SHOW_EVERY_MS);
    this.#timer.unref();
  }

  #now(): NodeStatus {
    if (this.#last) return this.#last;
    const counts = [
      this.#sent > 0 && `${this.#sent} sent`,
      this.#waiting > 0 && `${this.#waiting} waiting`,
      this.#held > 0 && `${this.#held} held`,
    ]
      .filter(Boolean)
      .join(", ");
    if (this.#held > 0) return { fill: "yellow", shape: "dot", text: counts };
    return { fill: this.#waiting > 0 ? "blue" : "green", shape: "dot", text: counts };
  }
}
