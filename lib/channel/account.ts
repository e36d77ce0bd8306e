/** An account at work: what it may send, what it receives, and how it opens, goes through a deploy and closes. */
import { Breaker } from "../delivery/breaker";
import { Limiter, type Limits } from "../delivery/limiter";
import { asError, ChannelError, RedclawError } from "../errors";
import type { Gateway } from "../gateway";
import { createHttp, type Http } from "../http/client";
import { openAttachment } from "../http/open";
import { redact } from "../http/redact";
import type { MessageEvent, OutgoingAttachment } from "../message/types";
import { Condition } from "./condition";
import { Connection } from "./connection";
import { missingCredential, secretsOf, withoutSecrets } from "./credentials";
import type {
  AccountSettings,
  ChannelDefinition,
  Client,
  ConnectionStatus,
  Identity,
  Log,
  OpenedFile,
} from "./define";

/** Largest file that is fetched or read to be sent, unless the channel says less. */
const FILE_MAX = 50 * 1024 * 1024;
const CONNECT_WITHIN_MS = 60_000;

export interface AccountConfig extends AccountSettings {
  /** Overrides the platform's limits; `{}`: none (a server of one's own). */
  limits?: Limits;
  /** What to do with a message that may or may not have arrived. */
  onUnknown?: "hold" | "resend";
}

export class Account {
  readonly id: string;
  readonly definition: ChannelDefinition;
  readonly settings: AccountConfig;
  readonly limiter: Limiter;
  readonly breaker = new Breaker();
  readonly log: Log;
  readonly #gateway: Gateway;
  readonly #ending = new AbortController();
  readonly #cutting = new AbortController();
  readonly #http: Http;
  readonly #secrets: readonly string[];
  readonly #condition: Condition;
  readonly #connection: Connection;
  #nodeLog: Log;
  #slowUntil = 0;
  #started = false;
  /** Between two versions of its config node: it receives, and nothing new is sent. */
  #parked = false;
  #stopping?: Promise<void>;

