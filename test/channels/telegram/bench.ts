/** A Telegram server and accounts of it for one test; everything is closed afterwards. */
import { afterEach } from "mocha";
import type { Client, Connect, Destination, FilePart, SendOptions, TextPart } from "../../../lib/channel/define";
import definition from "../../../nodes/channels/telegram/channel";
import { createConnect } from "../../../nodes/channels/telegram/client";
import { TIMING } from "../../../nodes/channels/telegram/constants";
import { TelegramServer } from "../../platforms/telegram";
import { type TestContext, type TestSettings, testContext } from "../context";

/** The real times, shortened so that a test does not wait for minutes. */
export const quick = {
  ...TIMING,
  pollSeconds: 1,
  probeSeconds: 0.05,
  pollGraceMs: 500,
  conflictMs: 150,
  backoffFirstMs: 20,
  backoffLongestMs: 200,
  callMs: 1000,
  uploadMs: 2000,
};
export const quickConnect: Connect = createConnect(quick);

const servers: TelegramServer[] = [];
const contexts: TestContext[] = [];
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((ctx) => ctx.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

export async function startServer(): Promise<TelegramServer> {
  const server = await new TelegramServer().start();
  servers.push(server);
  return server;
}

/** An account of `server`, not connected yet. */
export function accountOn(server: TelegramServer, settings: TestSettings = {}): TestContext {
  const ctx = testContext(definition, {
    apiRoot: server.url,
    credentials: { token: server.token },
    ...settings,
  });
  contexts.push(ctx);
  return ctx;
}

/** Server, account and client, connected. */
export async function connected(
  settings: TestSettings = {},
): Promise<{ server: TelegramServer; ctx: TestContext; client: Client }> {
  const server = await startServer();
  const ctx = accountOn(server, settings);
  const client = await ctx.connect(quickConnect);
  return { server, ctx, client };
}

export const ada: Destination = { conversation: "4242" };
export const sending = (): SendOptions => ({ key: "k", signal: new AbortController().signal });
export const text = (html: string, extra: Partial<TextPart> = {}): TextPart => ({
  kind: "text",
  text: html,
  plain: html.replace(/<[^>]+>/g, ""),
  ...extra,
});
export const file = (attachment: FilePart["file"], extra: Partial<FilePart> = {}): FilePart => ({
  kind: "file",
  file: attachment,
  ...extra,
});
