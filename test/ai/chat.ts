/** The chat that the tests of this room talk in. */
import type { ChatContext } from "../../lib/message/types";

export const conversation = { id: "c", kind: "direct" } as const;
export const sender = { id: "7", name: "Ann", isBot: false };

export const chat: ChatContext = {
  v: 1,
  eventId: "web:a:1",
  channel: "web",
  account: "a",
  conversation,
  sender,
  can: {
    text: { max: 4096, unit: "utf16" },
    dialect: "markdown",
    buttons: true,
    edit: true,
    delete: true,
    typing: true,
    reactions: false,
    threads: false,
    replyTo: false,
    silent: false,
    images: true,
    audio: true,
    voice: true,
    video: true,
    files: true,
    idempotency: "key",
  },
};
