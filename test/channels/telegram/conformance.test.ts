import { channelConformance } from "../../../lib/testing";
import telegram from "../../../nodes/channels/telegram/channel";
import { TelegramServer } from "../../platforms/telegram";

let server = new TelegramServer();

const person = server.person();
const chat = server.direct(person);
const message = { message_id: 5, from: person, chat, date: 1_790_000_000 };

channelConformance(
  {
    definition: telegram,
    updates: [
      {
        name: "a text",
        update: { update_id: 1, message: { ...message, text: "hello" } },
        kinds: ["message"],
      },
      {
        name: "a command",
        update: {
          update_id: 2,
          message: {
            ...message,
            text: "/start now",
            entities: [{ type: "bot_command", offset: 0, length: 6 }],
          },
        },
        kinds: ["command"],
      },
      {
        name: "an edit",
        update: { update_id: 3, edited_message: { ...message, edit_date: 1_790_000_100, text: "hello!" } },
        kinds: ["edit"],
      },
      {
        name: "a button",
        update: {
          update_id: 4,
          callback_query: {
            id: "9",
            from: person,
            chat_instance: "1",
            data: "yes",
            message: { ...message, text: "?" },
          },
        },
        kinds: ["button"],
      },
    ],
    own: [{ update_id: 9, message: { ...message, from: server.me, text: "mine" } }],
    destination: () => ({ conversation: String(chat.id) }),
    async start() {
      server = await new TelegramServer().start();
      return { credentials: { token: server.token }, options: { mode: "polling" }, apiRoot: server.url };
    },
    stop: () => server.stop(),
    delivered: () => server.sent.map(({ text = "" }) => text),
    write: (text) => void server.say(text),
    async drop() {
      const port = Number(new URL(server.url).port);
      await server.stop();
      await new Promise((resolve) => setTimeout(resolve, 300));
      await server.start(port);
    },
    revoke() {
      server.revoked = true;
      server.say("wakes the poll");
    },
  },
  { describe, it },
);
