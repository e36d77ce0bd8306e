/** The Bot API's methods on messages, with the checks that Telegram makes and its words when it says no. */
import type { Message, UserFromGetMe } from "grammy/types";
import { badRequest, Refusal } from "./answers";
import { ParseError, parseTelegramHtml } from "./html";
import type { Arguments, UploadedFile } from "./request";

export interface StoredFile {
  file_id: string;
  file_path: string;
  data: Buffer;
  /** When the bytes are not worth having. */
  file_size?: number;
}

/** Method -> its file's field and the bytes allowed for an upload. */
const FILE_METHODS: Record<string, { field: string; max: number }> = {
  sendPhoto: { field: "photo", max: 10 * 1024 * 1024 },
  sendAnimation: { field: "animation", max: 50 * 1024 * 1024 },
  sendAudio: { field: "audio", max: 50 * 1024 * 1024 },
  sendVoice: { field: "voice", max: 50 * 1024 * 1024 },
  sendVideo: { field: "video", max: 50 * 1024 * 1024 },
  sendDocument: { field: "document", max: 50 * 1024 * 1024 },
};

/** Emoji that bots may react with: enough of api#reactiontypeemoji to tell right from wrong. */
const REACTIONS = new Set(
  "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 ❤‍🔥 💯 🤣 ⚡ 🏆 💔 👀 ✍ 🤝".split(" "),
);

export class BotMethods {
  readonly files = new Map<string, StoredFile>();
  /** Uploads by the file id they got. */
  readonly uploads = new Map<string, UploadedFile>();
  /** Chats that answer as they do when the bot was thrown out or never met them. */
  readonly blocked = new Set<number>();
  readonly unknown = new Set<number>();
  /** Addresses that Telegram's own fetch cannot get. */
  readonly unreachable = new Set<string>();
  readonly answered: string[] = [];
  readonly reactions = new Map<string, unknown>();
  #message = 100;
  #file = 0;

  constructor(
    readonly me: UserFromGetMe,
    readonly sent: Message[],
  ) {}

  nextMessageId(): number {
    this.#message += 1;
    return this.#message;
  }

  run(method: string, call: Arguments): unknown {
    const { args } = call;
    if (FILE_METHODS[method]) return this.#sendFile(method, call);
    switch (method) {
      case "getMe":
        return this.me;
      case "sendMessage":
        return this.#send(args, this.#text(args, "text", 4096));
      case "editMessageText":
        return this.#edit(args, this.#text(args, "text", 4096));
      case "editMessageCaption":
        return this.#edit(args, this.#text(args, "caption", 1024));
      case "deleteMessage":
        this.sent.splice(this.sent.indexOf(this.#find(args, "delete")), 1);
        return true;
      case "setMessageReaction":
        return this.#react(args);
      case "sendChatAction":
        this.#chat(args);
        return true;
      case "answerCallbackQuery":
        this.answered.push(String(args["callback_query_id"]));
        return true;
      case "getFile":
        return this.#getFile(String(args["file_id"]));
      case "getUserProfilePhotos":
        return this.#photos();
      default:
        throw new Refusal(404, "Not Found: method not found");
    }
  }

  #chat(args: Record<string, unknown>): Message["chat"] {
    const id = Number(args["chat_id"]);
    if (args["chat_id"] === undefined || args["chat_id"] === "") throw badRequest("chat_id is empty");
    if (typeof args["chat_id"] === "string" && args["chat_id"].startsWith("@")) {
      return { id: -1009999999999, type: "channel", title: args["chat_id"] };
    }
    if (!Number.isInteger(id) || id === 0 || this.unknown.has(id)) throw badRequest("chat not found");
    if (this.blocked.has(id)) throw new Refusal(403, "Forbidden: bot was blocked by the user");
    return id > 0 ? { id, type: "private", first_name: "Ada" } : { id, type: "supergroup", title: "Kitchen" };
  }

  /** Reads and measures a text as Telegram does: after the markup, in UTF-16 units, without spaces around it. */
  #text(args: Record<string, unknown>, field: "text" | "caption", max: number): object {
    let text = String(args[field] ?? "");
    let entities: object[] = [];
    if (args["parse_mode"] === "HTML") {
      try {
        ({ text, entities } = parseTelegramHtml(text));
      } catch (error) {
        if (error instanceof ParseError) throw badRequest(`can't parse entities: ${error.message}`);
        throw error;
      }
    } else if (args["parse_mode"] !== undefined) {
      throw badRequest("unsupported parse_mode");
    }
    text = text.trimEnd();
    if (field === "text" && text.trim() === "") throw badRequest("message text is empty");
    if (text.length > max)
      throw badRequest(field === "text" ? "message is too long" : "message caption is too long");
    const marked =
      entities.length > 0 ? { [field === "text" ? "entities" : "caption_entities"]: entities } : {};
    return text === "" ? {} : { [field]: text, ...marked };
  }

