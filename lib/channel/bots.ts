/** One account for each bot: two would take each other's messages. */
import type { Account } from "./account";

export class Bots {
  /** Which account is which bot, by channel and bot. */
  readonly #owners = new Map<string, Account>();
  /** Those who wait for a bot. */
  readonly #waiting = new Set<() => void>();

  /** Resolves when the bot is the account's, or the account closes; `wait` hears, in a sentence, who has it. */
  async claim(account: Account, wait: (sentence: string) => void): Promise<void> {
    const { name, identity, label } = account.definition;
    const bot = identity?.(account.settings);
    if (bot === undefined) return;
    const key = `${name}|${bot}`;
    for (;;) {
      if (account.signal.aborted) return;
      const owner = this.#owners.get(key);
      if (!owner || owner === account) break;
      // The version before it is on its way out.
      if (owner.id !== account.id) {
        wait(
          `Same bot twice: the ${label} account "${owner.settings.name}" uses this bot already, and a bot can be connected only once. Use that account, or give this one a bot of its own.`,
        );
      }
      await this.#change(account.signal);
    }
    this.#owners.set(key, account);
  }

  /** The account has ended: others may have its bot. */
  release(account: Account): void {
    for (const [bot, owner] of this.#owners) if (owner === account) this.#owners.delete(bot);
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when a bot has become free, or the signal is aborted. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        this.#waiting.delete(look);
        signal.removeEventListener("abort", look);
        resolve();
      };
      this.#waiting.add(look);
      signal.addEventListener("abort", look, { once: true });
    });
  }
}
