/** An account at work: opens its client, keeps it open, and tells everybody how it is. */
import { Limiter, type Limits } from "../delivery/limiter";
import { backoff, sleep } from "../delivery/retry";
import { asError, ChannelError, RedclawError } from "../errors";
import type { Gateway } from "../gateway";
import { createHttp, type Http } from "../http/client";
import { openAttachment } from "../http/open";
import { redact } from "../http/redact";
import type { OutgoingAttachment } from "../message/types";
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

/** Largest file that is fetched or read to be sent, unless the channel says less. */
const FILE_MAX = 50 * 1024 * 1024;
/** Requests in flight may finish for this long when the account closes. */
const FINISH_WITHIN_MS = 1300;
/** The client has this long to close, after the requests. */
const CLOSE_WITHIN_MS = 500;
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
  readonly log: Log;
  readonly #gateway: Gateway;
  readonly #ending = new AbortController();
  readonly #cutting = new AbortController();
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #http: Http;
  readonly #watchers = new Set<(status: ConnectionStatus) => void>();
  #status: ConnectionStatus = { state: "closed" };
  #hindrance?: string;
  #slowUntil = 0;
  #client?: Client;
  #started = false;

  constructor(gateway: Gateway, definition: ChannelDefinition, settings: AccountConfig, log: Log) {
    this.#gateway = gateway;
    this.id = settings.id;
    this.definition = definition;
    this.settings = settings;
    this.limiter = new Limiter(settings.limits ?? definition.limits);
    const secrets = secretsOf(definition, settings);
    const clean = (write: (text: string) => void) => (text: string) => write(redact(text, secrets));
    this.log = {
      debug: clean(log.debug),
      info: clean(log.info),
      warn: clean(log.warn),
      error: clean(log.error),
    };
    this.#http = accountHttp(settings);
  }

  /** Aborted when the account closes. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Runs one request to the platform. A closing account lets it finish (a request cut in the middle would leave a
   * message that may or may not have arrived) and cuts it only when it takes too long.
   */
  async request<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = work(this.#cutting.signal);
    this.#inFlight.add(running);
    try {
      return await running;
    } finally {
      this.#inFlight.delete(running);
    }
  }

  /** Milliseconds that the platform still wants us to wait; 0 when it does not. */
  get slowForMs(): number {
    return Math.max(0, this.#slowUntil - Date.now());
  }

  /** The platform asked to wait before the next message to `chat`. */
  slowDown(forMs: number, chat: string): void {
    this.limiter.pause(forMs, chat);
    this.#slowUntil = Math.max(this.#slowUntil, Date.now() + forMs);
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

  /** True when a message that may have arrived is sent again: the platform recognises doubles, or the user wants it. */
  get mayResend(): boolean {
    return this.definition.capabilities.idempotency === "key" || this.settings.onUnknown === "resend";
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
    const missing = missingCredential(this.definition, this.settings);
    if (missing) {
      this.#setStatus({ state: "misconfigured", reason: missing });
      return;
    }
    for (let attempt = 1; !this.signal.aborted; attempt += 1) {
      this.#setStatus({ state: "connecting" });
      try {
        await this.#connect();
        return;
      } catch (thrown) {
        const error = this.#cleaned(thrown);
        if (this.signal.aborted) return;
        if (error instanceof ChannelError && error.fault === "auth") {
          this.refused(error);
          return;
        }
        if (
          error instanceof RedclawError &&
          !(error instanceof ChannelError && (error.retryable || error.fault === "interrupted"))
        ) {
          this.log.error(error.message);
          this.#setStatus({ state: "misconfigured", reason: error.message });
          return;
        }
        const inMs = (error instanceof ChannelError && error.retryAfterMs) || backoff(attempt);
        this.log.warn(
          `${this.definition.label}: ${error.message} Trying again in ${Math.ceil(inMs / 1000)} s.`,
        );
        this.#setStatus({ state: "reconnecting", inMs, reason: error.message });
        await sleep(inMs, this.signal).catch(() => undefined);
      }
    }
  }

  async #connect(): Promise<void> {
    const { connect } = await this.definition.client();
    const client = await connect(this.#context());
    if (this.signal.aborted) {
      await client.close();
      return;
    }
    this.#client = client;
    // A client that has nothing to say about its state is simply connected.
    const silent = this.#status.state === "connecting";
    this.#setStatus(silent ? { state: "connected", identity: this.settings.name } : this.#status);
    await this.#gateway.connected(this);
  }

  /** The platform refused the credential: nothing more is sent until a new one is deployed; the queue stays. */
  refused(error: ChannelError): void {
    this.#setStatus({ state: "refused", reason: error.message });
  }

  /** The client, as soon as it is connected. Rejects when `deadline` (ms since 1970) passes, or the account closes. */
  ready(deadline: number): Promise<Client> {
    const usable = () => (this.#status.state === "refused" ? undefined : this.#client);
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
  async accept(update: unknown, remember?: Record<string, unknown>): Promise<void> {
    // A client may receive before `connect` has answered: its update waits, it is not lost.
    const client = this.#client ?? (await this.ready(Date.now() + CONNECT_WITHIN_MS));
    await this.#gateway.inbox.accept(this.definition, this.id, this.#parse(client, update), remember);
  }

  /** A parser that throws has met something nobody knows: that is reported and must not block what comes behind. */
  #parse(client: Client, update: unknown): unknown[] {
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
    const space = `account:${this.id}`;
    const path = this.#gateway.accountPath(this.definition.name, this.id);
    const webhookUrl = this.#gateway.publicAddress(this.definition.name, this.id);
    return {
      account: this.settings,
      fetch: this.#http.fetch,
      accept: (update, remember) => this.accept(update, remember),
      status: (status) => {
        if (!this.signal.aborted) this.#setStatus(status);
      },
      memory: {
        get: async <T>(key: string) =>
          (await (await this.#gateway.store()).get(space, key))?.value as T | undefined,
        set: async (key, value) => {
          await (await this.#gateway.store()).commit([{ put: { space, key, value, at: Date.now() } }]);
        },
      },
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
    const news = status.state === "refused" && this.#status.state !== "refused";
    this.#status = status;
    if (news) this.log.error(`${status.reason} Messages to this account wait until a new one is deployed.`);
    this.#tellWatchers();
  }

  #tellWatchers(): void {
    for (const watcher of [...this.#watchers]) watcher(this.status);
  }

  /** Ends everything in under 2 s; what still waits is kept by the ledger. */
  async stop(): Promise<void> {
    if (this.signal.aborted) return;
    this.#ending.abort(new RedclawError("closing", "The account is closing."));
    const client = this.#client;
    this.#client = undefined;
    await within(FINISH_WITHIN_MS, Promise.allSettled([...this.#inFlight]));
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
