/** The flow of all campaigns: whatever account it comes from, a message is answered with `echo <its text>`. */
import type { FlowNode } from "../node-red";
import type { TelegramSide } from "./telegram-side";

export interface AccountNode {
  side: TelegramSide | "web";
  id: string;
  name?: string;
  limits?: string;
  mode?: "polling" | "webhook";
  /** Instead of the server's own address. */
  apiRoot?: string;
  token?: string;
  onUnknown?: "hold" | "resend";
}

/** Lines of a function node: the answer, after `delayMs`. */
function echo(delayMs: number, typing: boolean): string {
  const answer = `msg.payload = { text: "echo " + msg.payload.text, typing: ${typing} };`;
  return delayMs === 0
    ? `${answer} return msg;`
    : `setTimeout(() => { ${answer} node.send(msg); node.done(); }, ${delayMs});`;
}

export interface FlowOptions {
  publicUrl?: string;
  /** Milliseconds that the flow thinks about an answer. */
  thinkMs?: number;
  /** The answer begins with "is typing". */
  typing?: boolean;
  gateway?: Record<string, unknown>;
}

export function echoFlow(accounts: readonly AccountNode[], options: FlowOptions = {}): FlowNode[] {
  const place = { z: "tab", x: 100, y: 100 };
  return [
    { id: "tab", type: "tab", label: "Chaos" },
    {
      id: "gw",
      type: "redclaw-gateway",
      store: "sqlite",
      maxReplyAge: 60,
      publicUrl: options.publicUrl ?? "",
      ...options.gateway,
    },
    ...accounts.flatMap((account) => [
      configOf(account),
      {
        ...place,
        id: `${account.id}-in`,
        type: account.side === "web" ? "redclaw-web-in" : "redclaw-telegram-in",
        account: account.id,
        wires: [["echo"]],
      },
    ]),
    {
      ...place,
      id: "echo",
      type: "function",
      func: echo(options.thinkMs ?? 0, options.typing === true),
      outputs: 1,
      wires: [["reply"]],
    },
    { ...place, id: "reply", type: "redclaw-reply", wires: [[]] },
  ];
}

/** Node-RED takes any property that equals a config node's id for a reference to it: names must differ from ids. */
function configOf({ side, id, name, limits = "{}", mode, apiRoot, token, onUnknown }: AccountNode): FlowNode {
  if (side === "web") return { id, type: "redclaw-web", name: name ?? `${id} account`, limits };
  return {
    id,
    type: "redclaw-telegram",
    name: name ?? `${id} account`,
    apiRoot: apiRoot ?? side.server.url,
    limits,
    mode: mode ?? "polling",
    onUnknown: onUnknown ?? side.promised,
    credentials: { token: token ?? side.server.token },
  };
}
