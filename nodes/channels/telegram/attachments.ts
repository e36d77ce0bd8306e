/** The files, places and contacts of a Telegram message, and in words what is neither text nor file. */
import type { Message } from "grammy/types";
import type { Attachment, AttachmentKind } from "../../../lib/message/types";
import { toMarkdown } from "./entities";
import { clean } from "./untrusted";

/** Fields that Telegram's kinds of file share. */
interface TelegramFile {
  file_id: string;
  file_size?: number;
  mime_type?: string;
  file_name?: string;
  duration?: number;
}

/** Everything attached to the message. A reference is Telegram's file id, or `geo:` / `tel:` with the thing itself. */
export function attachmentsOf(message: Message): Attachment[] {
  const photo = largest(message.photo);
  const found = [
    photo && file("image", photo, "image/jpeg"),
    file("voice", message.voice, "audio/ogg"),
    file("audio", message.audio, "audio/mpeg"),
    file("video", message.video, "video/mp4"),
    file("video", message.video_note, "video/mp4"),
    // An animation comes a second time as a document.
    message.animation
      ? file("video", message.animation, "video/mp4")
      : file(kindOfDocument(message.document), message.document),
    message.sticker && file("sticker", message.sticker, stickerMime(message.sticker)),
    place(message),
    contact(message),
  ];
  return found.filter((attachment) => attachment !== undefined && attachment !== null);
}

/** Content without text of its own, said in words: a venue, a poll, a dice, the emoji of a sticker. */
export function describeContent(message: Message): string {
  const { venue, poll, dice, sticker, game } = message;
  if (venue) return [words(venue.title), words(venue.address)].filter((part) => part !== "").join(", ");
  if (poll) {
    const options = Array.isArray(poll.options) ? poll.options : [];
    return [words(poll.question), ...options.map((option) => `- ${words(option?.text)}`)].join("\n");
  }
  if (dice) return `${words(dice.emoji)} ${isAmount(dice.value) ? dice.value : ""}`;
  if (sticker) return words(sticker.emoji);
  return game ? words(game.title) : "";
}

/** Plain words as markdown. */
function words(value: unknown): string {
  return toMarkdown(clean(value), []);
}

/** Telegram sends a photo in several sizes. */
function largest(sizes: Message["photo"]): TelegramFile | undefined {
  if (!Array.isArray(sizes)) return undefined;
  const area = (size: { width?: unknown; height?: unknown } | null) =>
    isAmount(size?.width) && isAmount(size?.height) ? size.width * size.height : 0;
  return sizes.toSorted((a, b) => area(b) - area(a))[0];
}

function kindOfDocument(document: Message["document"]): AttachmentKind {
  const family = clean(document?.mime_type).split("/")[0];
  return family === "image" || family === "audio" || family === "video" ? family : "file";
}

function stickerMime(sticker: NonNullable<Message["sticker"]>): string {
  if (sticker.is_video) return "video/webm";
  return sticker.is_animated ? "application/x-tgsticker" : "image/webp";
}

function file(
  kind: AttachmentKind,
  found: TelegramFile | undefined,
  usualMime?: string,
): Attachment | undefined {
  const ref = clean(found?.file_id);
  if (!found || ref === "") return undefined;
  const mime = clean(found.mime_type) || usualMime;
  const name = clean(found.file_name);
  return {
    kind,
    ...(mime ? { mime } : {}),
    ...(name ? { name } : {}),
    ...(isAmount(found.file_size) ? { size: found.file_size } : {}),
    ref,
    ...(isAmount(found.duration) ? { duration: found.duration } : {}),
  };
}

function place(message: Message): Attachment | undefined {
  const { latitude, longitude } = message.location ?? message.venue?.location ?? {};
  if (typeof latitude !== "number" || typeof longitude !== "number") return undefined;
  const name = clean(message.venue?.title);
  return {
    kind: "location",
    ...(name ? { name } : {}),
    ref: `geo:${latitude},${longitude}`,
    latitude,
    longitude,
  };
}

function contact(message: Message): Attachment | undefined {
  const phone = clean(message.contact?.phone_number);
  if (!message.contact || phone === "") return undefined;
  const name = [message.contact.first_name, message.contact.last_name]
    .map(clean)
    .filter((part) => part !== "")
    .join(" ");
  return { kind: "contact", ...(name ? { name } : {}), ref: `tel:${phone}`, phone };
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0;
}
