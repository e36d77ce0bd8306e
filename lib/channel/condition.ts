/** The condition of an account: the status that everybody sees, and what of it is news. */
import type { News } from "../delivery/news";
import type { Gateway } from "../gateway";
import type { Account } from "./account";
import type { ConnectionStatus } from "./define";

/** Somebody should know of an account without a connection after this long. */
const DOWN_AFTER_MS = 5 * 60_000;

export class Condition {
  readonly #gateway: Gateway;
  readonly #account: Account;
  readonly #watchers = new Set<(status: ConnectionStatus) => void>();
  #status: ConnectionStatus = { state: "closed" };
  #hindrance?: string;
  #down?: NodeJS.Timeout;

  constructor(gateway: Gateway, account: Account) {
    this.#gateway = gateway;
    this.#account = account;
  }

  /** How the connection is, whatever hinders the platform. */
  get connection(): ConnectionStatus {
    return this.#status;
  }

  /** What is shown. */
  get status(): ConnectionStatus {
    return this.#hindrance && this.#status.state === "connected"
      ? { state: "misconfigured", reason: this.#hindrance }
      : this.#status;
  }

  /** The connection changed. */
  set(status: ConnectionStatus): void {
    const before = this.#status.state;
    this.#status = status;
    if (status.state !== before) this.#changedState(status);
    this.changed();
    if (status.state === "connected") this.#gateway.outbox.pump(this.#account.id);
  }

  /** What keeps the platform from calling us; undefined: nothing (any more). */
  hinder(reason: string | undefined): void {
    if (reason === this.#hindrance) return;
    this.#hindrance = reason;
    this.changed();
  }

  /** Calls back now and on every change; answers the way to stop. */
  watch(watcher: (status: ConnectionStatus) => void): () => void {
    this.#watchers.add(watcher);
    watcher(this.status);
    return () => this.#watchers.delete(watcher);
  }

  /** Something that belongs to how the account is has changed. */
  changed(): void {
    for (const watcher of [...this.#watchers]) watcher(this.status);
  }

  /** From now on it is no news that the account is out of reach. */
  expectNothing(): void {
    clearTimeout(this.#down);
    this.#down = undefined;
  }

  #changedState(status: ConnectionStatus): void {
    const { definition, log } = this.#account;
    const { label } = definition;
    const tell = (event: News["event"], severity: News["severity"], sentence: string) =>
      this.#gateway.tellOf(this.#account, { event, severity, sentence });
    if (status.state === "connected" || status.state === "closed") this.expectNothing();
    switch (status.state) {
      case "connected":
        tell("connected", "info", `${label} is connected as ${status.identity}.`);
        break;
      case "refused":
        log.error(`${status.reason} Messages to this account wait until a new one is deployed.`);
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
}
