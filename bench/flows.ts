/** The flows that are measured: ours, and the echo of node-red-contrib-telegrambot. */
import type { FlowNode } from "../scripts/node-red";

export interface OurAccounts {
  store: "memory" | "sqlite";
  /** Bots that are polled, and bots that Telegram calls. */
  poll: number[];
  webhook: number[];
  /** Accounts of the web chat. */
  web: number;
  /** Base URL of a model: an `ai` node stands between in and reply. */
  model?: string;
}

export const token = (bot: number) => `${bot}:bench`;
export const webPath = (index: number) => `/redclaw/web/web${index}/`;

/** `in -> reply` (or `in -> ai -> reply`) for every account, with their secrets, as the editor deploys it. */
export function ourFlows(platform: string, accounts: OurAccounts): FlowNode[] {
  const { store, poll, webhook, web, model } = accounts;
  const next = model === undefined ? "reply" : "ai";
  const bots = [
    ...poll.map((bot) => telegram(platform, bot, "polling", next)),
    ...webhook.map((bot) => telegram(platform, bot, "webhook", next)),
  ];
  const pages = Array.from({ length: web }, (_, index) => [
    { id: `web${index}`, type: "redclaw-web", name: `Web ${index}` },
    inNode("web", `web${index}`, next),
  ]);
  return [
    { id: "tab", type: "tab", label: "bench" },
    // Nobody connects to this address: the platform is told where we listen.
    { id: "gateway", type: "redclaw-gateway", store, maxReplyAge: "10", publicUrl: "https://bench.example" },
    ...bots.flat(),
    ...pages.flat(),
    ...(model === undefined ? [] : aiNodes(model)),
    { id: "reply", type: "redclaw-reply", z: "tab", wires: [[]] },
  ];
}

function telegram(platform: string, bot: number, mode: string, next: string): FlowNode[] {
  const id = `bot${bot}`;
  return [
    {
      id,
      type: "redclaw-telegram",
      name: `Bot ${bot}`,
      mode,
      apiRoot: platform,
      // No pace limits: what is measured is what the machine can do.
      limits: "{}",
      onUnknown: "hold",
      credentials: { token: token(bot) },
    },
    inNode("telegram", id, next),
  ];
}

function inNode(channel: string, account: string, next: string): FlowNode {
  const type = `redclaw-${channel}-in`;
  return { id: `in-${account}`, type, z: "tab", account, kinds: [], conversations: "", wires: [[next]] };
}

function aiNodes(model: string): FlowNode[] {
  return [
    { id: "model", type: "redclaw-model", provider: "openai-compatible", baseUrl: model, model: "bench" },
    { id: "ai", type: "redclaw-ai", z: "tab", model: "model", instructions: "", wires: [["reply"], []] },
  ];
}

/** `receiver -> sender`, as in the package's own `examples/echo.json`. */
export function telegrambotFlows(platform: string, bot: number): FlowNode[] {
  return [
    { id: "tab", type: "tab", label: "bench" },
    {
      id: "bot",
      type: "telegram bot",
      botname: "bench",
      baseapiurl: platform,
      updatemode: "polling",
      // Its standard is to rest 300 ms after every batch; without the rest it is at its best.
      pollinterval: "1",
      credentials: { token: token(bot) },
    },
    { id: "in", type: "telegram receiver", z: "tab", bot: "bot", wires: [["out"], []] },
    { id: "out", type: "telegram sender", z: "tab", bot: "bot", wires: [[]] },
  ];
}
