/**
 * Button values of any length. Telegram carries 64 bytes; a longer value is kept here and a short name of it travels
 * instead. The map survives a restart, so a button pressed weeks later still brings its whole value.
 */
import { createHash } from "node:crypto";
import type { ConnectContext } from "../../../lib/channel/define";
import { CALLBACK_DATA_MAX_BYTES } from "./constants";

const MEMORY_KEY = "buttons";
/** Of the newest values; the oldest go first. */
const KEPT_VALUES = 2000;
const KEPT_BYTES = 512 * 1024;

/** What Telegram carries for a value: the value itself, or a name of it that fits. */
export function callbackData(value: string): string {
  if (value !== "" && Buffer.byteLength(value) <= CALLBACK_DATA_MAX_BYTES) return value;
  return `~${createHash("sha256").update(value).digest("base64url").slice(0, 32)}`;
}

/** The long values of one account. */
export class ButtonValues {
  readonly #memory: ConnectContext["memory"];
  #values = new Map<string, string>();
  #bytes = 0;
  #saving: Promise<void> = Promise.resolve();

  private constructor(memory: ConnectContext["memory"]) {
    this.#memory = memory;
  }

  static async load(memory: ConnectContext["memory"]): Promise<ButtonValues> {
    const values = new ButtonValues(memory);
    const stored = await memory.get<[string, string][]>(MEMORY_KEY);
    for (const [data, value] of Array.isArray(stored) ? stored : []) values.#add(data, value);
    return values;
  }

  /** The whole value behind `data`, if it was a long one. */
  find(data: string): string | undefined {
    return this.#values.get(data);
  }

  /** Keeps the long ones among these values; resolves when they are stored, so that a button never goes out first. */
  async keep(values: readonly string[]): Promise<void> {
    let isNew = false;
    for (const value of values) {
      const data = callbackData(value);
      if (data === value || this.#values.has(data)) continue;
      this.#add(data, value);
      isNew = true;
    }
    if (isNew) {
      // One after the other: a later list holds everything an earlier one did.
      this.#saving = this.#saving
        .catch(() => undefined)
        .then(() => this.#memory.set(MEMORY_KEY, [...this.#values]));
    }
    await this.#saving;
  }

  #add(data: string, value: string): void {
    this.#values.set(data, value);
    this.#bytes += Buffer.byteLength(value);
    for (const [oldest, text] of this.#values) {
      if (this.#values.size <= KEPT_VALUES && this.#bytes <= KEPT_BYTES) break;
      if (oldest === data) break;
      this.#values.delete(oldest);
      this.#bytes -= Buffer.byteLength(text);
    }
  }
}
