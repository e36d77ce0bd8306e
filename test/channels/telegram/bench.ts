/** A Telegram server and accounts of it for one test; everything is closed afterwards. */
import { afterEach } from "mocha";
import type {
  AccountSettings,
  Client,
  Connect,
  Destination,
  FilePart,
  SendOptions,
  TextPart,
} from "../../../lib/channel/define";
import { createHttp, type Http } from "../../../lib/http/client";
import type { MessageEvent } from "../../../lib/message/types";
import definition from "../../../nodes/channels/telegram/channel";
import { createConnect } from "../../../nodes/channels/telegram/client";
import { TIMING } from "../../../nodes/channels/telegram/constants";
import { TelegramServer } from "../../platforms/telegram";
import { type TestContext, testContext } from "../context";

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

interface Disk {
  kept: Map<string, string>;
  /** Ids of events that the ledger knows. */
  known: Set<string>;
}

interface AccountOptions extends Partial<AccountSettings> {
  webhookUrl?: string;
  /** What an earlier run left behind. */
  disk?: Disk;
}

/** One account at work, with a ledger that only drops doubles. */
export class TestAccount {
  readonly ctx: TestContext;
  readonly events: MessageEvent[] = [];
  readonly disk: Disk;
  client?: Client;
  /** The pack's own HTTP, as the gateway hands it out. */
  readonly #http: Http = createHttp({ allowPrivate: true });

  constructor({ webhookUrl, disk, ...settings }: AccountOptions) {
    this.disk = disk ?? { kept: new Map(), known: new Set() };
    this.ctx = testContext(definition, settings, this.disk.kept);
    this.ctx.fetch = this.#http.fetch;
    this.ctx.request = this.#http.request;
    if (webhookUrl) this.ctx.webhookUrl = webhookUrl;
    this.ctx.onAccept = async (update) => {
      // A store takes its time; a crash could come here.
      await new Promise(setImmediate);
      for (const event of this.client?.receive(update) ?? []) {
        if (!this.disk.known.has(event.id)) this.events.push(event);
        this.disk.known.add(event.id);
      }
    };
  }

  get states(): string[] {
    return this.ctx.statuses.map(({ state }) => state);
  }

  async connect(connect: Connect = quickConnect, options?: { test?: boolean }): Promise<Client> {
    this.client = await connect(this.ctx, options);
    return this.client;
  }

  /** Ends as the gateway does: the signal first, then the client. */
  async close(): Promise<void> {
    this.ctx.abort();
    await this.client?.close();
    await this.#http.close();
  }

  /** Resolves when `holds` does; fails with what was seen after two seconds (or `ms`). */
  async until(holds: () => boolean, ms = 2000): Promise<void> {
    const end = Date.now() + ms;
    while (!holds()) {
      if (Date.now() > end) {
        throw new Error(`It did not happen. ${JSON.stringify([this.ctx.statuses, this.ctx.logged])}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

const servers: TelegramServer[] = [];
const accounts: TestAccount[] = [];
afterEach(async () => {
  await Promise.all(accounts.splice(0).map((account) => account.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

export async function startServer(): Promise<TelegramServer> {
  const server = await new TelegramServer().start();
  servers.push(server);
  return server;
}

/** An account of `server`, not connected yet. */
export function accountOn(server: TelegramServer, options: AccountOptions = {}): TestAccount {
  const account = new TestAccount({
    id: "acc1",
    apiRoot: server.url,
    credentials: { token: server.token },
    ...options,
  });
  accounts.push(account);
  return account;
}

/** Server, account and client, connected. */
export async function connected(
  options: AccountOptions = {},
): Promise<{ server: TelegramServer; account: TestAccount; client: Client }> {
  const server = await startServer();
  const account = accountOn(server, options);
  return { server, account, client: await account.connect() };
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
