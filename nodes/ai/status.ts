/** What the `ai` box shows while it works: how many are thought about, how many wait, and how the last one ended. */
import { ModelError } from "../../lib/ai/errors";
import { RedclawError } from "../../lib/errors";
import type { NodeStatus, RedNode } from "../red";

/** A busy node changes its mind faster than anybody can read. */
const SHOW_EVERY_MS = 200;

const shorts: Record<string, string> = {
  "no-text": "no text to answer",
  "too-many-waiting": "too many are waiting",
  "model-missing": "model is missing",
};

export class Status {
  thinking = 0;
  waiting = 0;
  readonly #node: RedNode;
  #last: NodeStatus = {};
  #shown = "{}";
  #timer?: NodeJS.Timeout;

  constructor(node: RedNode) {
    this.#node = node;
  }

  /** The counts changed. */
  changed(): void {
    if (!this.#timer) this.#show();
  }

  answered(label: string): void {
    this.#last = { fill: "green", shape: "dot", text: label };
    this.changed();
  }

  failed(error: unknown): void {
    const text =
      error instanceof ModelError
        ? `model: ${error.short}`
        : shorts[error instanceof RedclawError ? error.code : ""];
    this.#last = { fill: "red", shape: "ring", text: text ?? "no answer" };
    this.changed();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#node.status({});
  }

  #show(): void {
    const status = this.#now();
    const text = JSON.stringify(status);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#node.status(status);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#show();
    }, SHOW_EVERY_MS);
  }

  #now(): NodeStatus {
    if (this.thinking === 0) return this.#last;
    const counts =
      this.waiting > 0 ? `${this.thinking} thinking, ${this.waiting} waiting` : `${this.thinking} thinking`;
    return {
      fill: "blue",
      shape: "dot",
      text: this.thinking === 1 && this.waiting === 0 ? "thinking…" : counts,
    };
  }
}
