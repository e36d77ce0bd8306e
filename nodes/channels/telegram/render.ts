/** One part -> one call of the Bot API. Pure; the bytes of a file are put in by the client. */
import type {
  ButtonPart,
  Destination,
  FilePart,
  MessagePart,
  OpenedFile,
  TextPart,
} from "../../../lib/channel/define";
import { ChannelError } from "../../../lib/errors";
import type { OutgoingAttachment } from "../../../lib/message/types";
import { callbackData } from "./buttons";
import { PHOTO_MAX_BYTES } from "./constants";

/** A call as it goes to Telegram. `upload` names the field that takes the file's bytes. */
export interface Call {
  method: SendMethod;
  args: Record<string, unknown>;
  upload?: { field: string; file: OpenedFile };
}

type SendMethod =
  | "sendMessage"
  | "sendPhoto"
  | "sendAnimation"
  | "sendAudio"
  | "sendVoice"
  | "sendVideo"
  | "sendDocument";

/** A file ready to go: an address that Telegram fetches itself, or its bytes. */
export type Media = { url: string } | { file: OpenedFile };

export function renderText(part: TextPart, to: Destination): Call {
  return {
    method: "sendMessage",
    args: {
      ...place(to),
      ...formatted("text", part.unformatted ? undefined : part.text, part.plain),
      ...extras(part),
    },
  };
}

export function renderEdit(messageId: string, part: TextPart, to: Destination): Record<string, unknown> {
  const markup = keyboard(part.buttons);
  return {
    chat_id: chatId(to.conversation),
    message_id: messageNumber(messageId),
    ...formatted("text", part.unformatted ? undefined : part.text, part.plain),
    ...(markup ? { reply_markup: markup } : {}),
  };
}

/** `asDocument`: Telegram cannot show it as what it is (a photo too large or of a strange shape). */
export function renderFile(part: FilePart, to: Destination, media: Media, asDocument = false): Call {
  const method = asDocument ? "sendDocument" : methodFor(part.file, media);
  const field = FIELDS[method];
  const hasCaption = part.caption !== undefined || part.captionPlain !== undefined;
  const args = {
    ...place(to),
    ...(hasCaption
      ? formatted(
          "caption",
          part.unformatted ? undefined : part.caption,
          part.captionPlain ?? part.caption ?? "",
        )
      : {}),
    ...extras(part),
  };
  return "url" in media
    ? { method, args: { ...args, [field]: media.url } }
    : { method, args, upload: { field, file: media.file } };
}

const FIELDS = {
  sendMessage: "text",
  sendPhoto: "photo",
  sendAnimation: "animation",
  sendAudio: "audio",
  sendVoice: "voice",
  sendVideo: "video",
  sendDocument: "document",
} as const;

/** What Telegram shows as a picture (api#sendphoto); anything else arrives as a file. */
const PHOTO_MIME = /^image\/(jpeg|png|webp|bmp)$/;
/** What Telegram plays as a voice message (api#sendvoice): OGG with OPUS, MP3 or M4A. */
const VOICE_MIME = /^(audio\/(ogg|opus|mpeg|mp4|m4a|x-m4a|aac)|application\/ogg|video\/ogg)$/;

function methodFor({ kind }: OutgoingAttachment, media: Media): SendMethod {
  const { data, mime } = "file" in media ? media.file : { data: undefined, mime: "" };
  switch (kind) {
    case "image":
      if (mime === "image/gif" || ("url" in media && /\.gif$/i.test(new URL(media.url).pathname)))
        return "sendAnimation";
      return data && (data.length > PHOTO_MAX_BYTES || !PHOTO_MIME.test(mime)) ? "sendDocument" : "sendPhoto";
    case "voice":
      return data && !VOICE_MIME.test(mime) ? "sendAudio" : "sendVoice";
    case "audio":
      return "sendAudio";
    case "video":
      return "sendVideo";
    case "file":
      return "sendDocument";
  }
}

/**
 * True when Telegram can fetch the address itself: public and https. A document works by address only as PDF, ZIP or
 * GIF and keeps the name it has there (api#sending-files), so others are uploaded.
 */
export function isForTelegram(file: OutgoingAttachment): file is OutgoingAttachment & { url: string } {
  if (file.url === undefined || !URL.canParse(file.url)) return false;
  const { protocol, hostname, port, username, pathname } = new URL(file.url);
  if (protocol !== "https:" || port !== "" || username !== "" || file.name !== undefined) return false;
  if (file.kind === "file" && !/\.(pdf|zip|gif)$/i.test(pathname)) return false;
  const isName = /^[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]+$/i.test(hostname);
  return isName && !/\.(local|localhost|lan|home|internal|intranet|arpa|test|invalid)$/i.test(hostname);
}

/** HTML, unless this is the second try: then the same text with no markup switched on. */
function formatted(field: "text" | "caption", html: string | undefined, plain: string) {
  return html === undefined ? { [field]: plain } : { [field]: html, parse_mode: "HTML" };
}

function place(to: Destination) {
  return {
    chat_id: chatId(to.conversation),
    ...(to.thread ? { message_thread_id: messageNumber(to.thread) } : {}),
  };
}

function extras(part: MessagePart) {
  const markup = keyboard(part.buttons);
  return {
    // The message may be gone by now; the answer is worth sending all the same.
    ...(part.replyTo
      ? { reply_parameters: { message_id: messageNumber(part.replyTo), allow_sending_without_reply: true } }
      : {}),
    ...(markup ? { reply_markup: markup } : {}),
    ...(part.silent ? { disable_notification: true } : {}),
  };
}

function keyboard(rows: ButtonPart[][] | undefined) {
  const shown = (rows ?? []).filter((row) => row.length > 0);
  if (shown.length === 0) return undefined;
  return {
    inline_keyboard: shown.map((row) =>
      row.map((button) =>
        button.url !== undefined
          ? { text: button.label, url: button.url }
          : { text: button.label, callback_data: callbackData(returned(button)) },
      ),
    ),
  };
}

/** Values of all buttons that come back to us. */
export function buttonValues(part: MessagePart): string[] {
  return (part.buttons ?? [])
    .flat()
    .flatMap((button) => (button.url === undefined ? [returned(button)] : []));
}

/** A button with neither value nor address brings its label back. */
function returned({ value, label }: ButtonPart): string {
  return value ?? label;
}

/** Telegram's chat ids are numbers; a public channel may be named by `@name`. */
export function chatId(conversation: string): number | string {
  const id = conversation.trim();
  if (/^-?\d{1,16}$/.test(id)) return Number(id);
  if (/^@[A-Za-z0-9_]{1,64}$/.test(id)) return id;
  throw new ChannelError(
    "refused",
    `"${id.slice(0, 64)}" is not a Telegram chat. Use its number (like 123456789 or -1001234567890) or the @name of a public channel.`,
    { code: "bad-chat" },
  );
}

export function messageNumber(id: string): number {
  if (/^\d{1,16}$/.test(id)) return Number(id);
  throw new ChannelError("refused", `"${id.slice(0, 64)}" is not the number of a Telegram message.`, {
    code: "bad-message",
  });
}
