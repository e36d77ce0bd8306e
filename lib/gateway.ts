/** The gateway: what all accounts and nodes of one Node-RED share - store, ledger, inbox, outbox, HTTP, accounts. */
import { Account, type AccountConfig } from "./channel/account";
import type { ChannelDefinition, ChatTarget, Log, OpenedFile } from "./channel/define";
import type { Intake } from "./channel/intake";
import { type Clock, systemClock } from "./clock";
import type { CrashWatch } from "./delivery/crash-watch";
import { Inbox } from "./delivery/inbox";
import { Ledger, type ResponseMarks } from "./delivery/ledger";
import { SharedRate } from "./delivery/limiter";
import type { News, NewsListener } from "./delivery/news";
import { type Intent, Outbox } from "./delivery/outbox";
import { sleep } from "./delivery/retry";
import { asError, RedclawError } from "./errors";
import { createHttp, type Http } from "./http/client";
import type { ChatContext, Receipt } from "./message/types";
import { carryOver } from "./store/carry";
import { openStore } from "./store/open";
import type { Row, Store } from "./store/store";

const CLOCK_MS = 30_000;
const CLOSE_WITHIN_MS = 3000;
const MAX_AGE_MS = 10 * 60_000;
const DAY_MS = 24 * 3_600_000;
/** After too many crashes the channels try again by themselves. */
const KEPT_DOWN_MS = 5 * 60_000;
/** Counts change faster than anybody can read. */
const TELL_EVERY_MS = 200;

/** What Node-RED says about its flows: `config` is the same object until the next deploy. */
export interface FlowsEvent {
  config?: unknown;
}

/** The part of Node-RED's events that is used here. */
export interface FlowEvents {
  on(event: "flows:started" | "flows:stopping", listener: (event?: FlowsEvent) => void): unknown;
  off(event: "flows:started" | "flows:stopping", listener: (event?: FlowsEvent) => void): unknown;
}

export interface GatewayConfig {
  store: "memory" | "sqlite";
  /** File of the embedded store. */
  path?: string;
  /** Milliseconds: an answer older than this is not sent any more. */
  maxReplyAge: number;
  /** `crash-safe` (default): bodies are wiped when they are through. `history`: they stay for `historyDays`. */
  retention?: "crash-safe" | "history";
  historyDays?: number;
  /** Address under which this Node-RED is reached from the internet. */
  publicUrl?: string;
  /** Webhooks are also taken on this port, on a server of our own. */
  webhookPort?: number;
  webhookHost?: string;
  /** Proxies whose `X-Forwarded-For` is believed: `127.0.0.1`, `10.0.0.0/8`. */
  trustedProxies?: string[];
}

export interface GatewayOptions {
  log: Log;
  /** Node-RED's httpNodeRoot, without a slash at its end. */
  nodeRoot?: string;
  /** Node-RED's events. With them nothing connects and no event goes out before the flows are started. */
  flows?: FlowEvents;
  clock?: Clock;
  crashWatch?: CrashWatch;
}

/** A response that ended without a receipt, for the node that sent it. */
export interface Undelivered {
  error: RedclawError;
  key: string;
  marks: ResponseMarks;
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
  readonly #flows?: FlowEvents;
  readonly #crashWatch?: CrashWatch;
  readonly #countWatchers = new Map<string, Set<() => void>>();
  readonly #countsChanged = new Set<string>();
  #countTimer?: NodeJS.Timeout;
  readonly #newsListeners = new Set<NewsListener>();
  readonly #failureListeners = new Map<string, (undelivered: Undelivered) => void>();
  readonly #rates = new Map<string, SharedRate>();
  /** Which account is which bot, and who waits for it. */
  readonly #bots = new Map<string, Account>();
  readonly #botFreed = new Set<() => void>();
  #config: GatewayConfig = { store: "memory", maxReplyAge: MAX_AGE_MS };
  #configuredBy?: string;
  /** Takes back the plan to do without a gateway node. */
  #keepConfig?: () => void;
  #store?: Promise<Store>;
  #tickTimer?: NodeJS.Timeout;
  /** Resolves when the flows run. */
  #running: Promise<void>;
  #setRunning: () => void = () => undefined;
  #isRunning = false;
  /** What Node-RED runs now: another object at its next stop means a deploy, the same one means that it ends. */
  #flowsConfig?: unknown;
  #deploying = false;
  /** Set while the channels are kept down after crashes: ends it. */
  #letConnect?: () => void;
  #keptDown?: Promise<void>;
  #trouble?: string;

