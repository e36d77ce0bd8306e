/**
 * The three objects that travel on the wires, and the parts they are made of.
 *
 * This file is the one source: `npm run build` derives the published JSON Schemas (`resources/*.schema.json`)
 * and the runtime validators from these types. All of them are plain JSON (`v: 1`).
 */

/** What happened. A flow can filter on it. */
export type EventKind =
  | "message"
  | "command"
  | "button"
  | "reaction"
  | "edit"
  | "delete"
  | "join"
  | "leave"
  | "receipt"
  | "alert";

/** Where people talk: a direct chat, a group, or a thread inside one. */
export interface Conversation {
  /** The platform's own id. @minLength 1 */
  id: string;
  kind: "direct" | "group" | "channel";
  name?: string;
  /** Id of the thread or topic inside the conversation. */
  thread?: string;
}

/** Who said it. `id` is the platform's stable id; `name` and `handle` are for display and never for identity. */
export interface Sender {
  /** @minLength 1 */
  id: string;
  name?: string;
  handle?: string;
  isBot: boolean;
  /** BCP 47, for example `pt-BR`. */
  locale?: string;
}

export type AttachmentKind =
  | "image"
  | "audio"
  | "voice"
  | "video"
  | "file"
  | "sticker"
  | "location"
  | "contact";

/** A received file, place or contact. `ref` is opaque: the gateway resolves it on demand. */
export interface Attachment {
  kind: AttachmentKind;
  mime?: string;
  name?: string;
  /** Bytes. */
  size?: number;
  /** Opaque reference that the account's `download` understands. */
  ref: string;
  /** For `location`. Degrees, WGS 84. */
  latitude?: number;
  longitude?: number;
  /** For `contact`. */
  phone?: string;
  /** For `voice`, `audio` and `video`. Seconds. */
  duration?: number;
}

/** `msg.payload` out of every `*-in` node. */
export interface MessageEvent {
  v: 1;
  /** Stable across redelivery: `${channel}:${account}:${platform event id}`. @minLength 1 */
  id: string;
  kind: EventKind;
  /** @minLength 1 */
  channel: string;
  /** Id of the account's config node. @minLength 1 */
  account: string;
  conversation: Conversation;
  sender: Sender;
  /** Markdown, `""` when there is none; the bot's own mention is removed. */
  text: string;
  mentionsMe: boolean;
  attachments: Attachment[];
  messageId?: string;
  replyTo?: string;
  command?: { name: string; args: string };
  button?: { value: string; label?: string; messageId?: string };
  reaction?: { emoji: string; added: boolean; messageId: string };
  /** ISO 8601, the platform's time. */
  timestamp: string;
  /** False for anything a stranger or a file wrote. */
  trusted: boolean;
  redelivered?: number;
  simulated?: true;
  /** The platform's own update; only if the account asks for it. */
  raw?: unknown;
}

/** What a channel can do. The same object stands in the channel's definition and in `msg.chat.can`. */
export interface Capabilities {
  /** Longest text of one message, counted in the platform's own unit. `caption`: longest text beside a file. */
  text: { max: number; unit: TextUnit; caption?: number };
  dialect: Dialect;
  buttons: boolean;
  edit: boolean;
  delete: boolean;
  typing: boolean;
  reactions: boolean;
  threads: boolean;
  replyTo: boolean;
  silent: boolean;
  images: boolean;
  audio: boolean;
  voice: boolean;
  video: boolean;
  files: boolean;
  /** Largest file we can send, in bytes. */
  fileMax?: number;
  /** How a second try avoids a double: the platform's key, a look-up, or not at all. */
  idempotency: "key" | "lookup" | "none";
}

export type TextUnit = "utf16" | "codepoints" | "bytes" | "graphemes";

/** How text is marked up on the platform. `markdown`: the channel takes our markdown as it is. */
export type Dialect = "markdown" | "html" | "plain";

/** `msg.chat`: all that a reply needs. It survives when a node replaces `msg.payload`. */
export interface ChatContext {
  v: 1;
  /** Id of the MessageEvent it came from. */
  eventId: string;
  /** @minLength 1 */
  channel: string;
  /** @minLength 1 */
  account: string;
  conversation: Conversation;
  sender: Sender;
  messageId?: string;
  /** How often the event went out again, after a deploy or a crash in the middle of the flow. */
  redelivered?: number;
  /** A known human across channels, when linked. */
  person?: string;
  can: Capabilities;
}

/** A file to send: exactly one of `url`, `path`, `data` or `ref`. */
export interface OutgoingAttachment {
  kind: "image" | "audio" | "voice" | "video" | "file";
  /** `https:` (or `http:`) address. Private addresses are refused. */
  url?: string;
  /** File on this machine. */
  path?: string;
  /** The bytes, base64. A flow may also set a Buffer here. */
  data?: string;
  /** `ref` of a received attachment, to send it on. */
  ref?: string;
  name?: string;
  mime?: string;
  /** Markdown. */
  caption?: string;
}

/** A button: either `value` (comes back as a `button` event) or `url` (opens a page). */
export interface Button {
  /** @minLength 1 */
  label: string;
  value?: string;
  url?: string;
}

/** What `reply` and `*-out` send. A string, number or boolean is taken as `{ text }`. */
export interface Response {
  v?: 1;
  text?: string;
  format?: "markdown" | "plain";
  attachments?: OutgoingAttachment[];
  /** Rows of buttons. */
  buttons?: Button[][];
  /** Id of the message to answer to, or `auto`: the one that msg.chat came from. */
  replyTo?: string;
  /** Id of a message of ours to replace. */
  edit?: string;
  /** Id of a message to delete. */
  delete?: string;
  /** Emoji to put on the message that msg.chat came from. */
  reaction?: string;
  /** Show that somebody is typing. */
  typing?: boolean;
  silent?: boolean;
  /** Text for a channel that can do none of it. */
  fallback?: string;
}

/** The platform's own id for a message it accepted. Nothing is "sent" without one. */
export interface Receipt {
  /** Id of the (first) message on the platform. */
  messageId: string;
  /** All messages, when a response became several. */
  messageIds: string[];
  channel: string;
  account: string;
  conversation: string;
  /** ISO 8601, our clock. */
  sentAt: string;
}
