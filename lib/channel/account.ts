/** An account at work: opens its client, keeps it open, and tells everybody how it is. */
import { Breaker } from "../delivery/breaker";
import { Limiter, type Limits } from "../delivery/limiter";
import type { News } from "../delivery/news";
import { backoff, sleep } from "../delivery/retry";
import { asError, ChannelError, RedclawError } from "../errors";
import type { Gateway } from "../gateway";
import { createHttp, type Http } from "../http/client";
import { openAttachment } from "../http/open";
import { redact } from "../http/redact";
import type { MessageEvent, OutgoingAttachment } from "../message/types";
import type {
  AccountSettings,
  ChannelDefinition,
  Client,
  ConnectContext,
  ConnectionStatus,
  Identity,
  Log,
  OpenedFile,
} from "./define";
import { accountMemory } from "./memory";

/** Largest file that is fetched or read to be sent, unless the channel says less. */
const FILE_MAX = 50 * 1024 * 1024;
/** Requests in flight may finish for this long when the account closes. */
const FINISH_WITHIN_MS = 1300;
/** The client has this long to close, after the requests. */
const CLOSE_WITHIN_MS = 500;
const CONNECT_WITHIN_MS = 60_000;
/** Somebody should know of an account without a connection after this long. */
const DOWN_AFTER_MS = 5 * 60_000;

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
  readonly #watchers = new Set<(status: ConnectionStatus) => void>();
  #nodeLog: Log;
  #status: ConnectionStatus = { state: "closed" };
  #hindrance?: string;
  #slowUntil = 0;
  #client?: Client;
  #started = false;
  /** Between two versions of its config node: it receives, and nothing new is sent. */
  #parked = false;
  /** Ends this connection, with the reason. */
  #lose?: (error: Error) => void;
  #silence?: NodeJS.Timeout;
  #down?: NodeJS.Timeout;
  #stopping?: Promise<void>;
  /** The client was told this public address. */
  #webhookUrl?: string;
  #asked = false;

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
    const secrets = secretsOf(definition, settings);
    const clean = (level: keyof Log) => (text: string) => this.#nodeLog[level](redact(text, secrets));
    this.log = { debug: clean("debug"), info: clean("info"), warn: clean("warn"), error: clean("error") };
    this.#http = accountHttp(settings);
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
      this.#client !== undefined && !this.#parked && this.#status.state !== "refused" && !this.signal.aborted
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
    return idempotency === "lookup" && this.#client?.lookup !== undefined;
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
    this.#tellWatchers();
  }

  get status(): ConnectionStatus {
    return this.#hindrance && this.#status.state === "connected"
      ? { state: "misconfigured", reason: this.#hindrance }
      : this.#status;
  }

  /** What keeps the platform from calling us, shown in place of "connected"; undefined: nothing (any more). */
  hinder(reason: string | undefined): void {
    if (reason === this.#hindrance) return;
    this.#hindrance = reason;
    this.#tellWatchers();
  }

  get client(): Client | undefined {
    return this.#client;
  }

  /** Calls back now and on every change; answers the way to stop. */
  watch(watcher: (status: ConnectionStatus) => void): () => void {
    this.#watchers.add(watcher);
    watcher(this.status);
    return () => this.#watchers.delete(watcher);
  }

  /** Starts connecting; how it goes is told by the status. Only the first call counts. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#run().catch((error) => this.log.error(`${this.definition.label}: ${asError(error).message}`));
  }

  async #run(): Promise<void> {
    await this.#gateway.mayConnect(this, (reason) => this.#setStatus({ state: "misconfigured", reason }));
    const missing = missingCredential(this.definition, this.settings);
    if (missing) {
      this.#setStatus({ state: "misconfigured", reason: missing });
      return;
    }
    for (let attempt = 1; !this.signal.aborted; attempt += 1) {
      this.#setStatus({ state: "connecting" });
      let thrown: unknown;
      try {
        const lost = await this.#connect();
        if (!lost) return;
        attempt = 0;
        thrown = await lost;
        await this.#disconnect();
      } catch (failed) {
        thrown = failed;
      }
      if (this.signal.aborted) return;
      const error = this.#cleaned(thrown);
      if (error instanceof ChannelError && error.fault === "auth") {
        this.refused(error);
        return;
      }
      if (
        error instanceof RedclawError &&
        !(error instanceof ChannelError && (error.retryable || error.fault === "interrupted")) &&
        !error.code.startsWith("store-")
      ) {
        this.log.error(error.message);
        this.#setStatus({ state: "misconfigured", reason: error.message });
        return;
      }
      const inMs = (error instanceof ChannelError && error.retryAfterMs) || backoff(Math.max(1, attempt));
      this.log.warn(
        `${this.definition.label}: ${error.message} Trying again in ${Math.ceil(inMs / 1000)} s.`,
      );
      this.#setStatus({ state: "reconnecting", inMs, reason: error.message });
      await sleep(inMs, this.signal).catch(() => undefined);
    }
  }

  /** Connects; answers a promise of the reason why this connection ended. Undefined: the account closed meanwhile. */
  async #connect(): Promise<Promise<Error> | undefined> {
    const { connect } = await this.definition.client();
    const lost = new Promise<Error>((resolve) => {
      this.#lose = resolve;
    });
    const client = await connect(this.#context());
    if (this.signal.aborted) {
      await client.close();
      return undefined;
    }
    this.#client = client;
    // A client that has nothing to say about its state is simply connected.
    const silent = this.#status.state === "connecting";
    this.#setStatus(silent ? { state: "connected", identity: this.settings.name } : this.#status);
    await this.#gateway.connected(this);
    return lost;
  }

  /** The connection is gone: what is in flight may finish, then the client makes room for the next one. */
  async #disconnect(): Promise<void> {
    const client = this.#client;
    // An account that closes does this itself.
    if (!client || this.signal.aborted) return;
    this.#client = undefined;
    clearTimeout(this.#silence);
    await within(FINISH_WITHIN_MS, this.#gateway.outbox.quiet(this));
    await within(
      CLOSE_WITHIN_MS,
      client.close().catch((error) => this.log.debug(asError(error).message)),
    );
  }

  /** A sign of life; when the next does not come `withinMs`, the connection counts as dead. */
  #alive(withinMs: number): void {
    clearTimeout(this.#silence);
    if (this.signal.aborted) return;
    this.#silence = setTimeout(() => {
      const { label } = this.definition;
      this.#lose?.(
        new ChannelError(
          "unreachable",
          `${label} has been silent for too long; the connection is made anew.`,
        ),
      );
    }, withinMs);
    this.#silence.unref();
  }

  /** The platform refused the credential: nothing more is sent until a new one is deployed; the queue stays. */
  refused(error: ChannelError): void {
    this.#setStatus({ state: "refused", reason: error.message });
  }

  /** True when a config node with these settings can go on with this very account. */
  isSame(definition: ChannelDefinition, settings: AccountConfig): boolean {
    return (
      this.definition === definition &&
      !this.signal.aborted &&
      JSON.stringify(this.settings) === JSON.stringify(settings) &&
      (!this.#asked || this.#webhookUrl === this.#gateway.publicAddress(definition.name, this.id))
    );
  }

  /** The flows run. When the public address is another one than the client was told, it has to tell the platform. */
  checkAddress(): void {
    const { webhook, name } = this.definition;
    if (!this.#asked || !webhook?.active(this.settings)) return;
    if (this.#webhookUrl === this.#gateway.publicAddress(name, this.id)) return;
    this.#lose?.(new ChannelError("unreachable", "The public address has changed.", { retryAfterMs: 1 }));
  }

  /** Its config node closes in a deploy: the connection stays, requests in flight finish, no new one begins. */
  async park(): Promise<void> {
    this.#parked = true;
    await within(FINISH_WITHIN_MS, this.#gateway.outbox.quiet(this));
  }

  /** A new config node takes it over. */
  unpark(log: Log): void {
    this.#nodeLog = log;
    this.#parked = false;
    this.#gateway.outbox.pump(this.id);
    this.#tellWatchers();
  }

  /** The client, as soon as it is connected. Rejects when `deadline` (ms since 1970) passes, or the account closes. */
  ready(deadline: number): Promise<Client> {
    const usable = () => this.#client;
    const client = usable();
    if (client) return Promise.resolve(client);
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        this.signal.removeEventListener("abort", closed);
        settle();
      };
      const check = () => {
        const found = usable();
        if (found) finish(() => resolve(found));
      };
      const closed = () => finish(() => reject(this.#notConnected("was closed")));
      const timer = setTimeout(
        () => finish(() => reject(this.#notConnected("was not connected in time"))),
        Math.max(0, deadline - Date.now()),
      );
      this.#watchers.add(check);
      if (this.signal.aborted) closed();
      else this.signal.addEventListener("abort", closed, { once: true });
    });
  }

  #notConnected(what: string): RedclawError {
    const { label } = this.definition;
    const reason = "reason" in this.#status ? ` ${this.#status.reason}` : "";
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
    const client = this.#client ?? (await this.ready(Date.now() + CONNECT_WITHIN_MS));
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
      const client = await connect(account.#context(), { test: true });
      try {
        return (await client.test?.()) ?? { name: definition.label, sentence: "The settings are complete." };
      } finally {
        await client.close();
      }
    } catch (thrown) {
      throw account.#cleaned(thrown);
    } finally {
      await account.stop();
    }
  }

  /** The error without any secret of this account in it. */
  #cleaned(thrown: unknown): Error {
    const error = asError(thrown);
    error.message = redact(error.message, secretsOf(this.definition, this.settings));
    return error;
  }

  #context(): ConnectContext {
    const path = this.#gateway.accountPath(this.definition.name, this.id);
    const webhookUrl = this.#gateway.publicAddress(this.definition.name, this.id);
    this.#asked = true;
    this.#webhookUrl = webhookUrl;
    return {
      account: this.settings,
      fetch: this.#http.fetch,
      request: this.#http.request,
      accept: (update, remember, keepMs) => this.accept(update, remember, keepMs),
      acceptAll: (updates, remember, keepMs) => this.acceptAll(updates, remember, keepMs),
      slowDown: (forMs, chat) => this.slowDown(forMs, chat),
      lost: (error) => this.#lose?.(error),
      alive: (withinMs) => this.#alive(withinMs),
      status: (status) => {
        if (!this.signal.aborted) this.#setStatus(status);
      },
      memory: accountMemory(this.id, this.#gateway.ledger),
      open: (attachment) => this.open(attachment),
      log: this.log,
      signal: this.signal,
      ...(webhookUrl ? { webhookUrl } : {}),
      path,
    };
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

  #setStatus(status: ConnectionStatus): void {
    const before = this.#status.state;
    this.#status = status;
    if (status.state !== before) this.#changedState(status);
    this.#tellWatchers();
    if (status.state === "connected") this.#gateway.outbox.pump(this.id);
  }

  #changedState(status: ConnectionStatus): void {
    const { label } = this.definition;
    const tell = (event: News["event"], severity: News["severity"], sentence: string) =>
      this.#gateway.tellOf(this, { event, severity, sentence });
    if (status.state === "connected" || status.state === "closed") {
      clearTimeout(this.#down);
      this.#down = undefined;
    }
    switch (status.state) {
      case "connected":
        tell("connected", "info", `${label} is connected as ${status.identity}.`);
        break;
      case "refused":
        this.log.error(`${status.reason} Messages to this account wait until a new one is deployed.`);
        tell("refused", "error", status.reason);
        break;
      case "conflict":
      case "misconfigured":
        tell(status.state, "error", status.reason);
        break;
      case "reconnecting":
        this.#down ??= setTimeout(() => {
          const { reason } = { reason: "", ...this.#status };
          const sentence = `${label} has been out of reach for ${DOWN_AFTER_MS / 60_000} minutes. Redclaw goes on trying. ${reason}`;
          tell("down", "warning", sentence.trim());
        }, DOWN_AFTER_MS).unref();
    }
  }

  #tellWatchers(): void {
    for (const watcher of [...this.#watchers]) watcher(this.status);
  }

  /** Ends everything in under 2 s; what still waits is kept by the ledger. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#ending.abort(new RedclawError("closing", "The account is closing."));
    clearTimeout(this.#silence);
    clearTimeout(this.#down);
    const client = this.#client;
    this.#client = undefined;
    this.#lose?.(asError(this.signal.reason));
    await within(FINISH_WITHIN_MS, this.#gateway.outbox.quiet(this));
    this.#cutting.abort(this.signal.reason);
    const closing = Promise.resolve()
      .then(() => client?.close())
      .catch((error) => this.log.warn(asError(error).message));
    await within(CLOSE_WITHIN_MS, closing);
    await this.#http.close();
    this.#setStatus({ state: "closed" });
  }
}

/** Waits for `work`, but not longer than `ms`; no timer stays. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([work, sleep(ms, waiting.signal).catch(() => undefined)]);
  waiting.abort();
}

/** HTTP that may reach the account's own server on the local network, and nothing else there. */
function accountHttp(settings: AccountConfig): Http {
  const own =
    settings.apiRoot && URL.canParse(settings.apiRoot) ? new URL(settings.apiRoot).hostname : undefined;
  return createHttp({ allowPrivate: (hostname) => own !== undefined && hostname === own });
}

function secretsOf(definition: ChannelDefinition, settings: AccountSettings): string[] {
  return Object.keys(definition.credentials).flatMap((field) => {
    const value = definition.credentials[field]?.secret && settings.credentials[field];
    return value ? [value] : [];
  });
}

function missingCredential(definition: ChannelDefinition, settings: AccountSettings): string | undefined {
  for (const [field, { required, label }] of Object.entries(definition.credentials)) {
    if (required && !settings.credentials[field]?.trim()) {
      return `The ${definition.label} account has no ${label.toLowerCase()} yet. Open the account and paste it.`;
    }
  }
  return undefined;
}
