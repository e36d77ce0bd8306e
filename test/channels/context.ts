/** A ConnectContext without a gateway: what a client hands over is recorded, what it remembers is kept as JSON. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type {
  AccountSettings,
  ChannelDefinition,
  ConnectContext,
  ConnectionStatus,
  OpenedFile,
} from "../../lib/channel/define";
import { createHttp } from "../../lib/http/client";
import type { OutgoingAttachment } from "../../lib/message/types";

export interface TestContext extends ConnectContext {
  /** Raw updates that were accepted, in order. */
  accepted: unknown[];
  /** All statuses, in order. */
  statuses: ConnectionStatus[];
  /** Lines of the log, each with its level in front. */
  logged: string[];
  /** What survives a restart: hand it to the next context. JSON texts. */
  kept: Map<string, string>;
  /** Milliseconds and chats that the platform asked us to be slow for. */
  slowed: { forMs: number; chat?: string }[];
  /** Makes `accept` and `acceptAll` fail while it is set. */
  refuseWith?: Error;
  /** Makes `memory.set` fail while it is set. */
  forgetWith?: Error;
  /** Called with every accepted update, before `accept` resolves. */
  onAccept?: (update: unknown) => void | Promise<void>;
  abort(): void;
}

/** Options that are not given have the default of the definition. */
export function testContext(
  definition: ChannelDefinition,
  settings: Partial<AccountSettings> = {},
  kept = new Map<string, string>(),
): TestContext {
  const ending = new AbortController();
  const defaults = Object.fromEntries(
    Object.entries(definition.options).map(([name, spec]) => [name, spec.default]),
  );
  const id = settings.id ?? "a1b2c3d4";
  const log = (level: string) => (text: string) => void context.logged.push(`${level}: ${text}`);
  const writtenAt = new Map<string, number>();
  const keep = (key: string, value: unknown) => {
    // What is written again stands last, as in a store.
    kept.delete(key);
    if (value === undefined) return;
    kept.set(key, JSON.stringify(value));
    writtenAt.set(key, Date.now());
  };
  const context: TestContext = {
    account: {
      name: "test",
      credentials: {},
      ...settings,
      id,
      options: { ...defaults, ...settings.options },
    },
    fetch: (input, init) => fetch(input, init),
    request: createHttp({ allowPrivate: true }).request,
    accept: (update, remember) => context.acceptAll([update], remember),
    async acceptAll(updates, remember) {
      if (context.refuseWith) throw context.refuseWith;
      for (const update of updates) {
        await context.onAccept?.(update);
        context.accepted.push(JSON.parse(JSON.stringify(update)));
      }
      for (const [key, value] of Object.entries(remember ?? {})) keep(key, value);
    },
    slowDown: (forMs, chat) => void context.slowed.push({ forMs, ...(chat === undefined ? {} : { chat }) }),
    lost: () => undefined,
    alive: () => undefined,
    status: (status) => void context.statuses.push(status),
    memory: {
      async get<T>(key: string) {
        const text = kept.get(key);
        return text === undefined ? undefined : (JSON.parse(text) as T);
      },
      async set(key, value) {
        if (context.forgetWith) throw context.forgetWith;
        keep(key, value);
      },
      async list<T>(prefix: string) {
        return [...kept]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, text]) => ({
            key,
            value: JSON.parse(text) as T,
            at: writtenAt.get(key) ?? Date.now(),
          }));
      },
    },
    open: openPlainly,
    log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    signal: ending.signal,
    path: `/redclaw/${definition.name}/${id}`,
    accepted: [],
    slowed: [],
    statuses: [],
    logged: [],
    kept,
    abort: () => ending.abort(),
  };
  return context;
}

/** Bytes of an attachment that carries or names them; no rules are enforced here. */
async function openPlainly(attachment: OutgoingAttachment): Promise<OpenedFile> {
  const mime = attachment.mime ?? "application/octet-stream";
  if (attachment.data !== undefined) {
    return { data: Buffer.from(attachment.data, "base64"), name: attachment.name ?? "file", mime };
  }
  const from = attachment.path ?? attachment.url;
  if (from === undefined) throw new Error("The attachment has neither data, path nor url.");
  const data = attachment.path ? await readFile(from) : Buffer.from(await (await fetch(from)).arrayBuffer());
  return { data, name: attachment.name ?? path.basename(from), mime };
}
