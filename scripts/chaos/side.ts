/**
 * What the world outside saw: an append-only history, written by our platform servers and clients and never by the
 * product. Every message that somebody writes has an id of its own as its text; its answer is `echo <id>`.
 */

/** What may happen to an answer that was cut off: sent again with a key, held, or sent again without one. */
export type Promised = "key" | "hold" | "resend";

export interface Asked {
  /** Its text. */
  id: string;
  conversation: string;
  /** Key of its row in the ledger. */
  eventId?: string;
  /** We were told that it arrived: the offset was confirmed, or the POST was answered 2xx. */
  acknowledged: boolean;
  /** Milliseconds since 1970. */
  at: number;
}

export interface Delivered {
  id: string;
  conversation: string;
  /** What the platform calls the answer: the same id twice is one message. */
  messageId: string;
  at: number;
}

/** One account seen from outside. */
export interface Side {
  readonly account: string;
  readonly promised: Promised;
  /** In the order of their sending. */
  asked(): Asked[];
  /** In the order in which the conversation shows them. */
  delivered(): Delivered[];
}

const ANSWER = /echo (m[\w-]+)/;

/** The message that an answer is for; undefined when the text is no answer. */
export function answerTo(text: string): string | undefined {
  return ANSWER.exec(text)?.[1];
}

let last = 0;
/** The text of a new message. Unique in this process. */
export function newId(): string {
  last += 1;
  return `m${last}`;
}
