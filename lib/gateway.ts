/** The gateway: what all accounts and nodes of one Node-RED share - store, inbox, outbox, HTTP, accounts. */
import { Account, type AccountConfig } from "./channel/account";
import type { ChannelDefinition, ChatTarget, Log, OpenedFile } from "./channel/define";
import type { Intake } from "./channel/intake";
import { Inbox } from "./delivery/inbox";
import { type Intent, Outbox } from "./delivery/outbox";
import { asError, RedclawError } from "./errors";
import { createHttp, type Http } from "./http/client";
import type { ChatContext, Receipt } from "./message/types";
import { carryOver } from "./store/carry";
import { openStore } from "./store/open";
import type { Row, Store } from "./store/store";

const CLOCK_MS = 30_000;
const CLOSE_WITHIN_MS = 3000;
const MAX_AGE_MS = 10 * 60_000;

/** The part of Node-RED's events that is used here. */
export interface FlowEvents {
  on(event: "flows:started", listener: () => void): unknown;
  off(event: "flows:started", listener: () => void): unknown;
}

export interface GatewayConfig {
  store: "memory" | "sqlite";
  /** File of the embedded store. */
  path?: string;
  /** Milliseconds: an answer older than this is not sent any more. */
  maxReplyAge: number;
  /** Address under which this Node-RED is reached from the internet. */
  publicUrl?: string;
  /** What is kept of a message that is done: nothing readable, or all of it for `historyDays`. */
  retention?: "crash-safe" | "history";
  historyDays?: number;
  /** Webhooks are also taken on this port, on a server of our own. */
  webhookPort?: number;
  webhookHost?: string;
  /** Proxies whose `X-Forwarded-For` is believed: `127.0.0.1`, `10.0.0.0/8`. */
  trustedProxies?: string[];
}

