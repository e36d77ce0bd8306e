/**
 * What was said before, for each conversation, in the store. A question and its answer are saved together, after the
 * answer is there: a turn that fails leaves no trace that would confuse the next one.
 */
import type { Store } from "../store/store";
import { cutToTokens, estimateTokens } from "./tokens";
import type { ChatMessage } from "./types";

/** How much of a conversation the model is shown. */
export interface Window {
  /** Messages of people and answers, at most. 0: no memory. */
  messages: number;
  /** Estimated tokens of the history, at most. */
  tokens: number;
}

const SPACE = "history";
/** A conversation that rests this long is forgotten. */
const KEEP_MS = 30 * 24 * 3_600_000;
/** What a message costs besides its text: role and separators. */
const PER_MESSAGE = 4;
/** One message may take this part of the window, or a single pasted book would push out everything else. */
const LARGEST_PART = 4;

export class History {
  readonly #store: () => Promise<Store>;
  readonly #window: Window;

  constructor(store: () => Promise<Store>, window: Window) {
    this.#store = store;
    this.#window = window;
  }

  /** The last messages that fit into the window, oldest first. */
  async read(conversation: string): Promise<ChatMessage[]> {
    if (this.#window.messages === 0) return [];
    const row = await (await this.#store()).get(SPACE, conversation);
    return newestTurns(messagesOf(row?.body ?? row?.value), this.#window);
  }

  /** Adds the messages of one successful turn. */
  async add(conversation: string, turn: readonly ChatMessage[], now = Date.now()): Promise<void> {
    if (this.#window.messages === 0) return;
    const store = await this.#store();
    const row = await store.get(SPACE, conversation);
    const messages = newestTurns([...messagesOf(row?.body ?? row?.value), ...turn], this.#window);
    const body = { v: 1, messages };
    const expires = now + KEEP_MS;
    await store.commit([
      { put: { space: SPACE, key: conversation, value: null, body, conversation, at: now, expires } },
    ]);
  }
}

/**
 * The newest turns that fit. A turn (a question with everything up to the next one) is kept whole or left out, so an
 * answer never stands without its question nor a tool's result without the call.
 */
export function newestTurns(messages: readonly ChatMessage[], window: Window): ChatMessage[] {
  const most = Math.floor(window.tokens / LARGEST_PART);
  const kept: ChatMessage[][] = [];
  let count = 0;
  let tokens = 0;
  for (const turn of turnsOf(messages).reverse()) {
    const cut = turn.map((message) => ({ ...message, content: cutToTokens(message.content, most) }));
    // Tool calls and their results are the model's own business: they do not count as messages.
    count += cut.filter(
      (message) => message.role === "user" || (message.role === "assistant" && !message.toolCalls?.length),
    ).length;
    tokens += cut.reduce((sum, message) => sum + cost(message), 0);
    if (count > window.messages || tokens > window.tokens) break;
    kept.push(cut);
  }
  return kept.reverse().flat();
}

function cost(message: ChatMessage): number {
  const calls =
    message.role === "assistant" && message.toolCalls?.length ? JSON.stringify(message.toolCalls) : "";
  return estimateTokens(message.content) + estimateTokens(calls) + PER_MESSAGE;
}

function turnsOf(messages: readonly ChatMessage[]): ChatMessage[][] {
  const turns: ChatMessage[][] = [];
  for (const message of messages) {
    if (message.role === "user") turns.push([message]);
    else turns.at(-1)?.push(message);
  }
  return turns;
}

/** Rows of another version, or of something else, count as no history. */
function messagesOf(value: unknown): ChatMessage[] {
  const row = value as { v?: unknown; messages?: unknown } | undefined;
  return row?.v === 1 && Array.isArray(row.messages) ? row.messages : [];
}
