/** The gateway: what all accounts and nodes of one Node-RED share - store, ledger, inbox, outbox, HTTP, accounts. */
import { Account, type AccountConfig } from "./channel/account";
import { Bots } from "./channel/bots";
import type { ChannelDefinition, ChatTarget, Log, OpenedFile } from "./channel/define";
import type { Intake } from "./channel/intake";
import { type Clock, systemClock } from "./clock";
import { Configuration, type GatewayConfig } from "./configuration";
import { CountWatchers } from "./delivery/count-watchers";
import type { CrashWatch } from "./delivery/crash-watch";
import { Inbox } from "./delivery/inbox";
import { Ledger } from "./delivery/ledger";
import { SharedRate } from "./delivery/limiter";
import type { News, NewsListener } from "./delivery/news";
import { Newsroom, type Undelivered } from "./delivery/newsroom";
import { type Intent, Outbox } from "./delivery/outbox";
import { sleep } from "./delivery/retry";
import { asError, RedclawError } from "./errors";
import { createHttp, type Http } from "./http/client";
import { type FlowEvents, Lifecycle } from "./lifecycle";
import type { ChatContext, Receipt } from "./message/types";
import { StoreInForce } from "./store/in-force";
import type { Store } from "./store/store";

const CLOCK_MS = 30_000;
const CLOSE_WITHIN_MS = 3000;
const DAY_MS = 24 * 3_600_000;

export interface GatewayOptions {
  log: Log;
  /** Node-RED's httpNodeRoot, without a slash at its end. */
  nodeRoot?: string;
  /** Node-RED's events. With them nothing connects and no event goes out before the flows are started. */
  flows?: FlowEvents;
  clock?: Clock;
  crashWatch?: CrashWatch;
}

export class Gateway {
  readonly accounts = new Map<string, Account>();
  /** Channel definitions by name: ours, and those of other packages. */
  readonly channels = new Map<string, ChannelDefinition>();
  readonly clock: Clock;
  readonly ledger: Ledger;
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
  readonly #crashWatch?: CrashWatch;
  readonly #configuration: Configuration;
  readonly #stores: StoreInForce;
  readonly #newsroom: Newsroom;
  readonly #counts = new CountWatchers();
  readonly #rates = new Map<string, SharedRate>();
  readonly #bots = new Bots();
  readonly #lifecycle: Lifecycle;
  /** Versions of accounts that are on their way out, by the account's id. */
  readonly #ends = new Map<string, Promise<void>>();
  #tickTimer?: NodeJS.Timeout;
  #trouble?: string;