  constructor(options: GatewayOptions) {
    this.#log = options.log;
    this.#nodeRoot = options.nodeRoot ?? "";
    this.#flows = options.flows;
    this.#crashWatch = options.crashWatch;
    this.clock = options.clock ?? systemClock;
    this.#running = new Promise((resolve) => {
      this.#setRunning = resolve;
    });
    this.ledger = new Ledger({
      store: () => this.store(),
      clock: this.clock,
      historyMs: () => (this.#config.retention === "history" ? (this.#config.historyDays ?? 30) * DAY_MS : 0),
      trouble: (error) => this.#storeTrouble(error),
    });
    this.inbox = new Inbox({
      ledger: this.ledger,
      log: this.#log,
      maxAge: () => this.#config.maxReplyAge,
      took: () => this.#crashWatch?.useful(),
      stopped: (event, account, id, sentence) =>
        this.#tell({ event, severity: "error", sentence, id, ...this.#describe(account) }),
    });
    this.outbox = new Outbox({
      ledger: this.ledger,
      maxAge: () => this.#config.maxReplyAge,
      settling: (eventId, how) => {
        this.#crashWatch?.useful();
        return this.inbox.settling(eventId, how);
      },
      changed: (account) => this.#countsOf(account),
      stopped: (account, state, error, response) => this.#undelivered(account, state, error, response),
      breakerChanged: (account, open) => this.#breakerChanged(account, open),
    });
    this.http = createHttp();
    this.ownHttp = createHttp({ allowPrivate: true });
    if (this.#flows) {
      this.inbox.pause();
      this.#flows.on("flows:stopping", this.#onStopping);
      this.#flows.on("flows:started", this.#onStarted);
    } else {
      this.#isRunning = true;
      this.#setRunning();
    }
  }

  readonly #onStopping = (event?: FlowsEvent): void => {
    this.#deploying = event?.config !== undefined && event.config !== this.#flowsConfig;
    this.inbox.pause();
    this.inbox.giveBackRecent();
  };

  readonly #onStarted = (event?: FlowsEvent): void => {
    this.#flowsConfig = event?.config;
    const deployed = this.#deploying;
    this.#deploying = false;
    // A deploy is somebody at work: the channels may try again.
    if (deployed) this.#letConnect?.();
    for (const account of this.accounts.values()) if (account.parked) void this.#end(account, false);
    this.#isRunning = true;
    this.#setRunning();
    this.inbox.go();
    for (const account of this.accounts.values()) {
      account.checkAddress();
      this.outbox.pump(account.id);
    }
  };

  get config(): Readonly<GatewayConfig> {
    return this.#config;
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
      this.#crashWatch?.end();
      // What is only in memory stays: a deploy must not forget it.
      if (this.#config.store === "memory" || this.#configuredBy !== undefined) return;
      const closing = this.#store;
      this.#forgetStore();
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
    this.#forgetStore();
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
      const store = await openStore({
        kind: this.#config.store,
        path: this.#config.path,
        expectMore: () => this.outbox.asked > 0,
      });
      for (const notice of store.notices) this.#log.warn(notice);
      return store;
    } catch (error) {
      this.#store = undefined;
      throw error;
    }
  }

  #forgetStore(): void {
    this.#store = undefined;
    this.ledger.storeChanged();
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
    if (before?.parked) void this.#end(before, false);
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
    if (this.#deploying && !removed && !account.signal.aborted) await account.park();
    else await this.#end(account, removed);
  }

  async #end(account: Account, removed: boolean): Promise<void> {
    this.outbox.close(account);
    await account.stop();
    for (const [bot, owner] of this.#bots) if (owner === account) this.#bots.delete(bot);
    for (const freed of [...this.#botFreed]) freed();
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
    clearTimeout(this.#countTimer);
    this.#countTimer = undefined;
    // Without a gateway node nobody else says that this run ended as it should.
    if (this.#configuredBy === undefined && !this.#deploying) this.#crashWatch?.end();
  }

  /** Resolves when the account may connect; `wait` hears, in a sentence, why it does not yet. */
  async mayConnect(account: Account, wait: (reason: string) => void): Promise<void> {
    if (!this.#isRunning) await within(account.signal, this.#running);
    const died = this.#crashWatch?.begin() ?? 0;
    if (died > 0) this.#keepDown(died);
    if (this.#keptDown) {
      wait(
        "Kept down after crashes. Node-RED died three times within five minutes right after its start, so the channels stay down. Mend or disable what you changed last, then deploy: they start again (by themselves after five minutes).",
      );
      await within(account.signal, this.#keptDown);
    }
    await this.#claim(account, wait);
  }

  #keepDown(died: number): void {
    const sentence = `Node-RED crashed ${died} times within five minutes right after its start. The channels stay down, so that you can mend or disable what you changed last. Deploy to start them again; they also try by themselves in five minutes.`;
    this.#log.error(sentence);
    this.#keptDown = new Promise((resolve) => {
      const timer = setTimeout(() => this.#letConnect?.(), KEPT_DOWN_MS).unref();
      this.#letConnect = () => {
        clearTimeout(timer);
        this.#keptDown = undefined;
        this.#letConnect = undefined;
        resolve();
      };
    });
    this.#tell({ event: "crash-loop", severity: "error", sentence });
  }

  /** One account for each bot: two would take each other's messages. */
  async #claim(account: Account, wait: (reason: string) => void): Promise<void> {
    const { name, identity, label } = account.definition;
    const bot = identity?.(account.settings);
    if (bot === undefined) return;
    const key = `${name}|${bot}`;
    for (;;) {
      if (account.signal.aborted) return;
      const owner = this.#bots.get(key);
      if (!owner || owner === account) break;
      // The version before it is on its way out.
      if (owner.id !== account.id) {
        const sentence = `Same bot twice: the ${label} account "${owner.settings.name}" uses this bot already, and a bot can be connected only once. Use that account, or give this one a bot of its own.`;
        wait(sentence);
        this.tellOf(account, { event: "same-bot", severity: "error", sentence });
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#botFreed.delete(done);
          account.signal.removeEventListener("abort", done);
          resolve();
        };
        this.#botFreed.add(done);
        account.signal.addEventListener("abort", done, { once: true });
      });
    }
    this.#bots.set(key, account);
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
    this.#newsListeners.add(listener);
    return () => void this.#newsListeners.delete(listener);
  }

  tellOf(account: Account, news: Pick<News, "event" | "severity" | "sentence"> & Partial<News>): void {
    this.#tell({ ...news, ...this.#describe(account.id) });
  }

  #describe(id: string): Partial<News> {
    const account = this.accounts.get(id);
    const { waiting, held } = this.outbox.counts(id);
    return {
      account: id,
      waiting,
      held,
      ...(account ? { channel: account.definition.name, name: account.settings.name } : {}),
    };
  }

  #tell(news: Omit<News, "v" | "at">): void {
    const whole: News = { v: 1, ...news, at: new Date(this.clock.now()).toISOString() };
    for (const listener of this.#newsListeners) {
      try {
        listener({ ...whole });
      } catch (error) {
        this.#log.warn(asError(error).message);
      }
    }
  }

  #storeTrouble(error: Error | undefined): void {
    this.#trouble = error?.message;
    if (error) {
      this.#log.error(`${error.message} Until then no message is taken, so that none is lost.`);
      const { code } = error as RedclawError;
      this.#tell({ event: "store-trouble", severity: "error", sentence: error.message, code });
    } else {
      this.#log.info("Messages can be written down again.");
      this.#tell({ event: "store-well", severity: "info", sentence: "Messages can be written down again." });
    }
    for (const id of this.#countWatchers.keys()) this.#countsOf(id);
  }

  #breakerChanged(account: Account, open: boolean): void {
    const { label } = account.definition;
    const sentence = open
      ? `${label} failed several times in a row. Sending rests, and one message tries from time to time; nothing is lost.`
      : `${label} works again: the messages that waited are sent.`;
    account.log[open ? "warn" : "info"](sentence);
    this.tellOf(account, {
      event: open ? "breaker-open" : "breaker-closed",
      severity: open ? "warning" : "info",
      sentence,
    });
    this.#countsOf(account.id);
  }

  #undelivered(
    account: Account,
    state: "unknown" | "failed" | "expired",
    error: RedclawError,
    { key, marks, awaited }: { key: string; marks: ResponseMarks; awaited: boolean },
  ): void {
    this.tellOf(account, {
      event: state === "unknown" ? "held" : "dead-letter",
      severity: state === "unknown" ? "warning" : "error",
      sentence: error.message,
      code: error.code,
      conversation: marks.to.conversation,
      id: key,
    });
    // Whoever waits for it hears it himself.
    if (!awaited && marks.node !== undefined) this.#failureListeners.get(marks.node)?.({ error, key, marks });
  }

  /** A node hears when a response that it sent before a restart could not be delivered. */
  watchFailures(node: string, listener: (undelivered: Undelivered) => void): () => void {
    this.#failureListeners.set(node, listener);
    return () => {
      if (this.#failureListeners.get(node) === listener) this.#failureListeners.delete(node);
    };
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
    const watchers = this.#countWatchers.get(account) ?? new Set();
    this.#countWatchers.set(account, watchers.add(watcher));
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#countWatchers.delete(account);
    };
  }

  #countsOf(account: string): void {
    if (!this.#countWatchers.has(account)) return;
    this.#countsChanged.add(account);
    this.#countTimer ??= setTimeout(() => {
      this.#countTimer = undefined;
      for (const id of this.#countsChanged)
        for (const watcher of this.#countWatchers.get(id) ?? []) watcher();
      this.#countsChanged.clear();
    }, TELL_EVERY_MS).unref();
  }

  /** Lets go of connections and the store; only for a gateway whose accounts are closed. */
  async close(): Promise<void> {
    this.#rest();
    this.intake?.close();
    this.#keepConfig?.();
    this.#letConnect?.();
    this.#flows?.off("flows:stopping", this.#onStopping);
    this.#flows?.off("flows:started", this.#onStarted);
    this.inbox.close();
    this.ledger.close();
    await Promise.all([this.http.close(), this.ownHttp.close()]);
    const store = this.#store;
    this.#forgetStore();
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
    this.outbox
      .expireOrphans()
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

/** Waits for `work`, or until the signal is aborted; then `work` no longer counts. */
async function within(signal: AbortSignal, work: Promise<void>): Promise<void> {
  if (signal.aborted) return;
  let abort: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => {
    abort = resolve;
  });
  signal.addEventListener("abort", abort, { once: true });
  await Promise.race([work, aborted]);
  signal.removeEventListener("abort", abort);
}
