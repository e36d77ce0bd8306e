/**
 * The inbox: events become durable, are counted once, and go out to the in-nodes in the order they came.
 *
 * accepted (durable, the platform may be acknowledged) -> emitted (on the wires) -> settled (answered, or let go).
 */
import type { ChannelDefinition, ChatTarget, Log } from "../channel/define";
import { checkEvent } from "../message/check";
import type { ChatContext, MessageEvent } from "../message/types";
import type { Store, Write } from "../store/store";

/** An event without an answer is let go after this long; `ai` extends it while it works. */
const LEASE_MS = 5 * 60_000;
/** Ids of settled events stay this long, so that a late redelivery is recognised (platforms redeliver for 7 days). */
const DEDUPE_MS = 8 * 24 * 3_600_000;
/** A chat that is seen again is written again at most this often. */
const CHAT_FRESH_MS = 60_000;
const CHATS_CACHED = 5_000;
/** Settled events are remembered until the store has surely heard of it. */
const SETTLED_KEPT = 10_000;

/** A wire hop takes well under a millisecond, also on a small machine under load it does not take this long. */
const ON_THE_WIRES_MS = 250;
const REDELIVERIES_MAX = 3;

/** An event that is out on the wires. Times in milliseconds since 1970. */
interface Lease {
  until: number;
  emitted: number;
  account: string;
}

export type Listener = (event: MessageEvent, chat: ChatContext) => void;

export class Inbox {
  readonly #store: () => Promise<Store>;
  readonly #log: Log;
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #leases = new Map<string, Lease>();
  /** Events that reached no wire, or were given back (in the middle of a deploy): they wait this long for a flow. */
  readonly #unheard = new Map<string, number>();
  /** Settled a moment ago: the store may still have them as under way. */
  readonly #settled = new Set<string>();
  readonly #chatsSeen = new Map<string, number>();
  /** Deliveries of an event that was there already. */
  duplicates = 0;

  constructor(store: () => Promise<Store>, log: Log) {
    this.#store = store;
    this.#log = log;
  }