  constructor(gateway: Gateway, definition: ChannelDefinition, settings: AccountConfig, log: Log) {
    this.#gateway = gateway;
    this.id = settings.id;
    this.definition = definition;
    this.settings = settings;
    const limits = settings.limits ?? definition.limits;
    this.limiter = new Limiter(
      limits,
      limits.global ? gateway.sharedRate(definition, limits.global) : undefined,
    );
    this.#nodeLog = log;
    this.#secrets = secretsOf(definition, settings);
    const clean = (level: keyof Log) => (text: string) => this.#nodeLog[level](redact(text, this.#secrets));
    this.log = { debug: clean("debug"), info: clean("info"), warn: clean("warn"), error: clean("error") };
    this.#http = accountHttp(settings);
    this.#condition = new Condition(gateway, this);
    this.#connection = new Connection({
      gateway,
      account: this,
      condition: this.#condition,
      http: this.#http,
      secrets: this.#secrets,
    });
  }

  /** Aborted when the account closes. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  get parked(): boolean {
    return this.#parked;
  }

  /** True while requests to the platform may begin. */
  get sends(): boolean {
    return (
      this.client !== undefined &&
      !this.#parked &&
      this.#condition.connection.state !== "refused" &&
      !this.signal.aborted
    );
  }

  /** True when a cut off request leaves it open whether the message arrived: each is marked before it leaves. */
  get marksSending(): boolean {
    return this.definition.capabilities.idempotency !== "key";
  }

  /**
   * True when a message that may have arrived is tried again: the platform recognises doubles, we can look whether it
   * is there, or the user wants it.
   */
  get mayRetryUnknown(): boolean {
    const { idempotency } = this.definition.capabilities;
    if (idempotency === "key" || this.settings.onUnknown === "resend") return true;
    return idempotency === "lookup" && this.client?.lookup !== undefined;
  }

  /**
   * Runs one request to the platform. A closing account lets it finish (a request cut in the middle would leave a
   * message that may or may not have arrived) and cuts it only when it takes too long.
   */
  request<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return work(this.#cutting.signal);
  }

  /** Milliseconds that the platform still wants us to wait; 0 when it does not. */
  get slowForMs(): number {
    return Math.max(0, this.#slowUntil - performance.now());
  }

  /** The platform asked to wait before the next message to `chat`, or to anybody. */
  slowDown(forMs: number, chat?: string): void {
    this.limiter.pause(forMs, chat);
    this.#slowUntil = Math.max(this.#slowUntil, performance.now() + forMs);
    this.#condition.changed();
  }

  get status(): ConnectionStatus {
    return this.#condition.status;
  }

  /** What keeps the platform from calling us, shown in place of "connected"; undefined: nothing (any more). */
  hinder(reason: string | undefined): void {
    this.#condition.hinder(reason);
  }

  get client(): Client | undefined {
    return this.#connection.client;
  }

  /** Calls back now and on every change; answers the way to stop. */
  watch(watcher: (status: ConnectionStatus) => void): () => void {
    return this.#condition.watch(watcher);
  }

  /** Starts connecting; how it goes is told by the status. Only the first call counts. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#connection
      .keep()
      .catch((error) => this.log.error(`${this.definition.label}: ${asError(error).message}`));
  }

  /** The platform refused the credential: nothing more is sent until a new one is deployed; the queue stays. */
  refused(error: ChannelError): void {
    this.#condition.set({ state: "refused", reason: error.message });
  }

  /** True when a config node with these settings can go on with this very account. */
  isSame(definition: ChannelDefinition, settings: AccountConfig): boolean {
    return (
      this.definition === definition &&
      !this.signal.aborted &&
      JSON.stringify(this.settings) === JSON.stringify(settings) &&
      !this.#connection.hasMoved
    );
  }

  /** The flows run. When the public address is another one than the client was told, it has to tell the platform. */
  checkAddress(): void {
    if (!this.#connection.hasMoved || !this.definition.webhook?.active(this.settings)) return;
    this.#connection.lose(
      new ChannelError("unreachable", "The public address has changed.", { retryAfterMs: 1 }),
    );
  }

  /** Its config node closes in a deploy: the connection stays, requests in flight finish, no new one begins. */
  async park(): Promise<void> {
    this.#parked = true;
    await this.#connection.finish();
  }

  /** A new config node takes it over. */
  unpark(log: Log): void {
    this.#nodeLog = log;
    this.#parked = false;
    this.#gateway.outbox.pump(this.id);
    this.#condition.changed();
  }

  /** The client, as soon as it is connected. Rejects when `deadline` (ms since 1970) passes, or the account closes. */
  ready(deadline: number): Promise<Client> {
    const { client } = this;
    if (client) return Promise.resolve(client);
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        unwatch();
        this.signal.removeEventListener("abort", closed);
        settle();
      };
      const closed = () => finish(() => reject(this.#notConnected("was closed")));
      const timer = setTimeout(
        () => finish(() => reject(this.#notConnected("was not connected in time"))),
        Math.max(0, deadline - Date.now()),
      );
      const unwatch = this.#condition.watch(() => {
        const found = this.client;
        if (found) finish(() => resolve(found));
      });
      if (this.signal.aborted) closed();
      else this.signal.addEventListener("abort", closed, { once: true });
    });
  }

  #notConnected(what: string): RedclawError {
    const { label } = this.definition;
    const status = this.#condition.connection;
    const reason = "reason" in status ? ` ${status.reason}` : "";
    return new RedclawError(
      "not-connected",
      `The ${label} account ${what}, so the message was not sent.${reason}`,
    );
  }

  /** Receives one raw update: events of it become durable, then go out on the wires. */
  accept(update: unknown, remember?: Record<string, unknown>, keepMs?: number): Promise<void> {
    return this.acceptAll([update], remember, keepMs);
  }

  /** The same for several updates in their order, in one commit. */
  async acceptAll(
    updates: readonly unknown[],
    remember?: Record<string, unknown>,
    keepMs?: number,
  ): Promise<void> {
    // A client may receive before `connect` has answered: its update waits, it is not lost.
    const client = this.client ?? (await this.ready(Date.now() + CONNECT_WITHIN_MS));
    const events = updates.flatMap((update) => this.#parse(client, update));
    await this.#gateway.inbox.accept(this.definition, this.id, events, remember, keepMs);
  }

  /** A parser that throws has met something nobody knows: that is reported and must not block what comes behind. */
  #parse(client: Client, update: unknown): MessageEvent[] {
    try {
      const events = client.receive(update);
      // A reference finds its way back to the account that can resolve it.
      for (const { attachments } of events)
        for (const file of attachments) file.ref = `${this.id}:${file.ref}`;
      return events;
    } catch (thrown) {
      this.log.error(
        `${this.definition.label}: an update could not be read and was left out. ${asError(thrown).message}`,
      );
      return [];
    }
  }

  /** Asks the platform who we are, with these settings; nothing is received or sent. */
  static async test(
    gateway: Gateway,
    definition: ChannelDefinition,
    settings: AccountConfig,
    log: Log,
  ): Promise<Identity> {
    const missing = missingCredential(definition, settings);
    if (missing) throw new RedclawError("credential-missing", missing);
    const account = new Account(gateway, definition, settings, log);
    try {
      const { connect } = await definition.client();
      const client = await connect(account.#connection.context(), { test: true });
      try {
        return (await client.test?.()) ?? { name: definition.label, sentence: "The settings are complete." };
      } finally {
        await client.close();
      }
    } catch (thrown) {
      throw withoutSecrets(thrown, account.#secrets);
    } finally {
      await account.stop();
    }
  }

  /** Bytes of a file that a flow wants to send; strangers cannot make it reach into the local network. */
  open(attachment: OutgoingAttachment): Promise<OpenedFile> {
    return openAttachment(attachment, {
      fetch: this.#gateway.http.fetch,
      maxBytes: this.definition.capabilities.fileMax ?? FILE_MAX,
      signal: this.signal,
      download: (ref) => this.#gateway.download(ref, this.signal),
    });
  }

  /** Ends everything in under 2 s; what still waits is kept by the ledger. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#ending.abort(new RedclawError("closing", "The account is closing."));
    this.#condition.expectNothing();
    await this.#connection.close(() => this.#cutting.abort(this.signal.reason));
    await this.#http.close();
    this.#condition.set({ state: "closed" });
  }
}

/** HTTP that may reach the account's own server on the local network, and nothing else there. */
function accountHttp(settings: AccountConfig): Http {
  const own =
    settings.apiRoot && URL.canParse(settings.apiRoot) ? new URL(settings.apiRoot).hostname : undefined;
  return createHttp({ allowPrivate: (hostname) => own !== undefined && hostname === own });
}