  #send(args: Record<string, unknown>, content: object): Message {
    const chat = this.#chat(args);
    checkKeyboard(args["reply_markup"]);
    const thread = args["message_thread_id"];
    const reply = args["reply_parameters"] as
      | { message_id: number; allow_sending_without_reply?: boolean }
      | undefined;
    const message = {
      message_id: this.nextMessageId(),
      from: this.me,
      chat,
      date: Math.floor(Date.now() / 1000),
      ...(thread === undefined ? {} : { message_thread_id: Number(thread), is_topic_message: true }),
      ...(reply ? { reply_to_message: { message_id: reply.message_id, chat, date: 0 } } : {}),
      ...(args["reply_markup"] ? { reply_markup: args["reply_markup"] } : {}),
      ...content,
    } as unknown as Message;
    this.sent.push(message);
    return message;
  }

  #sendFile(method: string, { args, files }: Arguments): Message {
    const { field, max } = FILE_METHODS[method] as { field: string; max: number };
    const given = String(args[field] ?? "");
    const upload = given.startsWith("attach://") ? files.get(given.slice(9)) : files.get(field);
    let size: number | undefined;
    if (upload) {
      size = upload.data.length;
      if (size === 0) throw badRequest("file must be non-empty");
      if (size > max) throw new Refusal(413, "Request Entity Too Large");
    } else if (/^https?:\/\//.test(given)) {
      if (this.unreachable.has(given)) throw badRequest("failed to get HTTP URL content");
    } else if (!this.files.has(given)) {
      throw badRequest(`wrong file identifier/HTTP URL specified`);
    }
    this.#file += 1;
    const id = `BQACAgIAAxkBAAI${this.#file}`;
    if (upload) this.uploads.set(id, upload);
    const file = {
      file_id: id,
      file_unique_id: `AgAD${this.#file}`,
      ...(size === undefined ? {} : { file_size: size }),
    };
    const content = { [field]: field === "photo" ? [{ ...file, width: 90, height: 90 }] : file };
    return this.#send(args, { ...content, ...this.#text(args, "caption", 1024) });
  }

  #find(args: Record<string, unknown>, what: string): Message {
    const chat = this.#chat(args);
    const found = this.sent.find(
      (message) => message.chat.id === chat.id && message.message_id === Number(args["message_id"]),
    );
    if (!found) throw badRequest(`message to ${what} not found`);
    return found;
  }

  #edit(args: Record<string, unknown>, content: object): Message {
    const message = this.#find(args, "edit");
    checkKeyboard(args["reply_markup"]);
    const changed = { ...content, reply_markup: args["reply_markup"] };
    const before = JSON.stringify(
      Object.keys(changed).map((key) => (message as unknown as Record<string, unknown>)[key]),
    );
    if ("text" in content && !("text" in message))
      throw badRequest("there is no text in the message to edit");
    if (before === JSON.stringify(Object.values(changed))) {
      throw badRequest(
        "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
      );
    }
    return Object.assign(message, changed, { edit_date: Math.floor(Date.now() / 1000) });
  }

  #react(args: Record<string, unknown>): true {
    this.#chat(args);
    const reactions = args["reaction"] as { type: string; emoji: string }[];
    if (reactions.length > 1) throw badRequest("REACTIONS_TOO_MANY");
    if (reactions.some(({ emoji }) => !REACTIONS.has(emoji))) throw badRequest("REACTION_INVALID");
    this.reactions.set(`${String(args["chat_id"])}:${String(args["message_id"])}`, reactions);
    return true;
  }

  #getFile(id: string): object {
    const file = this.files.get(id);
    if (!file) throw badRequest("invalid file_id");
    const size = file.file_size ?? file.data.length;
    if (size > 20 * 1024 * 1024) throw badRequest("file is too big");
    return { file_id: id, file_unique_id: `u${id}`, file_size: size, file_path: file.file_path };
  }

  #photos(): object {
    const picture = this.files.get("profile");
    const sizes = picture ? [[{ file_id: "profile", file_unique_id: "p", width: 160, height: 160 }]] : [];
    return { total_count: sizes.length, photos: sizes };
  }
}

function checkKeyboard(markup: unknown): void {
  const rows = (markup as { inline_keyboard?: { text?: string; callback_data?: string; url?: string }[][] })
    ?.inline_keyboard;
  for (const button of (rows ?? []).flat()) {
    if (!button.text) throw badRequest('can\'t parse inline keyboard button: Field "text" must be non-empty');
    if (button.callback_data !== undefined) {
      const size = Buffer.byteLength(button.callback_data);
      if (size < 1 || size > 64) throw badRequest("BUTTON_DATA_INVALID");
    } else if (button.url === undefined) {
      throw badRequest(
        "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
      );
    } else if (!/^(https?:\/\/[^/]+\.[^/]+|tg:\/\/)/.test(button.url)) {
      throw badRequest(`inline keyboard button URL '${button.url}' is invalid: Wrong HTTP URL`);
    }
  }
}
