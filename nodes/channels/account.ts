/** `redclaw-<channel>`: the config node that holds an account. It connects when the first node uses it. */
import type { Account } from "../../lib/channel/account";
import type { ChannelDefinition, ConnectionStatus } from "../../lib/channel/define";
import { accountConfig } from "../../lib/channel/settings";
import type { Counts } from "../../lib/delivery/outbox";
import { RedclawError } from "../../lib/errors";
import type { Gateway } from "../../lib/gateway";
import { type NodeConfig, type NodeRed, type NodeStatus, nodeClass, onClose, type RedNode } from "../red";

export interface AccountNode extends RedNode {
  account: Account;
  /** Shows on `user` what `look` finds, whenever it changes; the first user makes it connect. Answers the way to stop. */
  use(user: RedNode, look: () => NodeStatus): () => void;
}

export function accountClass(RED: NodeRed, gateway: Gateway, definition: ChannelDefinition) {
  return nodeClass(RED, (node: AccountNode, config: NodeConfig) => {
    const account = gateway.openAccount(
      definition,
      accountConfig(definition, config, node.credentials ?? {}),
      {
        debug: (text) => node.debug(text),
        info: (text) => node.log(text),
        warn: (text) => node.warn(text),
        error: (text) => node.error(text),
      },
    );
    node.account = account;
    // Node-RED forwards what a config node reports to the Catch and Status nodes of its users' tabs.
    node.users = {};
    node.use = (user, look) => {
      let shown = "";
      const show = () => {
        const status = look();
        const now = `${status.fill} ${status.text}`;
        // Every status goes to every open editor: only news is worth it.
        if (now === shown) return;
        shown = now;
        user.status(status);
      };
      (node.users as Record<string, RedNode>)[user.id] = user;
      const endings = [account.watch(show), gateway.watchCounts(account.id, show)];
      account.start();
      return () => {
        delete node.users?.[user.id];
        for (const end of endings) end();
      };
    };
    onClose(node, (removed) => gateway.closeAccount(account, removed));
  });
}

/** What of an account and its gateway shows in a status. */
export interface AccountState {
  status: ConnectionStatus;
  /** Milliseconds that the platform asked to wait; 0: it did not. */
  slowForMs: number;
  /** Milliseconds until the platform, which failed several times, is tried again; undefined while it works. */
  failsForMs?: number;
  counts: Counts;
  /** Nothing can be written down. */
  trouble?: string;
}

export function stateOf(gateway: Gateway, account: Account): AccountState {
  const { status, slowForMs, breaker, id } = account;
  return {
    status,
    slowForMs,
    counts: gateway.outbox.counts(id),
    ...(breaker.open ? { failsForMs: breaker.waitMs() } : {}),
    ...(gateway.trouble === undefined ? {} : { trouble: gateway.trouble }),
  };
}

/** One look tells how it is. */
export function statusOf({ status, slowForMs, failsForMs, counts, trouble }: AccountState): NodeStatus {
  const { waiting, held } = counts;
  if (trouble !== undefined && status.state !== "closed")
    return { fill: "red", shape: "ring", text: `takes no messages: ${brief(trouble)}` };
  const counted = [waiting > 0 && `${waiting} waiting`, held > 0 && `${held} held`]
    .filter(Boolean)
    .join(", ");
  switch (status.state) {
    case "connecting":
      return { fill: "yellow", shape: "ring", text: "connecting" };
    case "connected":
      if (failsForMs !== undefined) {
        const next =
          Number.isFinite(failsForMs) && failsForMs > 0 ? `next try in ${seconds(failsForMs)} s` : "trying";
        return { fill: "yellow", shape: "ring", text: `${counted || "sending fails"}, ${next}` };
      }
      if (waiting > 0 && slowForMs > 0)
        return { fill: "blue", shape: "dot", text: `${counted} (slow down: ${seconds(slowForMs)} s)` };
      if (held > 0) return { fill: "yellow", shape: "dot", text: counted };
      return waiting > 1
        ? { fill: "blue", shape: "dot", text: counted }
        : { fill: "green", shape: "dot", text: status.identity };
    case "reconnecting":
      return {
        fill: "yellow",
        shape: "ring",
        text: `reconnecting in ${seconds(status.inMs)} s (${brief(status.reason)})`,
      };
    case "refused":
      return {
        fill: "red",
        shape: "ring",
        text: counted ? `token refused, ${counted}` : "token refused",
      };
    case "conflict":
      return { fill: "red", shape: "ring", text: "another copy of this bot is running" };
    case "misconfigured":
      return { fill: "yellow", shape: "ring", text: brief(status.reason) };
    case "closed":
      return { fill: "grey", shape: "ring", text: "closed" };
  }
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

const BRIEF = 48;

function brief(reason: string): string {
  const first = reason.split(/(?<=[.:;])\s/)[0] as string;
  return first.length > BRIEF ? `${first.slice(0, BRIEF - 1)}…` : first.replace(/[.:;]$/, "");
}

/** The account that a node points to, or a sentence when it is not there. */
export function findAccount(RED: NodeRed, definition: ChannelDefinition, config: NodeConfig): AccountNode {
  const id = config["account"];
  const node = typeof id === "string" && id ? (RED.nodes.getNode(id) as AccountNode | null) : null;
  if (!id) {
    throw new RedclawError(
      "no-account",
      `No ${definition.label} account is chosen. Open the node, choose or add an account and deploy.`,
    );
  }
  if (!node) {
    throw new RedclawError(
      "account-missing",
      `The ${definition.label} account of this node was deleted or is disabled. Open the node, choose another account and deploy.`,
    );
  }
  if (!node.account) {
    throw new RedclawError(
      "account-faulty",
      `The settings of the ${definition.label} account cannot be used. Open the account, mend the marked field and deploy.`,
    );
  }
  return node;
}
