/**
 * What went wrong, as a ChannelError: what Telegram answered (or did not) decides what delivery does next.
 * The token stands in every address we call, so no error is passed on as it came.
 */
import { asError, ChannelError, type Fault } from "../../../lib/errors";
import { redact } from "../../../lib/http/redact";
import type { HttpAnswer } from "../../../lib/http/request";

/** The sentence for a token that Telegram does not take. */
export const TOKEN_REFUSED =
  "Telegram refused this token. Copy it again from @BotFather - it looks like 123456:ABC...";

/** An answer `{"ok":false,...}` of the Bot API. */
export interface ApiAnswer {
  /** The Bot API method that was called. */
  method?: string;
  error_code: number;
  description: string;
  parameters?: { retry_after?: number; migrate_to_chat_id?: number };
}

/** Telegram's own words and number stay readable for the client, which treats some of them by itself. */
export class TelegramError extends ChannelError {
  readonly description: string;
  readonly migrateTo?: number;
  constructor(
    fault: Fault,
    sentence: string,
    answer: ApiAnswer,
    options?: { code?: string; retryAfterMs?: number; scope?: "chat" | "account" },
  ) {
    super(fault, sentence, options);
    this.name = "TelegramError";
    this.description = answer.description;
    this.migrateTo = answer.parameters?.migrate_to_chat_id;
  }
}

/** Wait this long when Telegram says "too many requests" without saying how long. */
const RETRY_AFTER_UNKNOWN_MS = 3000;

/** Answers of the Bot API with a meaning of their own. The texts are Telegram's; there is no other machine-readable code. */
const KNOWN: readonly { when: RegExp; fault: Fault; sentence: string; code?: string }[] = [
  {
    when: /can't parse (caption )?entities|can't parse message text/i,
    fault: "formatting",
    sentence: "Telegram could not read the formatting.",
  },
  {
    when: /chat not found|chat_id is empty|peer_id_invalid|user not found/i,
    fault: "gone",
    sentence:
      "Telegram does not know this chat for this bot. The person must write to the bot first, or the bot must be added to the group.",
  },
  {
    when: /thread not found|topic_(closed|deleted)|topic_id_invalid/i,
    fault: "gone",
    sentence: "This topic was closed or deleted on Telegram. Send to another topic or to the group itself.",
  },
  {
    when: /bot was blocked by the user/i,
    fault: "gone",
    sentence: "This person blocked the bot on Telegram. Only they can unblock it.",
  },
  {
    when: /user is deactivated/i,
    fault: "gone",
    sentence: "This Telegram account was deleted, so nothing can be sent to it.",
  },
  {
    when: /bot was kicked|bot is not a member|group chat was (deleted|deactivated)|chat was upgraded/i,
    fault: "gone",
    sentence: "The bot is no longer in this group or channel. Add it again to send messages there.",
  },
  {
    when: /bot can't initiate conversation|bots can't send messages to bots/i,
    fault: "gone",
    sentence: "A Telegram bot cannot write to somebody first. The person must open the bot and press Start.",
  },
  {
    when: /file is too big|request entity too large|file.*too large/i,
    fault: "refused",
    code: "too-large",
    sentence:
      "This file is larger than Telegram allows for bots (20 MB to receive, 50 MB to send, 10 MB for a photo).",
  },
  {
    when: /REACTION_INVALID|reaction.*(invalid|not allowed)/i,
    fault: "refused",
    sentence: "Telegram does not allow this emoji as a reaction here. Try one like 👍, ❤ or 🔥.",
  },
  {
    when: /message can't be deleted/i,
    fault: "refused",
    sentence:
      "Telegram lets a bot delete a message only in its first 48 hours, and messages of others only as an administrator.",
  },
  {
    when: /message can't be edited/i,
    fault: "refused",
    sentence:
      "Telegram does not let the bot change this message: it is too old or was not written by the bot.",
  },
  {
    when: /BUTTON_URL_INVALID|inline keyboard button URL/i,
    fault: "refused",
    sentence:
      "Telegram does not accept the address of a button. It must be a full public one, like https://example.com.",
  },
  {
    when: /not enough rights|have no rights|CHAT_(WRITE|SEND_\w+)_FORBIDDEN|need administrator rights/i,
    fault: "refused",
    sentence:
      "The bot is not allowed to do this in this chat. Give it the right in the group's or channel's administrator settings.",
  },
];

/**
 * An answer of the Bot API -> error. `secrets` never stand in its sentence. `scopeOf` says whom a wait of so many
 * milliseconds concerns.
 */
