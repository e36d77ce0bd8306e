/** A row of the ledger as the admin API shows it: all texts plain, and what a person may do about it. */
import { EVENT, type EventMarks, type ResponseMarks } from "../delivery/ledger";
import type { Gateway } from "../gateway";
import { toPlain } from "../message/markdown";
import type { MessageEvent, Receipt, Response } from "../message/types";
import type { Row } from "../store/store";
import { idOf } from "./ledger-ids";
import { sentenceFor } from "./reasons";

export interface LedgerItem {
  /** Works in an address as it is. */
  id: string;
  /** The message's own id: an event's, or the idempotency key of a response. */
  key: string;
  kind: "event" | "response";
  state: string;
  /** Id of the account; `name`: how the editor shows it, unless it is gone. */
  account: string;
  name?: string;
  channel?: string;
  conversation: string;
  thread?: string;
  /** When it was accepted, or when the flow wanted to send it. ISO 8601. */
  at: string;
  /** The beginning of what was written, on one line; "" when it was wiped. No markup, but to be escaped in a page. */
  text: string;
  /** Why it is in this state, in a sentence; "" where that goes without saying. */
  reason: string;
  /** Event: how often it went into the flow. Response: how many requests were begun, each part by itself. */
  attempts: number;
  /** Event: how often it went out again. */
  redelivered?: number;
  /** Messages that a response became, and how many of them are sent. */
  parts?: { done: number; of: number };
  /** Node that sent it. */
  node?: string;
  /** Event that it answers; the key of that. */
  eventId?: string;
  receipt?: Receipt;
  canResend: boolean;
  canDismiss: boolean;
}

export interface LedgerStep {
  state: string;
  /** ISO 8601. */
  at: string;
  /** A sentence, and the code that it stands for. */
  reason?: string;
  code?: string;
}

const TEXT_MAX = 200;
/** More than enough for a preview; longer texts need not be read as Markdown as a whole. */
const READ_MAX = 2000;

/** States in which a person may say what shall become of it. */
const STOPPED = {
  event: ["quarantined", "expired"],
  response: ["unknown", "failed", "expired"],
} as const;

export function kindOf({ space }: Row): "event" | "response" {
  return space === EVENT ? "event" : "response";
}

export function isStopped(row: Row): boolean {
  const states: readonly string[] = STOPPED[kindOf(row)];
  return states.includes(row.state ?? "");
}

export function itemOf(gateway: Gateway, row: Row): LedgerItem {
  const { key, state = "", account = "", conversation = "", at, trail = [], body } = row;
  const kind = kindOf(row);
  const owner = gateway.accounts.get(account);
  const stopped = isStopped(row);
  const channel = owner?.definition.name ?? channelOf(row);
  return {
    id: idOf(row),
    key,
    kind,
    state,
    account,
    ...(owner ? { name: owner.settings.name } : {}),
    ...(channel === undefined ? {} : { channel }),
    conversation,
    at: iso(at),
    text:
      body === undefined
        ? ""
        : preview(kind === "event" ? said(body as MessageEvent) : answered(body as Response)),
    reason: sentenceFor(trail.at(-1)?.[2], kind),
    ...(kind === "event" ? eventPart(row) : responsePart(row)),
    canResend: stopped && body !== undefined && owner !== undefined,
    canDismiss: stopped,
  };
}

/** Every state that it went through. */
export function pathOf(row: Row): LedgerStep[] {
  return (row.trail ?? []).map(([state, at, code]) => ({
    state,
    at: iso(at),
    ...(code === undefined ? {} : { reason: sentenceFor(code, kindOf(row)), code }),
  }));
}

function eventPart({ value, body }: Row) {
  const { n } = value as EventMarks;
  const thread = (body as MessageEvent | undefined)?.conversation.thread;
  return {
    attempts: n,
    redelivered: Math.max(0, n - 1),
    ...(thread === undefined ? {} : { thread }),
  };
}

function responsePart({ value, trail = [] }: Row) {
  const { to, done, of = 1, node, eventId, receipt } = value as ResponseMarks;
  return {
    // Where the platform recognises our keys, a request is not marked before it leaves.
    attempts: Math.max(done, trail.filter(([state]) => state === "sending").length),
    parts: { done, of },
    ...(to.thread === undefined ? {} : { thread: to.thread }),
    ...(node === undefined ? {} : { node }),
    ...(eventId === undefined ? {} : { eventId }),
    ...(receipt === undefined ? {} : { receipt }),
  };
}

/** For an account that is gone. Ids of events begin with the channel. */
function channelOf(row: Row): string | undefined {
  if (row.space === EVENT) return row.key.split(":", 1)[0];
  const { receipt, eventId } = row.value as ResponseMarks;
  return receipt?.channel ?? eventId?.split(":", 1)[0];
}

/** What a person wrote, or did. */
function said({ text, button, reaction, attachments, kind }: MessageEvent): string {
  if (text) return toPlain(text.slice(0, READ_MAX));
  const other = button ? (button.label ?? button.value) : reaction?.emoji;
  return other ?? ([...files(attachments)].join(", ") || `(${kind})`);
}

function answered(response: Response): string {
  const { text, format, fallback, attachments, reaction } = response;
  const words = text ?? attachments?.find(({ caption }) => caption)?.caption ?? fallback;
  if (words) return format === "plain" ? words : toPlain(words.slice(0, READ_MAX));
  return reaction ?? [...files(attachments ?? [])].join(", ");
}

function* files(attachments: readonly { kind: string; name?: string }[]): Generator<string> {
  for (const { kind, name } of attachments) yield name ?? `(${kind})`;
}

function preview(text: string): string {
  const line = text.slice(0, READ_MAX).replace(/\s+/g, " ").trim();
  const letters = Array.from(line);
  return letters.length > TEXT_MAX ? `${letters.slice(0, TEXT_MAX - 1).join("")}…` : line;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
