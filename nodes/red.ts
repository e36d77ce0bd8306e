/**
 * The parts of Node-RED's runtime API that Redclaw uses, as types (@types/node-red is behind Node-RED 5), and the one
 * way a node takes its input.
 */
import type { RequestHandler, Router } from "express";
import { asError, RedclawError } from "../lib/errors";
import type { FlowEvents } from "../lib/lifecycle";

export interface NodeConfig {
  id: string;
  type: string;
  name?: string;
  [property: string]: unknown;
}

export interface NodeStatus {
  fill?: "red" | "green" | "yellow" | "blue" | "grey";
  shape?: "ring" | "dot";
  text?: string;
}

/** A message on a wire. */
export interface FlowMessage {
  _msgid?: string;
  payload?: unknown;
  topic?: unknown;
  [property: string]: unknown;
}

export type Send = (message: FlowMessage | null | (FlowMessage | FlowMessage[] | null)[]) => void;

export interface RedNode {
  id: string;
  type: string;
  name?: string;
  credentials?: Record<string, string | undefined>;
  users?: Record<string, RedNode>;
  on(
    event: "input",
    listener: (message: FlowMessage, send: Send, done: (error?: Error) => void) => void,
  ): void;
  on(event: "close", listener: (removed: boolean, done: () => void) => void): void;
  send: Send;
  status(status: NodeStatus): void;
  error(text: unknown, message?: FlowMessage): void;
  warn(text: unknown): void;
  log(text: unknown): void;
  debug(text: unknown): void;
}

export interface NodeRed {
  nodes: {
    createNode(node: RedNode, config: NodeConfig): void;
    registerType(type: string, node: new (config: NodeConfig) => unknown, options?: object): void;
    getNode(id: string): RedNode | null;
    getCredentials(id: string): Record<string, string> | undefined;
  };
  plugins?: {
    registerPlugin(id: string, plugin: object): void;
    get(id: string): unknown;
    getByType(type: string): unknown[];
  };
  httpAdmin?: Router & { parent?: unknown };
  httpNode?: Router & { parent?: unknown };
  /** Node-RED's web server. */
  server?: unknown;
  auth: { needsPermission(permission: string): RequestHandler };
  events: FlowEvents;
  settings: {
    userDir?: string;
    httpNodeRoot?: string | false;
    httpNodeAuth?: unknown;
    [setting: string]: unknown;
  };
  log: Record<"debug" | "info" | "warn" | "error", (text: string) => void>;
  util: {
    evaluateNodeProperty(
      value: unknown,
      type: string,
      node: RedNode,
      message: FlowMessage,
      callback: (error: Error | null, result: unknown) => void,
    ): void;
  };
  version?(): string;
}

/** What a node shows that cannot start; the whole sentence is in the log and the debug side bar. */
const SHORT: Record<string, string> = {
  "account-missing": "account is missing",
  "account-faulty": "account has a fault",
  "no-account": "no account chosen",
  "bad-limit": "limits cannot be read",
  "second-gateway": "a second gateway",
};

/** Makes a node class that Node-RED can construct: `setUp` gets the created node. */
export function nodeClass<N extends RedNode>(
  red: NodeRed,
  setUp: (node: N, config: NodeConfig) => void,
): new (
  config: NodeConfig,
) => unknown {
  return function RedclawNode(this: N, config: NodeConfig) {
    red.nodes.createNode(this, config);
    try {
      setUp(this, config);
    } catch (thrown) {
      const error = asError(thrown);
      const code = error instanceof RedclawError ? error.code : "";
      this.status({ fill: "red", shape: "ring", text: SHORT[code] ?? "cannot start" });
      this.error(error.message);
    }
  } as unknown as new (
    config: NodeConfig,
  ) => unknown;
}

/** Takes messages one by one; whatever `work` throws or rejects with ends in `done(error)`, exactly once. */
export function onInput(
  node: RedNode,
  work: (message: FlowMessage, send: Send) => Promise<void> | void,
): void {
  node.on("input", (message, send, done) => {
    Promise.resolve()
      .then(() => work(message, send))
      .then(
        () => done(),
        (thrown) => done(asError(thrown)),
      );
  });
}

/** Runs `work` when the node closes (deploy, stop, delete), and lets Node-RED go on even if it fails. */
export function onClose(node: RedNode, work: (removed: boolean) => Promise<void> | void): void {
  node.on("close", (removed, done) => {
    Promise.resolve()
      .then(() => work(removed))
      .catch((thrown) => node.warn(asError(thrown).message))
      .finally(done);
  });
}
