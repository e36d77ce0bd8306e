/**
 * Whom a "Too Many Requests" is about: the one chat or the whole bot. Telegram's answer is the same for both; its
 * limits are one message a second in a chat, 20 a minute in a group and about 30 a second over all
 * (faq#my-bot-is-hitting-limits).
 */
export class Slowed {
  #chat: unknown;
  #until = 0;

  /** `chat` as it was sent; undefined for a call that concerns no chat. */
  scope(chat: unknown, forMs: number, now = Date.now()): "chat" | "account" {
    if (chat === undefined) return "account";
    // A group has a small limit of its own, so it tells nothing about the rest of the bot.
    if (typeof chat !== "number" || chat < 0) return "chat";
    // We keep to one message a second in a chat; two people's chats slowed at once is the limit over all.
    const another = this.#chat !== chat && now < this.#until;
    this.#chat = chat;
    this.#until = Math.max(another ? this.#until : 0, now + forMs);
    return another ? "account" : "chat";
  }
}