  /** In-nodes of an account; answers the way to stop listening. */
  listen(account: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(account) ?? new Set();
    this.#listeners.set(account, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(account) === listeners) this.#listeners.delete(account);
    };
  }

  /**
   * Makes events durable and emits those that are new. Resolves when the platform may be acknowledged; rejects when
   * nothing was stored. An event that a parser got wrong is reported and left out: it must not block the ones behind.
   */
  async accept(
    definition: ChannelDefinition,
    account: string,
    candidates: readonly unknown[],
    remember: Record<string, unknown> = {},
  ): Promise<void> {
    const now = Date.now();
    const events = candidates.flatMap((candidate) => {
      try {
        return [checkEvent(candidate)];
      } catch (error) {
        this.#log.error(
          `${definition.label}: an event was left out because it is not well formed. ${(error as Error).message}`,
        );
        return [];
      }
    });
    const writes: Write[] = events.map((event) => ({
      insert: {
        space: "event",
        key: event.id,
        value: event,
        state: "accepted",
        account,
        conversation: event.conversation.id,
        at: now,
        expires: now + DEDUPE_MS,
      },
    }));
    for (const [key, value] of Object.entries(remember)) {
      writes.push({ put: { space: `account:${account}`, key, value, at: now } });
    }
    for (const event of events) writes.push(...this.#chatSeen(event, now));
    if (writes.length === 0) return;
    const store = await this.#store();
    const isNew = await store.commit(writes);
    events.forEach((event, index) => {
      if (isNew[index]) this.#emit(definition, event);
      else this.duplicates += 1;
    });
  }

  /**
   * Emits what reached no flow: accepted by an earlier run of the process or in the middle of a deploy, given back, or
   * cut off by a crash. What was on the wires before goes out with `redelivered` counted up, at most three times.
   */
  async resume(definition: ChannelDefinition, account: string, maxAgeMs: number): Promise<void> {
    const store = await this.#store();
    const rows = await store.find({ space: "event", state: ["accepted", "emitted"], account, limit: 1000 });
    for (const row of rows) {
      if (this.#leases.has(row.key) || this.#settled.has(row.key)) continue;
      const event = row.value as MessageEvent;
      if (row.state === "emitted") event.redelivered = (event.redelivered ?? 0) + 1;
      if (Date.now() - row.at > maxAgeMs) {
        this.settle(row.key, "let-go");
      } else if ((event.redelivered ?? 0) > REDELIVERIES_MAX) {
        this.#log.error(
          `${definition.label}: a message was on its way through the flow ${REDELIVERIES_MAX} times without getting to its end. It is let go.`,
        );
        this.settle(row.key, "let-go");
      } else {
        this.#emit(definition, event);
      }
    }
  }

  #emit(definition: ChannelDefinition, event: MessageEvent): void {
    if (this.#leases.has(event.id) || this.#settled.has(event.id)) return;
    const listeners = this.#listeners.get(event.account);
    if (!listeners?.size) {
      this.#unheard.set(event.id, Date.now() + LEASE_MS);
      return;
    }
    this.#unheard.delete(event.id);
    this.#leases.set(event.id, { until: Date.now() + LEASE_MS, emitted: Date.now(), account: event.account });
    const chat = contextOf(event, definition);
    for (const listener of listeners) listener(event, chat);
    const redelivered = event.redelivered === undefined ? {} : { value: event };
    this.#write([{ update: { space: "event", key: event.id, state: "emitted", ...redelivered } }]);
  }

  /** The flow was stopped before it was through with the event: it goes out again when the flow is there again. */
  giveBack(eventId: string): void {
    if (this.#leases.delete(eventId)) this.#unheard.set(eventId, Date.now() + LEASE_MS);
  }

  /**
   * An account or an in-node of it closes (a deploy): what went out a moment ago may still have been between two nodes that are gone now.
   * Answers that were sent are known by their key and not sent again.
   */
  giveBackRecent(account: string): void {
    const since = Date.now() - ON_THE_WIRES_MS;
    for (const [eventId, lease] of this.#leases) {
      if (lease.account === account && lease.emitted >= since) this.giveBack(eventId);
    }
  }

  /** Still being worked on: the lease starts anew. */
  hold(eventId: string): void {
    const lease = this.#leases.get(eventId);
    if (lease) lease.until = Date.now() + LEASE_MS;
  }

  /** Needs no further work. The body is wiped, the id stays for recognising redeliveries. */
  settle(eventId: string, how: "answered" | "let-go" | "ended"): void {
    this.#leases.delete(eventId);
    this.#unheard.delete(eventId);
    this.#settled.add(eventId);
    if (this.#settled.size > SETTLED_KEPT) this.#settled.delete(this.#settled.keys().next().value as string);
    this.#write([{ update: { space: "event", key: eventId, state: "settled", value: { how } } }]);
  }

  /** Lets go of events whose lease is over; called by the gateway's clock. */
  expireLeases(now = Date.now()): void {
    for (const [eventId, { until }] of this.#leases) if (until <= now) this.settle(eventId, "let-go");
    for (const [eventId, until] of this.#unheard) if (until <= now) this.settle(eventId, "let-go");
  }

  /** Chats of an account, the newest first. */
  async recentChats(account: string, query = "", limit = 20): Promise<ChatTarget[]> {
    const store = await this.#store();
    const rows = await store.find({ space: "chat", account, order: "newest", limit: 500 });
    const wanted = query.toLowerCase();
    return rows
      .map((row) => row.value as ChatTarget)
      .filter((chat) => chat.name.toLowerCase().includes(wanted) || chat.id.toLowerCase().includes(wanted))
      .slice(0, limit);
  }

  #chatSeen(event: MessageEvent, now: number): Write[] {
    const { conversation, sender } = event;
    const key = `${event.account}|${conversation.id}|${conversation.thread ?? ""}`;
    if ((this.#chatsSeen.get(key) ?? 0) > now - CHAT_FRESH_MS) return [];
    if (this.#chatsSeen.size >= CHATS_CACHED) this.#chatsSeen.clear();
    this.#chatsSeen.set(key, now);
    const direct = conversation.kind === "direct" ? (sender.name ?? sender.handle) : undefined;
    const name = conversation.name ?? direct ?? conversation.id;
    const value: ChatTarget = { id: conversation.id, name, kind: conversation.kind };
    if (conversation.thread) value.thread = conversation.thread;
    return [
      { put: { space: "chat", key, value, account: event.account, conversation: conversation.id, at: now } },
    ];
  }

  /** Bookkeeping that nobody waits for: a failure is reported, and found again at the next start. */
  #write(writes: Write[]): void {
    this.#store()
      .then((store) => store.commit(writes))
      .catch((error: Error) =>
        this.#log.warn(`The ledger could not be brought up to date: ${error.message}`),
      );
  }
}

/** All that a reply needs, taken from an event. */
function contextOf(event: MessageEvent, definition: ChannelDefinition): ChatContext {
  const chat: ChatContext = {
    v: 1,
    eventId: event.id,
    channel: event.channel,
    account: event.account,
    conversation: event.conversation,
    sender: event.sender,
    can: definition.capabilities,
  };
  if (event.messageId !== undefined) chat.messageId = event.messageId;
  // So that answers of this run of the flow are not counted on from those of the run before.
  if (event.redelivered !== undefined) chat.redelivered = event.redelivered;
  return chat;
}
