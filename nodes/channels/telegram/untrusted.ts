/** Looking at a value from outside before it is believed. */

/** Text that can be stored, searched and sent anywhere: no half characters and no NUL. Same length as before. */
export function clean(value: unknown): string {
  if (typeof value !== "string") return "";
  const whole = value.toWellFormed();
  return whole.includes("\0") ? whole.replaceAll("\0", "\uFFFD") : whole;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Telegram's ids are whole numbers of up to 52 bits. */
export function isId(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Seconds since 1970 -> ISO 8601; now, when they make no sense. */
export function isoTime(seconds: unknown): string {
  const ms = typeof seconds === "number" ? seconds * 1000 : Number.NaN;
  return new Date(Math.abs(ms) <= 8.64e15 ? ms : Date.now()).toISOString();
}
