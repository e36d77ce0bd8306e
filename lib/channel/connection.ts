/** The connection of an account: made when the account may, made anew whenever it is lost, until the account closes. */
import { backoff, sleep } from "../delivery/retry";
import { asError, ChannelError, RedclawError } from "../errors";
import type { Gateway } from "../gateway";
import type { Http } from "../http/client";
import type { Account } from "./account";
import type { Condition } from "./condition";
import { missingCredential, withoutSecrets } from "./credentials";
import type { Client, ConnectContext } from "./define";
import { accountMemory } from "./memory";

/** Requests in flight may finish for this long when the connection ends. */
const FINISH_WITHIN_MS = 1300;
/** A connection that lasted so long was a good one. */
const STEADY_MS = 30_000;
/** The client has this long to close, after the requests. */
const CLOSE_WITHIN_MS = 500;

export interface ConnectionOptions {
  gateway: Gateway;
  account: Account;
  condition: Condition;
  http: Http;
  /** Values that no message may show. */
  secrets: readonly string[];
}

export class Connection {
  readonly #o: ConnectionOptions;
  /** While there is a connection. */
  client?: Client;
  /** Ends this connection, with the reason. */
  #lose?: (error: Error) => void;
  #silence?: NodeJS.Timeout;
  /** The client was told this public address. */
  #told?: { address: string | undefined };

  constructor(options: ConnectionOptions) {
    this.#o = options;
  }

  /** Resolves when the account closes, or when only its owner can help. How it goes is told by the condition. */
  async keep(): Promise<void> {
    const { gateway, account, condition } = this.#o;
    const { definition, settings, signal, log } = account;
    await gateway.mayConnect(account, (reason) => condition.set({ state: "misconfigured", reason }));
    const missing = missingCredential(definition, settings);
    if (missing) {
      condition.set({ state: "misconfigured", reason: missing });
      return;
    }
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      condition.set({ state: "connecting" });
      let thrown: unknown;
      try {
        const lost = await this.#connect();
        if (!lost) return;
        const since = performance.now();
        thrown = await lost;
        // One that is lost as soon as it is made is no success: the waits grow.
        if (performance.now() - since > STEADY_MS) attempt = 0;
        await this.#disconnect();
      } catch (failed) {
        thrown = failed;
      }
      if (signal.aborted) return;
      const error = withoutSecrets(thrown, this.#o.secrets);
      if (error instanceof ChannelError && error.fault === "auth") {
        account.refused(error);
        return;
      }
      if (isForTheOwner(error)) {
        log.error(error.message);
        condition.set({ state: "misconfigured", reason: error.message });
        return;
      }
      const inMs = (error instanceof ChannelError && error.retryAfterMs) || backoff(Math.max(1, attempt));
      log.warn(`${definition.label}: ${error.message} Trying again in ${Math.ceil(inMs / 1000)} s.`);
      condition.set({ state: "reconnecting", inMs, reason: error.message });
      await sleep(inMs, signal).catch(() => undefined);
    }
  }

  /** Connects; answers a promise of the reason why this connection ended. Undefined: the account closed meanwhile. */
  async #connect(): Promise<Promise<Error> | undefined> {
    const { gateway, account, condition } = this.#o;
    const { connect } = await account.definition.client();
    const lost = new Promise<Error>((resolve) => {
      this.#lose = resolve;
    });
    const client = await connect(this.context());
    if (account.signal.aborted) {
      await client.close();
      return undefined;
    }
    this.client = client;
    const status = condition.connection;
    // A client that has nothing to say about its state is simply connected.
    const silent = status.state === "connecting";
    condition.set(silent ? { state: "connected", identity: account.settings.name } : status);
    await gateway.connected(account);
    return lost;
  }

  /** The connection is gone: what is in flight may finish, then the client makes room for the next one. */
  async #disconnect(): Promise<void> {
    const { client } = this;
    const { signal, log } = this.#o.account;
    // An account that closes does this itself.
    if (!client || signal.aborted) return;
    this.client = undefined;
    clearTimeout(this.#silence);
    await this.finish();
    await within(
      CLOSE_WITHIN_MS,
      client.close().catch((error) => log.debug(asError(error).message)),
    );
  }

  /** What a client is handed: all that it needs of the gateway. */
  context(): ConnectContext {
    const { gateway, account, condition, http } = this.#o;
    const { definition, id, signal } = account;
    const webhookUrl = gateway.publicAddress(definition.name, id);
    this.#told = { address: webhookUrl };
    return {
      account: account.settings,
      fetch: http.fetch,
      request: http.request,
      accept: (update, remember, keepMs) => account.accept(update, remember, keepMs),
      acceptAll: (updates, remember, keepMs) => account.acceptAll(updates, remember, keepMs),
      slowDown: (forMs, chat) => account.slowDown(forMs, chat),
      lost: (error) => this.lose(error),
      alive: (withinMs) => this.#alive(withinMs),
      status: (status) => {
        if (!signal.aborted) condition.set(status);
      },
      memory: accountMemory(id, gateway.ledger),
      open: (attachment) => account.open(attachment),
      log: account.log,
      signal,
      ...(webhookUrl ? { webhookUrl } : {}),
      path: gateway.accountPath(definition.name, id),
    };
  }

  /** True when the public address is another one than the client was told. */
  get hasMoved(): boolean {
    const { gateway, account } = this.#o;
    return (
      this.#told !== undefined &&
      this.#told.address !== gateway.publicAddress(account.definition.name, account.id)
    );
  }

  /** Ends this connection; the next one is made. */
  lose(error: Error): void {
    this.#lose?.(error);
  }

  /** A sign of life; when the next does not come `withinMs`, the connection counts as dead. */
  #alive(withinMs: number): void {
    const { definition, signal } = this.#o.account;
    clearTimeout(this.#silence);
    if (signal.aborted) return;
    this.#silence = setTimeout(() => {
      const sentence = `${definition.label} has been silent for too long; the connection is made anew.`;
      this.lose(new ChannelError("unreachable", sentence));
    }, withinMs);
    this.#silence.unref();
  }

  /** Resolves when no request is in flight, but soon. */
  finish(): Promise<void> {
    const { gateway, account } = this.#o;
    return within(FINISH_WITHIN_MS, gateway.outbox.quiet(account));
  }

  /** The account closes. Requests may finish; `cut` ends those that take too long. */
  async close(cut: () => void): Promise<void> {
    const { client } = this;
    const { signal, log } = this.#o.account;
    clearTimeout(this.#silence);
    this.client = undefined;
    this.lose(asError(signal.reason));
    await this.finish();
    cut();
    const closing = Promise.resolve()
      .then(() => client?.close())
      .catch((error) => log.warn(asError(error).message));
    await within(CLOSE_WITHIN_MS, closing);
  }
}

/** True when trying again changes nothing. */
function isForTheOwner(error: Error): boolean {
  if (!(error instanceof RedclawError) || error.code.startsWith("store-")) return false;
  return !(error instanceof ChannelError && (error.retryable || error.fault === "interrupted"));
}

/** Waits for `work`, but not longer than `ms`; no timer stays. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([work, sleep(ms, waiting.signal).catch(() => undefined)]);
  waiting.abort();
}
