/** Telegram: what the channel is. Everything that talks to Telegram is in `client.ts`, loaded when an account starts. */
import { type AccountSettings, defineChannel } from "../../../lib/channel/define";
import {
  API_ROOT,
  CAPTION_MAX,
  PER_ACCOUNT,
  PER_CHAT,
  TEXT_MAX,
  UPLOAD_MAX_BYTES,
  WEBHOOK_ACK_MS,
} from "./constants";
import { verifyWebhook } from "./webhook";

export default defineChannel({
  name: "telegram",
  label: "Telegram",
  icon: "redclaw-telegram.svg",
  docs: "https://core.telegram.org/bots/api",
  apiRoot: API_ROOT,
  credentials: {
    token: {
      label: "Bot token",
      secret: true,
      required: true,
      placeholder: "123456789:AAE4f0zX...",
      pattern: "^\\s*[0-9]+:[A-Za-z0-9_-]+\\s*$",
      patternHelp: "A token is a number, a colon and a long word, like 123456789:AAE4f0zX...",
      help: "In Telegram, open [@BotFather](https://t.me/BotFather) and send `/newbot` (for a bot you already have: `/token`).\nCopy the line that looks like 123456789:AAE4f0zX... and paste it here.",
    },
    webhookSecret: {
      label: "Webhook secret",
      secret: true,
      placeholder: "leave empty: one is made for you",
      pattern: "^[A-Za-z0-9_-]{1,256}$",
      patternHelp: "Up to 256 letters, digits, - and _.",
      when: { mode: "webhook" },
      help: "Only for receiving by webhook: Telegram shows it with every message, so that nobody else can pretend to be Telegram. Leave it empty and Redclaw makes one.",
    },
  },
  options: {
    mode: {
      label: "Receive by",
      default: "polling",
      choices: [
        { value: "polling", label: "Polling (works everywhere)" },
        { value: "webhook", label: "Webhook (needs a public address)" },
      ],
      advanced: true,
      help: "Polling asks Telegram for new messages and works behind any router. A webhook needs a public https address, set in the gateway.",
    },
    raw: {
      label: "Keep the platform's own update in the event",
      default: false,
      help: "Adds `msg.payload.raw`: the update exactly as Telegram sent it.",
      advanced: true,
    },
  },
  capabilities: {
    text: { max: TEXT_MAX, unit: "utf16", caption: CAPTION_MAX },
    dialect: "html",
    buttons: true,
    edit: true,
    delete: true,
    typing: true,
    reactions: true,
    threads: true,
    replyTo: true,
    silent: true,
    images: true,
    audio: true,
    voice: true,
    video: true,
    files: true,
    fileMax: UPLOAD_MAX_BYTES,
    // Telegram takes no key with a message and bots cannot look their own messages up.
    idempotency: "none",
  },
  limits: { perChat: PER_CHAT, perAccount: PER_ACCOUNT },
  identity(account) {
    // The number before the colon is the bot's own; the rest changes when its owner asks for a new token.
    const bot = /^\s*(\d+):/.exec(account.credentials["token"] ?? "")?.[1];
    return bot && `${serverOf(account)} ${bot}`;
  },
  events: ["message", "command", "button", "reaction", "edit", "join", "leave"],
  webhook: {
    active: (account) => account.options["mode"] === "webhook",
    verify: verifyWebhook,
    ackWithin: WEBHOOK_ACK_MS,
  },
  client: () => import("./client.js"),
});

function serverOf({ apiRoot }: AccountSettings): string {
  const address = apiRoot?.trim() || API_ROOT;
  return URL.canParse(address) ? new URL(address).href.replace(/\/+$/, "") : address;
}
