/** Which account an address is for: `<httpNodeRoot>/redclaw/<channel>/<account id>`, and what is below it. */
import type { Gateway } from "../../gateway";
import type { Account } from "../account";

export interface Address {
  channel: string;
  id: string;
  /** What follows the account, with the query: ``, `/`, `/events?x=1`. */
  rest: string;
}

/** Reads `telegram/abc123/events?x=1`; undefined when it is no address of an account. */
export function readAddress(path: string): Address | undefined {
  const match = /^([a-z][a-z0-9-]*)\/([^/?#]+)([^#]*)/.exec(path);
  return match
    ? { channel: match[1] as string, id: match[2] as string, rest: match[3] as string }
    : undefined;
}

/** A webhook is called at exactly its address; a slash at its end and a query are allowed. */
export function isExact({ rest }: Address): boolean {
  return /^\/?(\?|$)/.test(rest);
}

export function accountAt(gateway: Gateway, { channel, id }: Address): Account | undefined {
  const account = gateway.accounts.get(id);
  return account?.definition.name === channel ? account : undefined;
}

/** True when the platform calls us for this account. */
export function receivesByWebhook({ definition, settings, signal }: Account): boolean {
  return !signal.aborted && definition.webhook?.active(settings) === true;
}
