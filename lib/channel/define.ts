/**
 * The contract of a channel: what it is (`ChannelDefinition`, imports no SDK) and what it does (`Client`, loaded
 * when the first account of its kind starts). `connect`, `receive` and `send` are required; everything else is
 * optional, and its presence is the capability.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { HttpAnswer, HttpRequest } from "../http/request";
import type { Capabilities, MessageEvent, OutgoingAttachment } from "../message/types";

/** Version of this contract; a third-party package states the one it was built for. */
export const API_VERSION = 1;

export interface CredentialField {
  label: string;
  /** Shown as a password field, never sent back to the editor. */
  secret?: boolean;
  required?: boolean;
  /** One or two sentences: where to get it. Markdown links allowed. */
  help?: string;
  /** Looks like a real value. */
  placeholder?: string;
  /** A value that does not match is marked, with `patternHelp` as the reason. `${ENV}` always passes. */
  pattern?: string;
  patternHelp?: string;
  /** Shown only while the named option has this value (or one of these): `{ mode: "webhook" }`. */
  when?: Record<string, string | readonly string[]>;
}

export interface OptionField {
  label: string;
  default: string | number | boolean;
  /** A select instead of a text field; the first is the default unless `default` says otherwise. */
  choices?: readonly (string | { value: string; label: string })[];
  help?: string;
  placeholder?: string;
  required?: boolean;
  multiline?: boolean;
  pattern?: string;
  patternHelp?: string;
  /** Stands below the fold. */
  advanced?: boolean;
  /** Shown only while the named option has this value (or one of these): `{ mode: "webhook" }`. */
  when?: Record<string, string | readonly string[]>;
}

/** `"1/s"`, `"20/min"`, `"30/s"`. */
export type Rate = `${number}/${"s" | "min" | "h"}`;

export interface ChannelDefinition {
  /** Lower case, `a-z0-9-`; node types are `redclaw-<name>`, `-in` and `-out`. */
  name: string;
  /** As the platform writes itself: `Telegram`. */
  label: string;
  /** File in `icons/`. */
  icon: string;
  /** Address of the platform's documentation for bots. */
  docs?: string;
  /** The platform's public endpoint: placeholder of the form's *Server address*. */
  apiRoot?: string;
  credentials: Record<string, CredentialField>;
  options: Record<string, OptionField>;
  capabilities: Capabilities;
  /** `global`: all accounts of this channel in one Node-RED together. An account can override all three. */
  limits: { perChat?: Rate; perAccount?: Rate; global?: Rate };
  /**
   * What makes two accounts the same bot, for example its token and server: a second account with the same answer is
   * refused with a sentence. Undefined: nothing to compare (yet).
   */
  identity?(account: AccountSettings): string | undefined;
  /** Kinds of event this channel can produce. */
  events: readonly MessageEvent["kind"][];
  /** Present when the platform calls us. Runs on the raw bytes, before anything is parsed. */
  webhook?: {
    /** True when this account receives by webhook (by its `mode`). */
    active(account: AccountSettings): boolean;
    verify(request: WebhookRequest, account: AccountSettings): boolean | Promise<boolean>;
    /** The platform gives up after this many milliseconds. */
    ackWithin: number;
  };
  /** The account serves pages of its own below its address (`Client.handle`). */
  pages?: boolean;
  client: () => Promise<{ connect: Connect }>;
}

/** What the user filled in. `${ENV}` is already replaced. */
export interface AccountSettings {
  /** The config node's id. */
  id: string;
  name: string;
  /** Replaces the platform's public endpoint. No slash at its end. */
  apiRoot?: string;
  credentials: Readonly<Record<string, string | undefined>>;
  options: Readonly<Record<string, string | number | boolean | undefined>>;
}

