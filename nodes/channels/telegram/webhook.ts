/** The secret that Telegram repeats with every webhook call, and the check of it. */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { AccountSettings, WebhookRequest } from "../../../lib/channel/define";

/**
 * The account's own secret, or one derived from its token: nobody can guess it, and it needs no place to be kept.
 * Undefined when the account has neither.
 */
export function webhookSecret(account: AccountSettings): string | undefined {
  const own = account.credentials["webhookSecret"]?.trim();
  if (own) return own;
  const token = account.credentials["token"]?.trim();
  if (!token) return undefined;
  return createHmac("sha256", token).update(`redclaw webhook ${account.id}`).digest("base64url");
}

/** True when the request carries the secret we gave to Telegram. Takes the same time for every wrong one. */
export function verifyWebhook(request: WebhookRequest, account: AccountSettings): boolean {
  const secret = webhookSecret(account);
  const shown = request.headers["x-telegram-bot-api-secret-token"];
  if (secret === undefined || typeof shown !== "string") return false;
  return timingSafeEqual(digest(shown), digest(secret));
}

/** Equal lengths for the constant-time comparison. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
