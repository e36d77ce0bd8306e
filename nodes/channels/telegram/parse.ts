/**
 * Telegram's update -> MessageEvents. Pure: the same update gives the same events, on any machine.
 * Updates come from outside, so every field is looked at before it is believed; what nobody knows gives [].
 */
import type { Chat, MaybeInaccessibleMessage, Message, ReactionType, Update, User } from "grammy/types";
import type { Attachment, Conversation, MessageEvent, Sender } from "../../../lib/message/types";
import { attachmentsOf, describeContent } from "./attachments";
import { cut, type Entity, toMarkdown } from "./entities";
import { clean, isId, isoTime, isRecord } from "./untrusted";

/** Who the bot is, from `getMe`. Before that, the id alone (the number in front of the token). */
export interface Me {
  id: number;
  username?: string;
}

interface ParseOptions {
  /** Put the update itself in the events. */
  raw?: boolean;
  /** The whole value behind a button's data, when it was too long for Telegram. */
  buttonValue?: (data: string) => string | undefined;
}

/** What all kinds of update share. */
interface Frame {
  update: Update;
  me: Me;
  account: string;
  options: ParseOptions;
}

/** 0..n events of one update. `account` is the config node's id. */
export function parse(update: unknown, me: Me, account: string, options: ParseOptions = {}): MessageEvent[] {
  if (!isRecord(update) || !isId(update["update_id"])) return [];
  // Checked field by field from here on; the type only names what may be there.
  const frame: Frame = { update: update as unknown as Update, me, account, options };
  const { message, edited_message, channel_post, edited_channel_post } = frame.update;
  if (isMessage(message)) return ofMessage(frame, message, false);
  if (isMessage(channel_post)) return ofMessage(frame, channel_post, false);
  if (isMessage(edited_message)) return ofMessage(frame, edited_message, true);
  if (isMessage(edited_channel_post)) return ofMessage(frame, edited_channel_post, true);
  if (isRecord(frame.update.callback_query)) return ofButton(frame, frame.update.callback_query);
  if (isRecord(frame.update.message_reaction)) return ofReaction(frame, frame.update.message_reaction);
  if (isRecord(frame.update.my_chat_member)) return ofMembership(frame, frame.update.my_chat_member);
  if (isRecord(frame.update.chat_member)) return ofMembership(frame, frame.update.chat_member);
  return [];
}

function ofMessage(frame: Frame, message: Message, edited: boolean): MessageEvent[] {
  const sender = senderOf(message.sender_chat, message.from, message.chat);
  if (!sender || sender.id === String(frame.me.id)) return [];
  const base = {
    ...eventBase(frame, message),
    sender,
    timestamp: isoTime(edited ? message.edit_date : message.date),
  };

  const people = Array.isArray(message.new_chat_members) ? message.new_chat_members : [];
  if (people.length > 0) return people.flatMap((user) => ofService(frame, base, message, "join", user));
  if (isRecord(message.left_chat_member))
    return ofService(frame, base, message, "leave", message.left_chat_member);

  const spoken = spokenText(message, frame.me);
  const attachments = attachmentsOf(message);
  const text = [spoken.markdown, describeContent(message)].filter((part) => part !== "").join("\n");
  if (text === "" && attachments.length === 0 && !spoken.command && !spoken.mentionsMe) return [];

  const replied = isRecord(message.reply_to_message) ? message.reply_to_message : undefined;
  // In a topic every message "replies" to the one that opened the topic; nobody meant that.
  const isReply =
    isId(replied?.message_id) &&
    !(message.is_topic_message && replied?.message_id === message.message_thread_id);
  const repliesToMe = isReply && replied?.from?.id === frame.me.id;
  return [
    {
      ...base,
      kind: edited ? "edit" : spoken.command ? "command" : "message",
      text,
      mentionsMe: spoken.mentionsMe || repliesToMe,
      attachments,
      ...(isReply ? { replyTo: String(replied?.message_id) } : {}),
      ...(spoken.command ? { command: spoken.command } : {}),
    },
  ];
}

/** Somebody came or went, told in the chat itself. About the bot, `my_chat_member` tells it better. */
function ofService(
  frame: Frame,
  base: EventBase,
  message: Message,
  kind: "join" | "leave",
  user: User,
): MessageEvent[] {
  const person = senderOf(undefined, user, message.chat);
  if (!person || person.id === String(frame.me.id)) return [];
  return [
    { ...base, id: membershipId(frame, kind, message.chat.id, user.id, message.date), kind, sender: person },
  ];
}