export function faultOfAnswer(
  answer: ApiAnswer,
  secrets: readonly string[],
  scopeOf: (forMs: number) => "chat" | "account",
): ChannelError {
  const { error_code: code, parameters } = answer;
  const said = redact(answer.description, secrets);
  const make = (
    fault: Fault,
    sentence: string,
    options?: { code?: string; retryAfterMs?: number; scope?: "chat" | "account" },
  ) => new TelegramError(fault, sentence, { ...answer, description: said }, options);

  if (code === 401) return make("auth", TOKEN_REFUSED);
  // A token of the wrong shape is an unknown address to Telegram. The first call shows it; later on a server of
  // one's own may just not know the method.
  if (code === 404 && answer.method === "getMe") return make("auth", TOKEN_REFUSED);
  if (code === 409)
    return make(
      "conflict",
      "Another copy of this bot is running and receives its messages. Stop one of the two.",
    );
  if (code === 429) {
    const seconds = parameters?.retry_after ?? Number(/retry after (\d+)/i.exec(said)?.[1] ?? Number.NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : RETRY_AFTER_UNKNOWN_MS;
    return make("rate", `Telegram asks to slow down for ${Math.ceil(retryAfterMs / 1000)} s.`, {
      retryAfterMs,
      scope: scopeOf(retryAfterMs),
    });
  }
  // A readable "no" of the Bot API itself: it knows that it did not do it. A gateway time-out knows nothing.
  if (code === 504)
    return make(
      "interrupted",
      "Telegram did not answer in time, so the message may or may not have arrived.",
    );
  if (code >= 500) return make("unavailable", `Telegram has trouble of its own (${code}: ${said}).`);
  const known = KNOWN.find(({ when }) => when.test(said));
  if (known) return make(known.fault, known.sentence, { code: known.code });
  if (code === 403)
    return make("gone", `The bot may not write to this chat any more (Telegram says: ${said}).`);
  return make("refused", `Telegram did not accept this (it says: ${said}).`);
}

/** An answer that is no Bot API answer: a proxy's page, or an address where something else lives. */
export function faultOfPage(answer: Pick<HttpAnswer, "status" | "header">, apiRoot: string): ChannelError {
  const { status } = answer;
  if (status === 429) {
    const seconds = Number(answer.header("retry-after") ?? Number.NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : RETRY_AFTER_UNKNOWN_MS;
    return new ChannelError("rate", "Telegram asks to slow down.", { retryAfterMs, scope: "account" });
  }
  if (status === 502 || status === 503)
    return new ChannelError("unavailable", `Telegram cannot serve at the moment (${status}).`);
  if (status >= 500) {
    return new ChannelError(
      "interrupted",
      `Telegram's server failed (${status}), so it may or may not have done it.`,
    );
  }
  return new ChannelError(
    // A success in a language we do not speak may be one.
    status < 300 ? "interrupted" : "refused",
    `The server at ${originOf(apiRoot)} does not speak Telegram's Bot API (it answered ${status}). Check the account's server address.`,
    { code: "not-telegram" },
  );
}

/** Codes of Node and undici for a request that never left. */
const NEVER_LEFT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EAI_FAIL|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|ERR_SSL_\w+)$/;

/** A call that brought no answer -> error. */
export function faultOfNetwork(thrown: unknown, secrets: readonly string[]): ChannelError {
  if (thrown instanceof ChannelError) return withoutSecrets(thrown, secrets);
  const code = networkCode(thrown);
  if (code && NEVER_LEFT.test(code)) {
    return new ChannelError("unreachable", `No connection to Telegram (${code}).`, {
      code: "channel-unreachable",
    });
  }
  return new ChannelError("interrupted", `The connection to Telegram broke off${code ? ` (${code})` : ""}.`);
}

function networkCode(thrown: unknown): string | undefined {
  for (let error: unknown = thrown; error instanceof Error; error = error.cause) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code === "string" && /^[A-Z0-9_]+$/.test(code)) return code;
  }
  return undefined;
}

/** The error itself when it is clean, else a copy whose message, cause and stack hold no secret. */
function withoutSecrets(error: ChannelError, secrets: readonly string[]): ChannelError {
  const { fault, code, retryAfterMs, scope } = error;
  return error.cause === undefined && redact(error.message, secrets) === error.message
    ? error
    : new ChannelError(fault, redact(error.message, secrets), { code, retryAfterMs, scope });
}

/** A sentence for the log, of whatever was thrown. */
export function describe(thrown: unknown, secrets: readonly string[]): string {
  return redact(asError(thrown).message, secrets);
}

function originOf(address: string): string {
  return URL.canParse(address) ? new URL(address).origin : "the given address";
}
