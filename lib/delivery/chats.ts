/** The chats that somebody wrote in: noted as events come, offered where a flow chooses whom to write to. */
import type { ChatTarget } from "../channel/define";
import type { MessageEvent } from "../message/types";
import type { Write } from "../store/store";
import type { Ledger } from "./ledger";
import { Recent } from "./recent";

/** A chat that is seen again is written again at most this often. */
const FRESH_MS = 60_000;
const CACHED = 20_000;
/** The newest chats that a search looks at. */
const SEARCHED = 500;

export class Chats {
  readonly #ledger: Ledger;
  /** When each was written last. */
  readonly #seen = new Recent<number>(CACHED);

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Adds what is to be written about the chat of an event that came `now`. */
  seen(event: MessageEvent, now: number, writes: Write[]): void {
    const { conversation, sender } = event;
    const key = `${event.account}|${conversation.id}|${conversation.thread ?? ""}`;
    if ((this.#seen.get(key) ?? 0) > now - FRESH_MS) return;
    this.#seen.set(key, now);
    const direct = conversation.kind === "direct" ? (sender.name ?? sender.handle) : undefined;
    const name = conversation.name ?? direct ?? conversation.id;
    const body: ChatTarget = { id: conversation.id, name, kind: conversation.kind };
    if (conversation.thread) body.thread = conversation.thread;
    const { account } = event;
    writes.push({
      put: { space: "chat", key, value: null, body, account, conversation: conversation.id, at: now },
    });
  }

  /** Those of an account whose name or id contains `query`, the newest first. */
  async recent(account: string, query: string, limit: number): Promise<ChatTarget[]> {
    const store = await this.#ledger.store();
    const rows = await store.find({ space: "chat", account, order: "newest", limit: SEARCHED });
    const wanted = query.toLowerCase();
    return rows
      .flatMap(({ body }) => (body === undefined ? [] : [body as ChatTarget]))
      .filter((chat) => chat.name.toLowerCase().includes(wanted) || chat.id.toLowerCase().includes(wanted))
      .slice(0, limit);
  }
}