/** Somebody came or went, told to administrators (`chat_member`) or about the bot (`my_chat_member`). */
function ofMembership(frame: Frame, change: NonNullable<Update["chat_member"]>): MessageEvent[] {
  const { chat, from, date } = change;
  const user = change.new_chat_member?.user;
  if (!isChat(chat) || !isUser(user)) return [];
  const before = isPresent(change.old_chat_member);
  const after = isPresent(change.new_chat_member);
  if (before === after) return [];
  const aboutMe = user.id === frame.me.id;
  // The bot does not talk about itself: its coming and going is told by the person who did it.
  const sender = senderOf(undefined, aboutMe ? from : user, chat);
  if (!sender || sender.id === String(frame.me.id)) return [];
  const kind = after ? "join" : "leave";
  return [
    {
      ...eventBase(frame, { chat }),
      id: membershipId(frame, kind, chat.id, user.id, date),
      kind,
      sender,
      mentionsMe: aboutMe,
      timestamp: isoTime(date),
    },
  ];
}

/**
 * Telegram tells of one person's coming by two updates when the bot is an administrator. Both carry the same second,
 * so both get the same id, and the ledger keeps one.
 */
function membershipId(frame: Frame, kind: string, chat: number, user: number, date: unknown): string {
  return `telegram:${frame.account}:${kind}:${chat}:${user}:${isId(date) ? date : frame.update.update_id}`;
}

function isPresent(member: unknown): boolean {
  if (!isRecord(member)) return false;
  const { status } = member;
  if (status === "restricted") return member["is_member"] === true;
  return status === "creator" || status === "administrator" || status === "member";
}

function ofButton(frame: Frame, query: NonNullable<Update["callback_query"]>): MessageEvent[] {
  const message: MaybeInaccessibleMessage | undefined = isRecord(query.message) ? query.message : undefined;
  if (!message || !isChat(message.chat) || !isId(message.message_id) || typeof query.data !== "string")
    return [];
  const sender = senderOf(undefined, query.from, message.chat);
  if (!sender || sender.id === String(frame.me.id)) return [];
  const data = clean(query.data);
  const label = labelOf(message, query.data);
  return [
    {
      ...eventBase(frame, message),
      kind: "button",
      sender,
      button: {
        value: frame.options.buttonValue?.(data) ?? data,
        ...(label ? { label } : {}),
        messageId: String(message.message_id),
      },
      // Telegram does not tell when a button was pressed, only when its message was written.
      timestamp: new Date().toISOString(),
    },
  ];
}

function labelOf(message: MaybeInaccessibleMessage, data: string): string | undefined {
  const rows = "reply_markup" in message ? message.reply_markup?.inline_keyboard : undefined;
  if (!Array.isArray(rows)) return undefined;
  const button = rows
    .flat()
    .find((one) => isRecord(one) && "callback_data" in one && one.callback_data === data);
  return button && clean(button.text);
}

function ofReaction(frame: Frame, reaction: NonNullable<Update["message_reaction"]>): MessageEvent[] {
  const { chat } = reaction;
  if (!isChat(chat) || !isId(reaction.message_id)) return [];
  const sender = senderOf(reaction.actor_chat, reaction.user, chat);
  if (!sender || sender.id === String(frame.me.id)) return [];
  const before = emojisOf(reaction.old_reaction);
  const after = emojisOf(reaction.new_reaction);
  const changes = [
    ...after.filter((emoji) => !before.includes(emoji)).map((emoji) => ({ emoji, added: true })),
    ...before.filter((emoji) => !after.includes(emoji)).map((emoji) => ({ emoji, added: false })),
  ];
  const base = eventBase(frame, { chat });
  return changes.map((change, index) => ({
    ...base,
    id: index === 0 ? base.id : `${base.id}:${index}`,
    kind: "reaction",
    sender,
    reaction: { ...change, messageId: String(reaction.message_id) },
    timestamp: isoTime(reaction.date),
  }));
}

function emojisOf(reactions: readonly ReactionType[]): string[] {
  if (!Array.isArray(reactions)) return [];
  return reactions.flatMap((reaction: ReactionType) => {
    if (reaction?.type === "emoji") return [clean(reaction.emoji)];
    if (reaction?.type === "custom_emoji") return [`custom:${clean(reaction.custom_emoji_id)}`];
    return reaction?.type === "paid" ? ["⭐"] : [];
  });
}

/** The text that was said (or stands below a picture), without the bot's own name in it. */
function spokenText(message: Message, me: Me) {
  let text = clean(message.text ?? message.caption);
  const given = message.text === undefined ? message.caption_entities : message.entities;
  let entities: Entity[] = Array.isArray(given) ? given.filter(isEntity) : [];
  const command = commandOf(text, entities, me);
  let mentionsMe = command?.addressed ?? false;
  for (const entity of entities.filter((one) => isMyMention(text, one, me)).toReversed()) {
    mentionsMe = true;
    const { start, end } = mentionRange(text, entity.offset, entity.offset + entity.length);
    ({ text, entities } = cut(text, entities, start, end));
  }
  if (command?.addressed) ({ text, entities } = cut(text, entities, command.nameEnd, command.end));
  return {
    markdown: toMarkdown(text, entities),
    mentionsMe,
    ...(command ? { command: { name: command.name, args: text.slice(command.nameEnd).trim() } } : {}),
  };
}

