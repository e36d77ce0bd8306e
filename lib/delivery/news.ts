/** What a flow may want to raise an alarm about: how accounts are, and what became of messages. */

export const NEWS = [
  /** The account has (again) a connection. */
  "connected",
  /** No connection for a while (five minutes): nothing to do but to know. */
  "down",
  /** The platform refused the credential; messages wait for a new one. */
  "refused",
  /** Another copy of this bot is receiving. */
  "conflict",
  /** Something only the owner can mend. */
  "misconfigured",
  /** The platform failed several times in a row: sending rests, and one message tries from time to time. */
  "breaker-open",
  "breaker-closed",
  /** A message may not have been delivered: Resend or Dismiss. */
  "held",
  /** A message could not be delivered. */
  "dead-letter",
  /** A message was let go because it was too late to answer it. */
  "expired",
  /** A message was in the flow each time Node-RED crashed; it is kept out of it now. */
  "quarantined",
  /** Nothing can be written down at the moment, so nothing is taken. */
  "store-trouble",
  "store-well",
  /** Node-RED crashed several times right after its start: the channels stay down. */
  "crash-loop",
  /** Two accounts share one bot: only the first works. */
  "same-bot",
] as const;

/** `msg.payload` out of `redclaw-events`. */
export interface News {
  v: 1;
  event: (typeof NEWS)[number];
  severity: "info" | "warning" | "error";
  /** What happened, and the next step. No secret, and nothing that people wrote. */
  sentence: string;
  /** Stable code of the error behind it. */
  code?: string;
  channel?: string;
  account?: string;
  /** Name of the account. */
  name?: string;
  conversation?: string;
  /** Ledger id of the response or event it is about. */
  id?: string;
  /** Messages of the account that wait to be sent, and that are held. */
  waiting?: number;
  held?: number;
  /** ISO 8601, our clock. */
  at: string;
}

export type NewsListener = (news: News) => void;
