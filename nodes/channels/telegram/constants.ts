/**
 * Telegram's numbers, each with its source.
 * Sources: https://core.telegram.org/bots/api and https://core.telegram.org/bots/faq
 */

/** Telegram's own server; an account's `apiRoot` replaces it. */
export const API_ROOT = "https://api.telegram.org";

/** api#sendmessage: "1-4096 characters after entities parsing", counted in UTF-16 units. */
export const TEXT_MAX = 4096;
/** api#sendphoto: "0-1024 characters after entities parsing". */
export const CAPTION_MAX = 1024;
/** api#inlinekeyboardbutton: callback_data is "1-64 bytes". */
export const CALLBACK_DATA_MAX_BYTES = 64;

const MB = 1024 * 1024;
/** api#sending-files: "10 MB max size for photos, 50 MB for other files" when uploaded. */
export const PHOTO_MAX_BYTES = 10 * MB;
export const UPLOAD_MAX_BYTES = 50 * MB;
/** api#getfile: "bots can download files of up to 20MB in size". */
export const DOWNLOAD_MAX_BYTES = 20 * MB;
/** A Bot API server of one's own has no limit (api#using-a-local-bot-api-server), but a file must fit into memory. */
export const OWN_SERVER_DOWNLOAD_MAX_BYTES = 100 * MB;

/** faq#my-bot-is-hitting-limits: one message per second in one chat, about 30 per second over all chats. */
export const PER_CHAT = "1/s";
export const PER_ACCOUNT = "30/s";

/** api#setwebhook: secret_token is "1-256 characters. Only characters A-Z, a-z, 0-9, _ and - are allowed". */
export const WEBHOOK_SECRET = /^[A-Za-z0-9_-]{1,256}$/;
/** Telegram gives up on a webhook and sends it again after about a minute; nobody should come near that. */
export const WEBHOOK_ACK_MS = 10_000;

/**
 * What we ask for. The list must be complete: without naming them, Telegram leaves out `chat_member` and
 * `message_reaction` (api#getupdates, allowed_updates).
 */
export const ALLOWED_UPDATES = [
  "message",
  "edited_message",
  "channel_post",
  "edited_channel_post",
  "callback_query",
  "message_reaction",
  "my_chat_member",
  "chat_member",
] as const;

/** Milliseconds, except where the name says otherwise. Tests shorten them. */
export interface Timing {
  /** Seconds that Telegram holds a poll open when there is nothing new. */
  pollSeconds: number;
  /** Seconds of the first poll after a trouble: short, so that the status turns green soon. */
  probeSeconds: number;
  /** On top of the poll's own time, until the connection counts as dead. */
  pollGraceMs: number;
  /** Between two tries while another copy of the bot is receiving. */
  conflictMs: number;
  backoffFirstMs: number;
  backoffLongestMs: number;
  /** Longest time of a call without and with a file. */
  callMs: number;
  uploadMs: number;
  /** For the last call on closing, which confirms what was received. */
  closingMs: number;
}

export const TIMING: Timing = {
  pollSeconds: 30,
  probeSeconds: 2,
  pollGraceMs: 15_000,
  conflictMs: 30_000,
  backoffFirstMs: 1000,
  backoffLongestMs: 60_000,
  callMs: 30_000,
  uploadMs: 300_000,
  closingMs: 1000,
};

/**
 * api#update: "If there are no new updates for at least a week, then identifier of the next update will be chosen
 * randomly". An older offset could skip messages, so it is not used; the ledger drops what it knows already.
 */
export const OFFSET_VALID_MS = 6 * 24 * 60 * 60 * 1000;