/** `/name` or `/name@us` at the very start; a command for another bot is an ordinary message. */
function commandOf(text: string, entities: readonly Entity[], me: Me) {
  const match = /^\/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]{1,64}))?(?=\s|$)/.exec(text);
  if (!match?.[1]) return undefined;
  const isMarked = entities.some(({ type, offset }) => type === "bot_command" && offset === 0);
  if (!isMarked && entities.length > 0) return undefined;
  const addressed = match[2] !== undefined;
  if (addressed && !isMe(match[2] as string, me)) return undefined;
  return { name: match[1].toLowerCase(), addressed, nameEnd: 1 + match[1].length, end: match[0].length };
}

function isMyMention(text: string, entity: Entity, me: Me): boolean {
  if (entity.type === "text_mention") return entity.user?.id === me.id;
  return entity.type === "mention" && isMe(text.slice(entity.offset + 1, entity.offset + entity.length), me);
}

/** User names are the same in upper and lower case. */
function isMe(username: string, me: Me): boolean {
  return me.username !== undefined && username.toLowerCase() === me.username.toLowerCase();
}

/** The mention with the comma and the one space that would be left over. */
function mentionRange(text: string, start: number, end: number): { start: number; end: number } {
  const opensLine = /(^|\n)\s*$/.test(text.slice(Math.max(0, start - 64), start));
  if (opensLine)
    return { start, end: end + (/^[,:]?[ \t]*\n?/.exec(text.slice(end, end + 64))?.[0].length ?? 0) };
  return /[ \t]/.test(text[start - 1] ?? "") ? { start: start - 1, end } : { start, end };
}

type EventBase = ReturnType<typeof eventBase> & { timestamp: string };

function eventBase(
  { update, account, options }: Frame,
  place: { chat: Chat; message_id?: number; message_thread_id?: number; is_topic_message?: boolean },
) {
  const thread =
    place.is_topic_message === true && isId(place.message_thread_id)
      ? String(place.message_thread_id)
      : undefined;
  return {
    v: 1 as const,
    id: `telegram:${account}:${update.update_id}`,
    channel: "telegram",
    account,
    conversation: conversationOf(place.chat, thread),
    text: "",
    mentionsMe: false,
    attachments: [] as Attachment[],
    ...(isId(place.message_id) ? { messageId: String(place.message_id) } : {}),
    // Whoever writes to a bot is a stranger until a gate says otherwise.
    trusted: false,
    ...(options.raw ? { raw: update as unknown } : {}),
  };
}

function conversationOf(chat: Chat, thread: string | undefined): Conversation {
  const name = nameOf(chat);
  return {
    id: String(chat.id),
    kind: chat.type === "private" ? "direct" : chat.type === "channel" ? "channel" : "group",
    ...(name ? { name } : {}),
    ...(thread ? { thread } : {}),
  };
}

/** A person, or the channel or group in whose name somebody writes. In a channel nobody else is named. */
function senderOf(chat: unknown, user: unknown, place: Chat): Sender | undefined {
  const speaker = isChat(chat) ? chat : isUser(user) ? user : place.type === "channel" ? place : undefined;
  if (!speaker) return undefined;
  const name = nameOf(speaker);
  const handle = clean(speaker.username);
  const locale = "language_code" in speaker ? clean(speaker.language_code) : "";
  return {
    id: String(speaker.id),
    ...(name ? { name } : {}),
    ...(handle ? { handle } : {}),
    isBot: "is_bot" in speaker && speaker.is_bot === true,
    ...(locale ? { locale } : {}),
  };
}

function nameOf(one: Chat | User): string {
  if ("title" in one && typeof one.title === "string") return clean(one.title);
  const full = [one.first_name, one.last_name].map(clean).filter((part) => part !== "");
  return full.join(" ") || clean(one.username);
}

function isChat(value: unknown): value is Chat {
  return isRecord(value) && isId(value["id"]) && typeof value["type"] === "string";
}

function isUser(value: unknown): value is User {
  return isRecord(value) && isId(value["id"]);
}

function isMessage(value: unknown): value is Message {
  return isRecord(value) && isId(value["message_id"]) && isChat(value["chat"]);
}

function isEntity(value: unknown): value is Entity {
  return (
    isRecord(value) && typeof value["type"] === "string" && isId(value["offset"]) && isId(value["length"])
  );
}
