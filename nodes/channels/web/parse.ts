/** What a visitor posted -> MessageEvent. */
import { createHash } from "node:crypto";
import type { Attachment, MessageEvent } from "../../../lib/message/types";
import { isVisitorId, visitorName } from "./visitors";

/** A message as the page posts it, with what the server knows about it. Plain JSON. */
export interface PostedMessage {
  type: "message";
  visitor: string;
  /** Chosen by the page; the same on every try. */
  nonce: string;
  text: string;
  /** A pressed button of one of our messages. */
  button?: { value: string; label: string; messageId: string };
  files: PostedFile[];
  /** BCP 47. */
  locale?: string;
  /** ISO 8601. */
  at: string;
}

export interface PostedFile {
  id: string;
  kind: "image" | "audio" | "voice" | "video" | "file";
  mime: string;
  name: string;
  /** Bytes. */
  size: number;
}

/** The id of a message, the same on every try of the same visitor. */
export function messageIdOf(visitor: string, nonce: string): string {
  return createHash("sha256")
    .update(JSON.stringify([visitor, nonce]))
    .digest("base64url")
    .slice(0, 22);
}

/** 0 or 1 events. Anything that is not a visitor's message gives none. */
export function parsePosted(update: unknown, account: string): MessageEvent[] {
  if (!isPosted(update)) return [];
  const { visitor, text, button, files, at, locale } = update;
  const messageId = messageIdOf(visitor, update.nonce);
  const command = /^\/([a-z0-9_]{1,32})(?:\s+([\s\S]*))?$/i.exec(text);
  const event: MessageEvent = {
    v: 1,
    id: `web:${account}:${messageId}`,
    kind: button ? "button" : command ? "command" : "message",
    channel: "web",
    account,
    conversation: { id: visitor, kind: "direct", name: visitorName(visitor) },
    sender: { id: visitor, name: visitorName(visitor), isBot: false, ...(locale ? { locale } : {}) },
    text,
    mentionsMe: true,
    attachments: files.map(attachmentOf),
    messageId,
    timestamp: at,
    trusted: false,
  };
  if (button) event.button = { value: button.value, label: button.label, messageId: button.messageId };
  else if (command)
    event.command = { name: (command[1] as string).toLowerCase(), args: command[2]?.trim() ?? "" };
  return [event];
}

function attachmentOf({ id, kind, mime, name, size }: PostedFile): Attachment {
  return { kind, mime, name, size, ref: id };
}

function isPosted(update: unknown): update is PostedMessage {
  if (typeof update !== "object" || update === null) return false;
  const { type, visitor, nonce, text, files, at } = update as Partial<PostedMessage>;
  return (
    type === "message" &&
    typeof visitor === "string" &&
    isVisitorId(visitor) &&
    typeof nonce === "string" &&
    nonce !== "" &&
    typeof text === "string" &&
    Array.isArray(files) &&
    files.every((file) => typeof file?.id === "string" && typeof file.kind === "string") &&
    typeof at === "string"
  );
}
