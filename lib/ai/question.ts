/** What a message on the wire asks, and in which conversation. */
import { RedclawError } from "../errors";
import { checkContext } from "../message/check";
import type { ChatContext, MessageEvent } from "../message/types";

/** A message of a flow, as far as it matters here. */
export interface Incoming {
  payload?: unknown;
  chat?: unknown;
  topic?: unknown;
}

export interface Question {
  /** Key of the conversation: `channel:account:conversation[:thread]`. */
  conversation: string;
  text: string;
  chat?: ChatContext;
  /** Present when the payload was an event. */
  event?: MessageEvent;
  /** Several people talk here; each text starts with its sender's name in brackets. */
  group: boolean;
}

/** An event that is not a question, for example a reaction: the reason, as a sentence. */
export interface Declined {
  declined: string;
  chat?: ChatContext;
}

const notQuestions: Partial<Record<MessageEvent["kind"], string>> = {
  reaction: "A reaction is not a question.",
  edit: "Somebody changed an earlier message; only new messages are answered.",
  delete: "Somebody deleted a message.",
  join: "Somebody joined the chat.",
  leave: "Somebody left the chat.",
  receipt: "A message was read or delivered.",
};

/** Reads a message. Throws RedclawError `no-text` or `bad-chat`. `nodeId` names the conversation when nothing else does. */
export function questionOf(message: Incoming, nodeId: string): Question | Declined {
  const event = isEvent(message.payload) ? message.payload : undefined;
  const chat = message.chat === undefined ? undefined : checkContext(message.chat);
  const declined = event && notQuestions[event.kind];
  if (declined) return { declined, ...(chat && { chat }) };
  const text = (event ? eventText(event) : plainText(message.payload)).trim();
  if (text === "") {
    throw new RedclawError(
      "no-text",
      'There is no text to answer. Set msg.payload to a text, for example "hello", or to an object with a property "text".',
    );
  }
  const where = chat ?? event;
  const group = where !== undefined && where.conversation.kind !== "direct";
  const name = group ? oneLine(where.sender.name ?? where.sender.handle ?? where.sender.id) : "";
  return {
    conversation: where ? conversationKey(where) : looseKey(message.topic, nodeId),
    text: name ? `[${name}] ${text}` : text,
    group,
    ...(chat && { chat }),
    ...(event && { event }),
  };
}

function isEvent(payload: unknown): payload is MessageEvent {
  if (typeof payload !== "object" || payload === null) return false;
  const { v, id, kind, conversation, sender } = payload as Partial<MessageEvent>;
  return (
    v === 1 &&
    typeof id === "string" &&
    typeof kind === "string" &&
    isObject(conversation) &&
    isObject(sender)
  );
}

function eventText(event: MessageEvent): string {
  const said = typeof event.text === "string" ? event.text : "";
  const text = said.trim() || event.button?.label || event.button?.value || commandText(event);
  const files = Array.isArray(event.attachments) ? event.attachments : [];
  if (files.length === 0) return text;
  const names = files.map(({ kind, name }) => (name ? `${kind} (${oneLine(name)})` : kind));
  return `${text}\n[sent: ${names.join(", ")}]`.trim();
}

function commandText({ command }: MessageEvent): string {
  return command ? `/${command.name} ${command.args}`.trim() : "";
}

function plainText(payload: unknown): string {
  if (typeof payload === "string") return payload;
  if (typeof payload === "number" || typeof payload === "boolean") return String(payload);
  const text = isObject(payload) ? (payload as { text?: unknown }).text : undefined;
  return typeof text === "string" ? text : "";
}

function conversationKey({
  channel,
  account,
  conversation: { id, thread },
}: ChatContext | MessageEvent): string {
  return [channel, account, id, ...(thread === undefined ? [] : [thread])].join(":");
}

function looseKey(topic: unknown, nodeId: string): string {
  const named = typeof topic === "string" || typeof topic === "number" ? String(topic) : "";
  return named ? `flow:${nodeId}:${named}` : `flow:${nodeId}`;
}

function oneLine(text: string): string {
  return text
    .replace(/[[\]\s]+/g, " ")
    .trim()
    .slice(0, 80)
    .replace(/[\uD800-\uDBFF]$/, "");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