export class Gateway {
  readonly accounts = new Map<string, Account>();
  /** Channel definitions by name: ours, and those of other packages. */
  readonly channels = new Map<string, ChannelDefinition>();
  /** Where webhooks and pages come in; absent where nothing serves HTTP. */
  intake?: Intake;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** HTTP to addresses that come from messages: never reaches into the local network. */
  readonly http: Http;
  /** HTTP to addresses that the owner typed into a form (a model server on the LAN). */
  readonly ownHttp: Http;
  readonly #log: Log;
  readonly #nodeRoot: string;
  readonly #flows?: FlowEvents;
  readonly #onFlowsStarted = () => {
    for (const account of this.accounts.values()) if (account.client) void this.connected(account);
  };
  readonly #waitingWatchers = new Map<string, Set<() => void>>();
  #config: GatewayConfig = { store: "memory", maxReplyAge: MAX_AGE_MS };
  #configuredBy?: string;
  /** Takes back the plan to do without a gateway node. */
  #keepConfig?: () => void;
  #store?: Promise<Store>;
  #clock?: NodeJS.Timeout;

  /**
   * @param nodeRoot Node-RED's httpNodeRoot, without a slash at its end
   * @param flows Node-RED's events: after a deploy, events that the stopped flows had not finished go out again
   */
  constructor(log: Log, nodeRoot = "", flows?: FlowEvents) {
    this.#log = log;
    this.#nodeRoot = nodeRoot;
    this.#flows = flows;
    this.inbox = new Inbox(() => this.store(), log);
    this.outbox = new Outbox(
      () => this.store(),
      () => this.#config.maxReplyAge,
      (account) => {
        for (const watcher of this.#waitingWatchers.get(account) ?? []) watcher();
      },
    );
    this.http = createHttp();
    this.ownHttp = createHttp({ allowPrivate: true });
  }

  get config(): Readonly<GatewayConfig> {
    return this.#config;
  }

  /** Path of an account on our own server. */
  accountPath(channel: string, account: string): string {
    return `${this.#nodeRoot}/redclaw/${channel}/${account}`;
  }

  /** Where an account is reached from outside; undefined without a public address. No slash at its end. */
  publicAddress(channel: string, account: string): string | undefined {
    const given = this.#config.publicUrl?.replace(/\/+$/, "");
    if (!given) return undefined;
    // The address may name the prefix of Node-RED's own pages already.
    const base = given.endsWith(this.#nodeRoot)
      ? given.slice(0, given.length - this.#nodeRoot.length)
      : given;
    return base + this.accountPath(channel, account);
  }

  /** Puts a gateway node in force. A second one is refused; answers the way to take it out of force. */
  configure(owner: string, config: GatewayConfig): () => Promise<void> {
    if (this.#configuredBy !== undefined && this.#configuredBy !== owner) {
      throw new RedclawError(
        "second-gateway",
        "There is already a Redclaw gateway in this Node-RED. Delete or disable one of the two: only the first is in force.",
      );
    }
    this.#configuredBy = owner;
    this.#keepConfig?.();
    this.#apply(config);
    return async () => {
      this.#configuredBy = undefined;
      this.#resetAfterDeploy();
      // Accounts that close in this stop have begun to when the turn is over; others go on working with the store.
      await new Promise((resolve) => setImmediate(resolve));
      if ([...this.accounts.values()].some((account) => !account.signal.aborted)) return;
      await this.#accountsClosed();
      // What is only in memory stays: a deploy must not forget it.
      if (this.#config.store === "memory" || this.#configuredBy !== undefined) return;
      const closing = this.#store;
      this.#store = undefined;
      await closing?.then(
        (store) => store.close(),
        () => undefined,
      );
    };
  }

  /** Puts settings in force. Another store takes over at once; the old one is closed when nobody needs it any more. */
  #apply(config: GatewayConfig): void {
    const same =
      this.#config.store === config.store && (config.store === "memory" || this.#config.path === config.path);
    this.#config = config;
    this.intake?.changed();
    if (same) return;
    const before = this.#store;
    this.#store = undefined;
    if (!before) return;
    this.#store = this.#movedFrom(before);
    Promise.all([before, this.#store, this.outbox.idle()])
      .then(async ([from, to]) => {
        // What was on its way wrote its end into the old store.
        await carryOver(from, to, ["response"]);
        await from.close();
      })
      .catch((error) => this.#log.warn(asError(error).message));
  }

  /** The store of the settings in force, with all that the one before held. */
  async #movedFrom(before: Promise<Store>): Promise<Store> {
    const store = await this.#openStore();
    try {
      const ofAccounts = [...this.accounts.keys()].map((id) => `account:${id}`);
      const spaces = ["event", "response", "chat", "history", ...ofAccounts];
      const ended = ({ space, key }: Row) => space !== "response" || !this.outbox.isRunning(key);
      await carryOver(await before, store, spaces, ended);
    } catch (error) {
      this.#log.warn(`Not everything could be taken over into the new store: ${asError(error).message}`);
    }
    return store;
  }

  /** The gateway node is gone: without another one at the end of the deploy, the standard settings are in force. */
  #resetAfterDeploy(): void {
    const flows = this.#flows;
    if (!flows) return;
    const reset = () => {
      this.#keepConfig?.();
      this.#apply({ store: "memory", maxReplyAge: MAX_AGE_MS });
    };
    this.#keepConfig = () => {
      flows.off("flows:started", reset);
      this.#keepConfig = undefined;
    };
    flows.on("flows:started", reset);
  }

  /** The store in force, opened when it is first needed. */
  store(): Promise<Store> {
    this.#store ??= this.#openStore();
    return this.#store;
  }

  async #openStore(): Promise<Store> {
    try {
      const store = await openStore({ kind: this.#config.store, path: this.#config.path });
      for (const notice of store.notices) this.#log.warn(notice);
      return store;
    } catch (error) {
      this.#store = undefined;
      throw error;
    }
  }

  /** Opens an account; it connects when the first node uses it. */
  openAccount(definition: ChannelDefinition, settings: AccountConfig, log: Log): Account {
    this.channels.set(definition.name, definition);
    const account = new Account(this, definition, settings, log);
    this.accounts.set(account.id, account);
    this.intake?.changed();
    if (!this.#clock) {
      this.#clock = setInterval(() => this.#tick(), CLOCK_MS).unref();
      this.#flows?.on("flows:started", this.#onFlowsStarted);
    }
    return account;
  }

  /** Closes an account. Unless it was `removed`, responses to it wait until it (or its next version) opens again. */
  async closeAccount(account: Account, removed = false): Promise<void> {
    this.inbox.giveBackRecent(account.id);
    await account.stop();
    if (removed && this.accounts.get(account.id) === account) this.accounts.delete(account.id);
    this.intake?.changed();
    if ([...this.accounts.values()].every(({ signal }) => signal.aborted)) this.#rest();
  }

  /** Nothing to do until the next account opens. */
  #rest(): void {
    clearInterval(this.#clock);
    this.#clock = undefined;
    this.#flows?.off("flows:started", this.#onFlowsStarted);
  }

  /** An account has (again) a connection: take up what an earlier run left. */
  async connected(account: Account): Promise<void> {
    this.intake?.changed();
    try {
      await this.inbox.resume(account.definition, account.id, this.#config.maxReplyAge);
      await this.outbox.resume(account);
    } catch (error) {
      this.#log.warn(`Messages from before the restart could not be read: ${asError(error).message}`);
    }
  }

  /** Sends a response; the receipt settles the event it answers. Rejects with a RedclawError. */
  async send(intent: Intent): Promise<Receipt> {
    const receipt = await this.outbox.send(this.#account(intent.account), intent);
    if (intent.eventId !== undefined) this.inbox.settle(intent.eventId, "answered");
    return receipt;
  }

  /** Shows in the chat that an answer is on its way; where the channel cannot, nothing happens. */
  async typing(chat: ChatContext): Promise<void> {
    const client = this.accounts.get(chat.account)?.client;
    const { id, thread } = chat.conversation;
    await client?.typing?.(thread === undefined ? { conversation: id } : { conversation: id, thread });
  }

  /** The event is still being worked on. */
  holdEvent(eventId: string): void {
    this.inbox.hold(eventId);
  }

  /** Bytes of a received attachment; `ref` is `<account>:<the channel's own reference>`. */
  async download(ref: string, signal: AbortSignal): Promise<OpenedFile> {
    const at = ref.indexOf(":");
    const account = this.#account(ref.slice(0, at));
    const client = await account.ready(Date.now() + CLOCK_MS);
    if (!client.download) {
      throw new RedclawError(
        "no-download",
        `${account.definition.label} does not hand out the files it received.`,
      );
    }
    return client.download(ref.slice(at + 1), signal);
  }

  /** Chats that can be written to: the recent ones, then those the platform lists. */
  async targets(accountId: string, query: string): Promise<ChatTarget[]> {
    const recent = await this.inbox.recentChats(accountId, query);
    const listed =
      (await this.accounts
        .get(accountId)
        ?.client?.targets?.(query)
        .catch(() => [])) ?? [];
    const key = (chat: ChatTarget) => `${chat.id}|${chat.thread ?? ""}`;
    const known = new Set(recent.map(key));
    return [...recent, ...listed.filter((chat) => !known.has(key(chat)))];
  }

  /** Calls back when the number of waiting responses of an account changes. */
  watchWaiting(account: string, watcher: () => void): () => void {
    const watchers = this.#waitingWatchers.get(account) ?? new Set();
    this.#waitingWatchers.set(account, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#waitingWatchers.delete(account);
    };
  }

  /** Lets go of connections and the store; only for a gateway whose accounts are closed. */
  async close(): Promise<void> {
    this.#rest();
    this.intake?.close();
    this.#keepConfig?.();
    await Promise.all([this.http.close(), this.ownHttp.close()]);
    const store = this.#store;
    this.#store = undefined;
    await (await store?.catch(() => undefined))?.close();
  }

  #account(id: string): Account {
    const account = this.accounts.get(id);
    if (!account) {
      throw new RedclawError(
        "account-missing",
        "The account of this chat is not there any more. Choose another account, or put the deleted one back and deploy.",
      );
    }
    return account;
  }

  #tick(): void {
    this.inbox.expireLeases();
    this.#onFlowsStarted();
    this.store()
      .then((store) => store.sweep())
      .catch((error) => this.#log.warn(asError(error).message));
  }

  async #accountsClosed(): Promise<void> {
    const until = Date.now() + CLOSE_WITHIN_MS;
    const open = () => [...this.accounts.values()].some((account) => account.status.state !== "closed");
    while (open() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
