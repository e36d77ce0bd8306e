/** Takes a visitor's message: checks it, makes it durable, and shows it in all tabs of that visitor. */
import type { ConnectContext } from "../../../lib/channel/define";
import { asError } from "../../../lib/errors";
import type { Files } from "./files";
import type { Conversations } from "./history";
import { messageIdOf, type PostedFile, type PostedMessage } from "./parse";
import { viewOf } from "./render";
import type { Conversation } from "./replay";
import { Refusal } from "./requests";
import type { Streams } from "./streams";

/** Bytes of one message's text. */
const TEXT_MAX = 16 * 1024;
/** The same text as JSON, should every character be escaped. */
export const MESSAGE_MAX = 6 * TEXT_MAX + 8 * 1024;
const FILES_MAX = 5;

export const tooLong = () =>
  new Refusal(413, "too-long", "This message is longer than 16 kB. Shorten it, or send it as a file.");

export interface Taken {
  messageId: string;
  /** It was there already: an earlier try had arrived. */
  duplicate: boolean;
}

export class Intake {
  readonly #ctx: ConnectContext;
  readonly #conversations: Conversations;
  readonly #streams: Streams;
  readonly #files: Files;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(ctx: ConnectContext, conversations: Conversations, streams: Streams, files: Files) {
    this.#ctx = ctx;
    this.#conversations = conversations;
    this.#streams = streams;
    this.#files = files;
  }

  /** Resolves when the message is durable. Rejects with a Refusal; then the visitor may send it again. */
  async take(visitor: string, body: Record<string, unknown>, locale: string | undefined): Promise<Taken> {
    const { nonce } = body;
    if (typeof nonce !== "string" || !/^[\w-]{8,64}$/.test(nonce)) {
      throw new Refusal(400, "malformed", "A message needs a nonce of 8 to 64 letters and digits.");
    }
    const messageId = messageIdOf(visitor, nonce);
    const conversation = await this.#conversations.of(visitor);
    const earlier = this.#underWay.get(messageId);
    if (earlier) {
      await earlier;
      return { messageId, duplicate: true };
    }
    if (conversation.find(messageId)) return { messageId, duplicate: true };
    const taking = this.#read(conversation, nonce, body, locale).then((message) =>
      this.#keep(messageId, message),
    );
    this.#underWay.set(messageId, taking);
    try {
      await taking;
    } finally {
      this.#underWay.delete(messageId);
    }
    return { messageId, duplicate: false };
  }

  async #read(
    conversation: Conversation,
    nonce: string,
    body: Record<string, unknown>,
    locale: string | undefined,
  ): Promise<PostedMessage> {
    const { visitor } = conversation;
    const button = readButton(conversation, body["button"]);
    const text = button ? button.label : readText(body["text"]);
    const files = await this.#readFiles(visitor, body["files"]);
    if (text.trim() === "" && files.length === 0) {
      throw new Refusal(400, "empty", "There is nothing to send: write something or attach a file.");
    }
    const at = new Date().toISOString();
    return {
      type: "message",
      visitor,
      nonce,
      text,
      files,
      at,
      ...(button ? { button } : {}),
      ...(locale ? { locale } : {}),
    };
  }

  async #readFiles(visitor: string, ids: unknown): Promise<PostedFile[]> {
    if (ids === undefined) return [];
    if (!Array.isArray(ids) || ids.length > FILES_MAX) {
      throw new Refusal(400, "too-many-files", `A message takes at most ${FILES_MAX} files.`);
    }
    return Promise.all(
      ids.map(async (id) => {
        const file = typeof id === "string" ? await this.#files.get(id) : undefined;
        if (!file || file.visitor !== visitor) {
          throw new Refusal(410, "file-gone", "One of the files is no longer there. Attach it again.");
        }
        return { id, kind: file.kind, mime: file.mime, name: file.name, size: file.data.length };
      }),
    );
  }

  /**
   * Shown first, so that it stands before its answer; taken back if it cannot be made durable. Its event and its place
   * in the history are one commit: after a crash both are there, or neither is and the page sends it again.
   */
  async #keep(id: string, message: PostedMessage): Promise<void> {
    const { visitor, nonce, text, files } = message;
    // Asked for again: while files were looked at, it may have left the memory.
    const conversation = await this.#conversations.of(visitor);
    const entry = conversation.add({
      id,
      nonce,
      from: "visitor",
      text,
      ...(files.length > 0 ? { files } : {}),
    });
    this.#streams.tell(visitor, "message", viewOf(entry), entry.rev);
    try {
      await this.#conversations.keep(conversation, entry, async (rows, keepMs) => {
        await this.#ctx.accept(message, Object.fromEntries(rows), keepMs);
      });
    } catch (error) {
      conversation.drop(id);
      this.#streams.tell(visitor, "message", { ...viewOf(entry), text: "", deleted: true });
      this.#ctx.log.warn(`A visitor's message could not be stored: ${asError(error).message}`);
      throw new Refusal(
        503,
        "not-stored",
        "Your message could not be stored just now. It is tried again.",
        3,
      );
    }
  }
}

/** Without what breaks a terminal, a database or a JSON reader further down. */
function readText(text: unknown): string {
  if (text === undefined) return "";
  if (typeof text !== "string")
    throw new Refusal(400, "malformed", "The text of a message must be a string.");
  if (Buffer.byteLength(text) > TEXT_MAX) throw tooLong();
  return text.toWellFormed().replaceAll("\0", "").replace(/\r\n?/g, "\n");
}

/** Only a button that we really offered counts: flows may trust what it stands for. */
function readButton(conversation: Conversation, pressed: unknown): PostedMessage["button"] {
  if (pressed === undefined) return undefined;
  const { messageId, value } = (typeof pressed === "object" && pressed !== null ? pressed : {}) as Record<
    string,
    unknown
  >;
  const offered = typeof messageId === "string" ? conversation.find(messageId)?.buttons?.flat() : undefined;
  const button = offered?.find(
    (candidate) => candidate.url === undefined && (candidate.value ?? candidate.label) === value,
  );
  if (!button) throw new Refusal(410, "button-gone", "This button is no longer in use.");
  return { value: value as string, label: button.label, messageId: messageId as string };
}