  constructor(options: GatewayOptions) {
    const { log, flows, crashWatch } = options;
    this.#log = log;
    this.#nodeRoot = options.nodeRoot ?? "";
    this.#crashWatch = crashWatch;
    this.clock = options.clock ?? systemClock;
    this.#configuration = new Configuration(flows, ({ store, path }) => {
      this.intake?.changed();
      this.#stores.choose({ kind: store, path });
    });
    this.#stores = new StoreInForce({
      log,
      accounts: () => this.accounts.keys(),
      isOnItsWay: (key) => this.outbox.isRunning(key),
      idle: () => this.outbox.idle(),
      expectMore: () => this.outbox.asked > 0,
      changed: () => this.ledger.storeChanged(),
    });
    this.#newsroom = new Newsroom({
      log,
      clock: this.clock,
      accounts: this.accounts,
      counts: (account) => this.outbox.counts(account),
    });
    this.ledger = new Ledger({
      store: () => this.store(),
      clock: this.clock,
      historyMs: () => (this.config.retention === "history" ? (this.config.historyDays ?? 30) * DAY_MS : 0),
      trouble: (error) => {
        this.#trouble = error?.message;
        this.#newsroom.storeTrouble(error);
        this.#counts.allChanged();
      },
    });
    this.inbox = new Inbox({
      ledger: this.ledger,
      log,
      maxAge: () => this.config.maxReplyAge,
      took: () => crashWatch?.useful(),
      stopped: (event, account, id, sentence) =>
        this.#newsroom.tellOf(account, { event, severity: "error", sentence, id }),
    });
    this.outbox = new Outbox({
      ledger: this.ledger,
      maxAge: () => this.config.maxReplyAge,
      settling: (eventId, how) => {
        crashWatch?.useful();
        return this.inbox.settling(eventId, how);
      },
      changed: (account) => this.#counts.changed(account),
      stopped: ({ id }, state, error, response) => this.#newsroom.undelivered(id, state, error, response),
      breakerChanged: (account, open) => {
        this.#newsroom.breakerChanged(account, open);
        this.#counts.changed(account.id);
      },
    });
    this.http = createHttp();
    this.ownHttp = createHttp({ allowPrivate: true });
    if (flows) this.inbox.pause();
    this.#lifecycle = new Lifecycle({
      flows,
      crashWatch,
      stopping: () => {
        this.inbox.pause();
        this.inbox.giveBackRecent();
      },
      started: () => this.#flowsStarted(),
      keptDown: (sentence) => {
        log.error(sentence);
        this.#newsroom.tell({ event: "crash-loop", severity: "error", sentence });
      },
    });
  }

  #flowsStarted(): void {
    // No new config node took them over.
    for (const account of this.accounts.values()) if (account.parked) void this.#end(account, false);
    this.inbox.go();
    for (const account of this.accounts.values()) {
      account.checkAddress();
      this.outbox.pump(account.id);
    }
  }

  get config(): Readonly<GatewayConfig> {
    return this.#configuration.current;
  }

  /** What is wrong with the store, in a sentence; undefined while all is well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Path of an account on our own server. */
  accountPath(channel: string, account: string): string {
    return `${this.#nodeRoot}/redclaw/${channel}/${account}`;
  }

  /** Where an account is reached from outside; undefined without a public address. No slash at its end. */
  publicAddress(channel: string, account: string): string | undefined {
    const given = this.config.publicUrl?.replace(/\/+$/, "");
    if (!given) return undefined;
    // The address may name the prefix of Node-RED's own pages already.
    const base = given.endsWith(this.#nodeRoot)
      ? given.slice(0, given.length - this.#nodeRoot.length)
      : given;
    return base + this.accountPath(channel, account);
  }

  /** Puts a gateway node in force. A second one is refused; answers the way to take it out of force. */
  configure(owner: string, config: GatewayConfig): () => Promise<void> {
    this.#configuration.own(owner, config);
    return async () => {
      this.#configuration.disown();
      // Accounts that close in this stop have begun to when the turn is over; others go on working with the store.
      await new Promise((resolve) => setImmediate(resolve));
      if ([...this.accounts.values()].some((account) => !account.signal.aborted)) return;
      await this.#accountsClosed();
      this.#crashWatch?.end();
      // What is only in memory stays: a deploy must not forget it.
      if (this.config.store === "memory" || this.#configuration.isOwned) return;
      await this.#stores.close();
    };
  }

  /** The store in force, opened when it is first needed. */
  store(): Promise<Store> {
    return this.#stores.get();
  }

  /** Opens an account; it connects when the first node uses it. In a deploy that did not change it, it just goes on. */
  openAccount(definition: ChannelDefinition, settings: AccountConfig, log: Log): Account {
    this.channels.set(definition.name, definition);
    const before = this.accounts.get(settings.id);
    if (before?.parked && before.isSame(definition, settings)) {
      before.unpark(log);
      return before;
    }
    const account = new Account(this, definition, settings, log);
    // One connection at a time: the new version waits until the old one has let go.
    if (before?.parked) this.#ends.set(account.id, this.#end(before, false));
    this.accounts.set(account.id, account);
    this.outbox.open(account);
    this.intake?.changed();
    this.#tickTimer ??= setInterval(() => this.#tick(), CLOCK_MS).unref();
    return account;
  }

  /**
   * Its config node closes. Unless it was `removed`, responses to it wait until it (or its next version) opens again;
   * in a deploy the connection is kept for that.
   */
  async closeAccount(account: Account, removed = false): Promise<void> {
    this.inbox.giveBackRecent(account.id);
    if (this.#lifecycle.deploying && !removed && !account.signal.aborted) await account.park();
    else await this.#end(account, removed);
  }

  async #end(account: Account, removed: boolean): Promise<void> {
    this.outbox.close(account);
    await account.stop();
    this.#bots.release(account);
    if (removed && this.accounts.get(account.id) === account) {
      this.accounts.delete(account.id);
      this.inbox.forget(account.id);
      this.outbox.forget(account);
    }
    this.intake?.changed();
    if ([...this.accounts.values()].every(({ signal }) => signal.aborted)) this.#rest();
  }

  /** Nothing to do until the next account opens. */
  #rest(): void {
    clearInterval(this.#tickTimer);
    this.#tickTimer = undefined;
    this.#counts.rest();
    // Without a gateway node nobody else says that this run ended as it should.
    if (!this.#configuration.isOwned && !this.#lifecycle.deploying) this.#crashWatch?.end();
  }

  /** Resolves when the account may connect; `wait` hears, in a sentence, why it does not yet. */
  async mayConnect(account: Account, wait: (reason: string) => void): Promise<void> {
    await this.#lifecycle.mayConnect(account.signal, wait);
    await this.#ends.get(account.id);
    this.#ends.delete(account.id);
    await this.#bots.claim(account, (sentence) => {
      wait(sentence);
      this.tellOf(account, { event: "same-bot", severity: "error", sentence });
    });
  }

  /** The rate that all accounts of a channel share. */
  sharedRate({ name }: ChannelDefinition, rate: string): SharedRate {
    const known = this.#rates.get(name);
    if (known?.rate === rate) return known;
    const shared = new SharedRate(rate);
    this.#rates.set(name, shared);
    return shared;
  }

  /** An account has (again) a connection: take up what an earlier run left. Tries until the store can be read. */
  async connected(account: Account): Promise<void> {
    this.intake?.changed();
    const { definition, id } = account;
    for (;;) {
      try {
        await this.inbox.resume(definition, id, () => this.outbox.resume(account));
        return;
      } catch (error) {
        if (account.signal.aborted) return;
        this.#log.warn(`Messages from before the restart could not be read: ${asError(error).message}`);
        await sleep(CLOCK_MS, account.signal).catch(() => undefined);
        if (account.signal.aborted) return;
      }
    }
  }

  /** Says what a flow may want to raise an alarm about. */
  onNews(listener: NewsListener): () => void {
    return this.#newsroom.listen(listener);
  }

  tellOf(account: Account, news: Omit<News, "v" | "at">): void {
    this.#newsroom.tellOf(account.id, news);
  }

  /** A node hears when a response that it sent before a restart could not be delivered. */
  watchFailures(node: string, listener: (undelivered: Undelivered) => void): () => void {
    return this.#newsroom.watchFailures(node, listener);
  }

  /** Sends a response; the receipt settles the event it answers. Rejects with a RedclawError. */
  async send(intent: Intent): Promise<Receipt> {
    const account = this.#account(intent.account);
    if (intent.eventId === undefined) return this.outbox.send(account, intent);
    const end = this.inbox.begin(intent.eventId);
    try {
      return await this.outbox.send(account, intent);
    } finally {
      end();
    }
  }

  /** Shows in the chat that an answer is on its way; where the channel cannot, nothing happens. */
  async typing(chat: ChatContext): Promise<void> {
    const account = this.accounts.get(chat.account);
    const { id, thread } = chat.conversation;
    if (!account?.sends || account.breaker.open || account.limiter.pausedMs(id) > 0) return;
    const { client } = account;
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

  /** Calls back when the counts of an account (sent, waiting, held) change. */
  watchCounts(account: string, watcher: () => void): () => void {
    return this.#counts.watch(account, watcher);
  }

  /** Lets go of connections and the store; only for a gateway whose accounts are closed. */
  async close(): Promise<void> {
    this.#rest();
    this.intake?.close();
    this.#configuration.close();
    this.#lifecycle.close();
    this.inbox.close();
    this.ledger.close();
    await Promise.all([this.http.close(), this.ownHttp.close()]);
    await this.#stores.close();
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
    Promise.all([this.inbox.expireOrphans(), this.outbox.expireOrphans()])
      .then(() => this.store())
      .then((store) => store.sweep())
      .catch((error) => this.#log.warn(asError(error).message));
  }

  async #accountsClosed(): Promise<void> {
    const until = Date.now() + CLOSE_WITHIN_MS;
    const open = () => [...this.accounts.values()].some((account) => account.status.state !== "closed");
    while (open() && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