export interface WebhookRequest {
  method: string;
  /** The path and query as they came in; the host is not to be trusted. */
  url: URL;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** True at a glance: the account node and all its in and out nodes show it. */
export type ConnectionStatus =
  | { state: "connecting" }
  /** `identity`: `@mybot`, `3 visitors`. */
  | { state: "connected"; identity: string }
  | { state: "reconnecting"; inMs: number; reason: string }
  /** The platform refused the credential. */
  | { state: "refused"; reason: string }
  /** Another copy of this bot is running. */
  | { state: "conflict"; reason: string }
  /** Something only the user can mend, for example no public address. */
  | { state: "misconfigured"; reason: string }
  | { state: "closed" };

export interface ConnectContext {
  account: AccountSettings;
  /** `fetch` of the pack's one HTTP client. Allowed to reach the account's own `apiRoot`, also on the LAN. */
  fetch: typeof fetch;
  /**
   * The same connections and rules for one call of an API whose whole answer is wanted: far cheaper than `fetch`.
   * Rejects only with ChannelError - `unreachable`: nothing has left, `interrupted`: it may have arrived. Any status
   * is an answer; redirects are not followed.
   */
  request(request: HttpRequest): Promise<HttpAnswer>;
  /**
   * Hands a raw update to `Client.receive` and the events to the ledger. Resolves when they are durable: only then
   * acknowledge to the platform. `remember` is stored in the same commit (the poll offset), as `memory.set` would do it:
   * for `keepMs`, and `undefined` forgets.
   */
  accept(update: unknown, remember?: Record<string, unknown>, keepMs?: number): Promise<void>;
  /** The same for several updates in their order: one commit for all of them. */
  acceptAll(updates: readonly unknown[], remember?: Record<string, unknown>, keepMs?: number): Promise<void>;
  /**
   * The platform says how fast we may go (a rate-limit header, a global "slow down"): no request leaves before it is
   * over, to `chat` or, without one, to anybody.
   */
  slowDown(forMs: number, chat?: string): void;
  /** This connection is gone for good: the account closes the client and connects anew, with backoff, without end. */
  lost(error: Error): void;
  /**
   * A sign of life of a connection that is never silent for long (a socket with heartbeats): when the next one does not
   * come within that time, the account connects anew.
   */
  alive(withinMs: number): void;
  status(status: ConnectionStatus): void;
  /** Small things that must survive a restart (offset, cookie secret). JSON values. */
  memory: AccountMemory;
  /** Bytes of an outgoing attachment, wherever it stands; enforces size, time and private-address rules. */
  open(attachment: OutgoingAttachment): Promise<OpenedFile>;
  log: Log;
  /** Aborted when the account closes: pass it to every request and timer. */
  signal: AbortSignal;
  /** Where the platform reaches this account from outside, when a public address is set. No slash at its end. */
  webhookUrl?: string;
  /** Path of this account on our own server, for example `/redclaw/web/<id>`. */
  path: string;
}

export interface AccountMemory {
  get<T>(key: string): Promise<T | undefined>;
  /** Resolves when it is durable. Kept for `keepMs`, or for good; `undefined` forgets it. */
  set(key: string, value: unknown, keepMs?: number): Promise<void>;
  /** All whose key begins with `prefix`, those first that were written longest ago; `at`: when, ms since 1970. */
  list<T>(prefix: string): Promise<{ key: string; value: T; at: number }[]>;
}

export interface Log {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export interface OpenedFile {
  data: Buffer;
  name: string;
  mime: string;
}

/** Where a part goes. */
export interface Destination {
  conversation: string;
  thread?: string;
}

/** Buttons that the engine already cut to what the channel can do. */
export interface ButtonPart {
  label: string;
  value?: string;
  url?: string;
}

/** One platform message with text: `text` in the channel's dialect, `plain` without any markup. */
export interface TextPart {
  kind: "text";
  text: string;
  plain: string;
  /** True on the second try: send `plain`, with no markup switched on. */
  unformatted?: boolean;
  buttons?: ButtonPart[][];
  replyTo?: string;
  silent?: boolean;
}

/** One platform message with a file; `caption` in the dialect, `captionPlain` without. */
export interface FilePart {
  kind: "file";
  file: OutgoingAttachment;
  caption?: string;
  captionPlain?: string;
  unformatted?: boolean;
  buttons?: ButtonPart[][];
  replyTo?: string;
  silent?: boolean;
}

export type MessagePart = TextPart | FilePart;

export interface SendOptions {
  /** Same for every try of this part: the platform's idempotency key where it has one. */
  key: string;
  signal: AbortSignal;
}

/** A chat that can be written to, as offered in the form of `*-out`. */
export interface ChatTarget {
  id: string;
  thread?: string;
  name: string;
  kind: "direct" | "group" | "channel";
}

/** What *Test connection* shows. */
export interface Identity {
  /** `@mybot` */
  name: string;
  /** One sentence: `Connected as @mybot.` */
  sentence: string;
  /** Address or `data:` URL of a small picture. */
  picture?: string;
}

export interface Client {
  /** One raw update -> events (0..n). Pure: no network, no state that outlives it. Unknown kinds give []. */
  receive(update: unknown): MessageEvent[];
  /** After an update that came by webhook is safe in the ledger: what the platform wants to hear then. Never throws. */
  accepted?(update: unknown): void;
  /** Sends one part, returns the platform's id of it. Throws ChannelError. */
  send(part: MessagePart, to: Destination, options: SendOptions): Promise<{ messageId: string }>;
  /**
   * For `idempotency: "lookup"`: the message that an earlier, cut off try with this key left on the platform; undefined
   * when there is none, so that it may be sent again. Throws ChannelError when that cannot be known now.
   */
  lookup?(
    part: MessagePart,
    to: Destination,
    options: SendOptions,
  ): Promise<{ messageId: string } | undefined>;
  edit?(messageId: string, part: TextPart, to: Destination, options: SendOptions): Promise<void>;
  remove?(messageId: string, to: Destination, options: SendOptions): Promise<void>;
  /** An empty emoji takes the bot's reaction away. */
  react?(messageId: string, emoji: string, to: Destination, options: SendOptions): Promise<void>;
  typing?(to: Destination): Promise<void>;
  /** `ref` as in a received attachment. */
  download?(ref: string, signal: AbortSignal): Promise<OpenedFile>;
  /** Chats the platform itself can list. The engine adds the recent ones. */
  targets?(query: string): Promise<ChatTarget[]>;
  /** Asks the platform who we are. Throws ChannelError with a sentence. */
  test?(): Promise<Identity>;
  /** Answers HTTP requests below the account's address. `path` starts with `/`. */
  handle?(request: IncomingMessage, response: ServerResponse, path: string): void | Promise<void>;
  /** Ends everything in under 2 s: no listener, timer or socket stays. */
  close(): Promise<void>;
}

/**
 * Opens the account and resolves when it is connected, then goes on by itself (polling, socket) and reports by
 * `ctx.status`. Rejects with ChannelError: `auth` stops the account, anything retryable is tried again with backoff.
 * With `{ test: true }` nothing is received: the client only serves `test()`.
 */
export type Connect = (ctx: ConnectContext, options?: { test?: boolean }) => Promise<Client>;

/** Checks a definition where it is written, so that a wrong one fails at load and not at the first message. */
export function defineChannel<D extends ChannelDefinition>(definition: D): D {
  if (!/^[a-z][a-z0-9-]*$/.test(definition.name)) {
    throw new TypeError(`defineChannel: name "${definition.name}" must be lower case a-z, 0-9 and "-".`);
  }
  const reserved = [
    "id",
    "type",
    "name",
    "apiRoot",
    "limits",
    "onUnknown",
    "publicUrl",
    "wires",
    "users",
    "x",
    "y",
    "z",
  ];
  for (const field of [...Object.keys(definition.credentials), ...Object.keys(definition.options)]) {
    if (reserved.includes(field) || field.length < 2) {
      throw new TypeError(
        `defineChannel: ${definition.name} has a field "${field}", which Node-RED or Redclaw uses itself.`,
      );
    }
  }
  if (!(definition.capabilities.text.max > 0)) {
    throw new TypeError(`defineChannel: ${definition.name} needs capabilities.text.max.`);
  }
  return definition;
}
