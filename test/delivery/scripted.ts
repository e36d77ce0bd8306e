/** A channel without a platform: its sends do what the test says, so that the engine alone is tested. */
import { randomUUID } from "node:crypto";
import type { AccountConfig } from "../../lib/channel/account";
import {
  type ConnectContext,
  type Destination,
  defineChannel,
  type MessagePart,
} from "../../lib/channel/define";
import { Gateway, type GatewayOptions } from "../../lib/gateway";
import type { MessageEvent } from "../../lib/message/types";

export interface Sent {
  part: MessagePart;
  to: Destination;
  key: string;
  at: number;
}

export type SendStep = (sent: Sent, signal: AbortSignal) => Promise<void> | void;

export class Scripted {
  readonly sent: Sent[] = [];
  readonly logged: string[] = [];
  readonly gateway: Gateway;
  connects = 0;
  /** Called before a send counts; throws to fail it. */
  onSend: SendStep = () => undefined;
  onConnect: (ctx: ConnectContext) => Promise<void> | void = () => undefined;
  ctx?: ConnectContext;

  readonly definition = defineChannel({
    name: "scripted",
    label: "Scripted",
    icon: "redclaw-web.svg",
    credentials: { token: { label: "Token", secret: true, required: true, help: "Any." } },
    options: {},
    capabilities: {
      text: { max: 50, unit: "utf16" },
      dialect: "html",
      buttons: true,
      edit: false,
      delete: false,
      typing: false,
      reactions: false,
      threads: true,
      replyTo: true,
      silent: false,
      images: false,
      audio: false,
      voice: false,
      video: false,
      files: false,
      idempotency: "none",
    },
    limits: {},
    events: ["message"],
    client: async () => ({
      connect: async (ctx) => {
        this.connects += 1;
        this.ctx = ctx;
        await this.onConnect(ctx);
        return {
          receive: (update) => [update as MessageEvent],
          send: async (part, to, { key, signal }) => {
            const sent = { part, to, key, at: Date.now() };
            await this.onSend(sent, signal);
            this.sent.push(sent);
            return { messageId: String(this.sent.length) };
          },
          close: async () => undefined,
        };
      },
    }),
  });

  constructor(options: Partial<GatewayOptions> = {}) {
    const note = (text: string) => void this.logged.push(text);
    const log = { debug: note, info: note, warn: note, error: note };
    this.gateway = new Gateway({ log, ...options });
  }

  open(settings: Partial<AccountConfig> = {}) {
    const note = (text: string) => void this.logged.push(text);
    const log = { debug: note, info: note, warn: note, error: note };
    const config = {
      id: "acc",
      name: "test",
      credentials: { token: "secret-token-1" },
      options: {},
      ...settings,
    };
    const account = this.gateway.openAccount(this.definition, config, log);
    account.start();
    return account;
  }

  send(text: string, conversation = "c1", key: string = randomUUID()) {
    return this.gateway.send({ key, account: "acc", to: { conversation }, response: { text } });
  }

  texts(): string[] {
    return this.sent.map(({ part }) =>
      part.kind === "text" ? (part.unformatted ? part.plain : part.text) : part.kind,
    );
  }

  async close(): Promise<void> {
    for (const account of [...this.gateway.accounts.values()]) await this.gateway.closeAccount(account);
    await this.gateway.close();
  }
}

export function messageEvent(change: Partial<MessageEvent> = {}): MessageEvent {
  return {
    v: 1,
    id: `scripted:acc:${randomUUID()}`,
    kind: "message",
    channel: "scripted",
    account: "acc",
    conversation: { id: "c1", kind: "direct" },
    sender: { id: "u1", name: "Ann", isBot: false },
    text: "hello",
    mentionsMe: false,
    attachments: [],
    messageId: "m1",
    timestamp: new Date(0).toISOString(),
    trusted: false,
    ...change,
  };
}

export async function until(condition: () => boolean, withinMs = 5000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${withinMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
