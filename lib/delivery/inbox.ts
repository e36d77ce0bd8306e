/**
 * The inbox: events become durable, are counted once, and go out to the in-nodes in the order they came - as many at a
 * time as the flows can take.
 *
 * accepted (durable, the platform may be acknowledged) -> emitted (on the wires) -> settled (answered, or let go).
 */
import type { ChannelDefinition, ChatTarget, Log } from "../channel/define";
import { remembering } from "../channel/memory";
import { asError } from "../errors";
import { checkEvent } from "../message/check";
import type { ChatContext, MessageEvent } from "../message/types";
import type { Store, Write } from "../store/store";
import { type Ending, EVENT, type EventMarks, type Ledger } from "./ledger";
import { Recent } from "./recent";
import { Waiting, type WaitingEvent } from "./waiting";

/** An event without an answer is let go after this long; `ai` extends it while it works. */
const LEASE_MS = 5 * 60_000;
/** A chat that is seen again is written again at most this often. */
const CHAT_FRESH_MS = 60_000;
const CHATS_CACHED = 20_000;
/** Settled events are remembered until the store has surely heard of it. */
const SETTLED_KEPT = 10_000;
/** A wire hop takes well under a millisecond, also on a small machine under load it does not take this long. */
const ON_THE_WIRES_MS = 250;
/** Events of one account that are on the wires or worked on at a time; the others wait in the store. */
const IN_WORK_MAX = 512;
const BATCH = 128;
const PAGE = 500;
const REDELIVERIES_MAX = 3;
/** An event that was there at so many crashes goes out alone for a moment, so that the next crash tells who it is. */
const SUSPECT_FROM = 3;
const SUSPECT_ALONE_MS = 1000;
const STORE_RETRY_MS = 1000;

/** An event that is out on the wires. Times in milliseconds of `performance.now()`. */
interface Lease {
  box: Box;
  event: WaitingEvent;
  until: number;
  emitted: number;
  /** Nodes that said they work on it. */
  work: number;
  /** Nobody has said anything yet, and it is only a moment ago. */
  fresh: boolean;
  /** It has an answer, and others are under way. */
  ending?: Ending;
}

/** All of one account. */
interface Box {
  listeners: Set<Listener>;
  waiting: Waiting;
  /** What came while older events were still being read from the store. */
  late?: WaitingEvent[];
  definition?: ChannelDefinition;
  account: string;
  fresh: Lease[];
  freshCount: number;
  working: number;
  draining?: Promise<void>;
  timer?: NodeJS.Timeout;
  /** Milliseconds until it is worth looking again. */
  retryMs: number;
}

export type Listener = (event: MessageEvent, chat: ChatContext) => void;

export interface InboxOptions {
  ledger: Ledger;
  log: Log;
  /** Milliseconds: an older event is not answered any more. */
  maxAge(): number;
  /** An event was written down: this run gets something done. */
  took(): void;
  /** An event stays out of the flows; `why` is a sentence. */
  stopped(event: "expired" | "quarantined", account: string, id: string, why: string): void;
}

export class Inbox {
  readonly #o: InboxOptions;
  readonly #boxes = new Map<string, Box>();
  readonly #settled = new Recent<true>(SETTLED_KEPT);
  readonly #leases = new Map<string, Lease>();
  readonly #chatsSeen = new Recent<number>(CHATS_CACHED);
  #paused = false;
  /** The event that is out alone. */
  #suspect?: { id: string; timer: NodeJS.Timeout };
  /** Deliveries of an event that was there already. */
  duplicates = 0;
  /** Events that were written down. */
  accepted = 0;

  constructor(options: InboxOptions) {
    this.#o = options;
  }

  /** In-nodes of an account; answers the way to stop listening. */
  listen(account: string, listener: Listener): () => void {
    const box = this.#box(account);
    box.listeners.add(listener);
    this.#drainSoon(box);
    return () => void box.listeners.delete(listener);
  }

  /** No event goes out until `go`: the nodes behind the in-nodes may be gone (a deploy). */
  pause(): void {
    this.#paused = true;
  }

  go(): void {
    this.#paused = false;
    for (const box of this.#boxes.values()) this.#drainSoon(box);
  }

  /** Events of an account that wait for their turn. */
  waiting(account: string): number {
    return this.#boxes.get(account)?.waiting.size ?? 0;
  }

  /**
   * Makes events durable and emits those that are new. Resolves when the platform may be acknowledged; rejects when
   * nothing was stored. An event that a parser got wrong is reported and left out: it must not block the ones behind.
   */
  async accept(
    definition: ChannelDefinition,
    account: string,
    candidates: readonly unknown[],
    remember?: Record<string, unknown>,
    keepMs?: number,
  ): Promise<void> {
    const { ledger } = this.#o;
    const now = ledger.clock.now();
    const box = this.#box(account);
    box.definition = definition;
    const events: MessageEvent[] = [];
    for (const candidate of candidates) {
      try {
        events.push(checkEvent(candidate));
      } catch (error) {
        this.#o.log.error(
          `${definition.label}: an event was left out because it is not well formed. ${(error as Error).message}`,
        );
      }
    }
    let room = this.#mayEmit(box) && box.waiting.size === 0 && !box.draining ? this.#room(box) : 0;
    const direct: boolean[] = [];
    const writes: Write[] = [];
    for (const event of events) {
      direct.push(room > 0);
      writes.push(ledger.acceptEvent(event, room > 0, now));
      room -= 1;
    }
    for (const key in remember) writes.push(remembering(account, key, remember[key], now, keepMs));
    for (const event of events) this.#chatSeen(event, now, writes);
    if (writes.length === 0) return;
    const isNew = await ledger.commit(writes);
    for (let index = 0; index < events.length; index += 1) {
      const event = events[index] as MessageEvent;
      if (!isNew[index]) {
        this.duplicates += 1;
        continue;
      }
      if (this.accepted === 0) this.#o.took();
      this.accepted += 1;
      // In between, a deploy may have begun: then it waits like the others, in its order.
      const out = direct[index] === true && this.#mayEmit(box) && box.waiting.size === 0 && !box.draining;
      const waits: WaitingEvent = {
        id: event.id,
        conversation: event.conversation.id,
        at: now,
        marks: { n: out ? 1 : 0 },
      };
      if (out) this.#emit(box, event, waits);
      else if (box.late) box.late.push(waits);
      else box.waiting.push(waits);
    }
    if (box.waiting.size > 0) this.#drainSoon(box);
  }

  /**
   * Takes up what reached the end of no flow: accepted by an earlier run of the process or in the middle of a deploy,
   * or cut off by a crash. What was on the wires when Node-RED crashed counts that crash.
   *
   * @param answers takes up the answers of an earlier run first: an event whose answer is held does not go out again
   */
  async resume(
    definition: ChannelDefinition,
    account: string,
    answers: () => Promise<void> = async () => undefined,
  ): Promise<void> {
    const { ledger } = this.#o;
    const box = this.#box(account);
    box.definition = definition;
    if (box.late) return answers();
    const late: WaitingEvent[] = [];
    box.late = late;
    const there = new Set<string>();
    try {
      // What is just going out is on the wires then.
      await box.draining;
      await answers();
      // Writes that were given before are in the store when this one is.
      await ledger.commit([{ delete: { space: "barrier", key: "inbox" } }]);
      const store = await ledger.store();
      const rows = await openRows(store, account);
      // Given back in this run of the process: that was no crash.
      const known = new Map([...box.waiting, ...late].map((event) => [event.id, event.marks]));
      box.waiting.clear();
      const crashed: Write[] = [];
      for (const { key, at, state, conversation, marks } of rows) {
        there.add(key);
        if (this.#leases.has(key) || this.#settled.has(key)) continue;
        const waits = { id: key, conversation, at, marks: known.get(key) ?? marks };
        if (state === "emitted" && !known.has(key)) {
          waits.marks = { ...marks, c: (marks.c ?? 0) + 1 };
          if ((waits.marks.c ?? 0) > REDELIVERIES_MAX) {
            this.#quarantine(definition, account, waits, "crashes");
            continue;
          }
          crashed.push({ update: { space: EVENT, key, state: "accepted", value: waits.marks } });
        }
        box.waiting.push(waits);
      }
      for (let at = 0; at < crashed.length; at += PAGE) await ledger.commit(crashed.slice(at, at + PAGE));
    } finally {
      for (const waits of late) if (!there.has(waits.id)) box.waiting.push(waits);
      box.late = undefined;
    }
    this.#drainSoon(box);
  }

  #quarantine(definition: ChannelDefinition, account: string, event: WaitingEvent, code: string): void {
    const why =
      code === "crashes"
        ? `${definition.label}: Node-RED crashed ${event.marks.c} times while this message was in the flow, so it is kept out of it. Look at the nodes that it went through; in the ledger it can be sent into the flow again.`
        : `${definition.label}: a message from before the restart cannot be read, because the key of the database was lost or changed.`;
    this.#o.log.error(why);
    this.#write([this.#o.ledger.stopEvent(event.id, "quarantined", event.marks, code)], () =>
      this.#o.stopped("quarantined", account, event.id, why),
    );
  }

  /** Somebody says that an event which stays out shall go into the flow again. False: there is no such event. */
  async sendAgain(definition: ChannelDefinition, account: string, id: string): Promise<boolean> {
    const { ledger } = this.#o;
    const row = await (await ledger.store()).get(EVENT, id);
    if (!row || (row.state !== "quarantined" && row.state !== "expired")) return false;
    const now = ledger.clock.now();
    const marks: EventMarks = { n: (row.value as EventMarks).n };
    const [changed] = await ledger.commit([
      {
        update: {
          space: EVENT,
          key: id,
          ifState: row.state,
          state: "accepted",
          value: marks,
          at: now,
          trail: [["accepted", now, "by hand"]],
        },
      },
    ]);
    // Two at the same time: only the first lets it in.
    if (!changed) return false;
    const box = this.#box(account);
    // The account may not have been connected yet.
    box.definition ??= definition;
    box.waiting.push({ id, conversation: row.conversation ?? "", at: now, marks });
    this.#drainSoon(box);
    return true;
  }

  /** Nothing more is done about an event that stays out; its text is wiped. False: there is no such event. */
  async dismiss(id: string): Promise<boolean> {
    const { ledger } = this.#o;
    const row = await (await ledger.store()).get(EVENT, id);
    if (row?.state !== "quarantined" && row?.state !== "expired") return false;
    const [changed] = await ledger.commit([ledger.dismissEvent(id, row.state)]);
    return changed === true;
  }

  #mayEmit(box: Box): boolean {
    return !this.#paused && box.listeners.size > 0 && box.late === undefined;
  }

  /** How many more events the flows take now. */
  #room(box: Box): number {
    const since = performance.now() - ON_THE_WIRES_MS;
    const { fresh } = box;
    let old = 0;
    for (const lease of fresh) {
      if (lease.fresh && lease.emitted > since) break;
      if (lease.fresh) {
        lease.fresh = false;
        box.freshCount -= 1;
      }
      old += 1;
    }
    if (old > 0) fresh.splice(0, old);
    return IN_WORK_MAX - box.working - box.freshCount;
  }

  #drainSoon(box: Box, inMs = 0): void {
    if (box.waiting.size === 0 || !this.#mayEmit(box)) return;
    if (inMs > 0) {
      box.timer ??= setTimeout(() => {
        box.timer = undefined;
        this.#drainSoon(box);
      }, inMs);
      return;
    }
    box.draining ??= this.#drain(box).then(() => {
      box.draining = undefined;
      this.#drainSoon(box, box.retryMs);
    });
  }

  /** Reads events that wait and emits them, as long as there is room. Never rejects. */
  async #drain(box: Box): Promise<void> {
    box.retryMs = ON_THE_WIRES_MS;
    for (;;) {
      const room = this.#mayEmit(box) ? this.#room(box) : 0;
      const batch = box.waiting.take(Math.min(room, BATCH), (event) => this.#mayGo(event));
      if (batch.length === 0) {
        // Nobody waits, there is no room, or a suspect must be alone for a while.
        if (room > 0 && !this.#suspect) box.retryMs = 0;
        return;
      }
      try {
        await this.#emitWaiting(box, batch);
      } catch (error) {
        for (const event of batch.reverse()) box.waiting.unshift(event);
        this.#o.log.debug(asError(error).message);
        box.retryMs = STORE_RETRY_MS;
        return;
      }
    }
  }

  /** A suspect waits while another one is out. */
  #mayGo({ id, marks }: WaitingEvent): boolean {
    if ((marks.c ?? 0) < SUSPECT_FROM) return true;
    if (this.#suspect) return false;
    const timer = setTimeout(() => this.#suspectIsThrough(id), SUSPECT_ALONE_MS);
    timer.unref();
    this.#suspect = { id, timer };
    return true;
  }

  #suspectIsThrough(id: string): void {
    if (this.#suspect?.id !== id) return;
    clearTimeout(this.#suspect.timer);
    this.#suspect = undefined;
    for (const box of this.#boxes.values()) this.#drainSoon(box);
  }

  async #emitWaiting(box: Box, batch: WaitingEvent[]): Promise<void> {
    const { ledger } = this.#o;
    const store = await ledger.store();
    const tooOld = ledger.clock.now() - this.#o.maxAge();
    const going: [MessageEvent, WaitingEvent][] = [];
    const writes: Write[] = [];
    for (const waits of batch) {
      const row = await store.get(EVENT, waits.id);
      if ((row?.state !== "accepted" && row?.state !== "emitted") || this.#settled.has(waits.id)) {
        this.#suspectIsThrough(waits.id);
        continue;
      }
      const event = row.body as MessageEvent | undefined;
      if (event === undefined && box.definition) {
        this.#quarantine(box.definition, row.account ?? "", waits, "unreadable");
      } else if (waits.at < tooOld) this.#tooLate(row.account ?? "", waits);
      else if (event) {
        const n = waits.marks.n + 1;
        const marks = waits.marks.c === undefined ? { n } : { n, c: waits.marks.c };
        if (n > 1) event.redelivered = n - 1;
        going.push([event, { ...waits, marks }]);
        writes.push(ledger.emitEvent(waits.id, row.state, marks));
        continue;
      }
      this.#suspectIsThrough(waits.id);
    }
    if (going.length === 0) return;
    const changed = await ledger.commit(writes);
    const out = going.filter(([{ id }], index) => {
      if (changed[index] && !this.#settled.has(id)) return true;
      this.#suspectIsThrough(id);
      return false;
    });
    // In between, a deploy may have begun: then they wait again.
    const may = this.#mayEmit(box);
    for (const [event, waits] of may ? out : out.reverse()) {
      if (may) this.#emit(box, event, waits);
      else box.waiting.unshift(waits);
    }
  }

  #tooLate(account: string, { id, marks }: WaitingEvent): void {
    const minutes = Math.round(this.#o.maxAge() / 60_000);
    const why = `A message waited for more than ${minutes} minutes until a flow could take it, so it is not answered any more. It is kept in the ledger.`;
    this.#write([this.#o.ledger.stopEvent(id, "expired", marks, "too late")], () =>
      this.#o.stopped("expired", account, id, why),
    );
  }

  #emit(box: Box, event: MessageEvent, waits: WaitingEvent): void {
    const now = performance.now();
    const lease: Lease = {
      box,
      event: waits,
      until: now + LEASE_MS,
      emitted: now,
      work: 0,
      fresh: true,
    };
    this.#leases.set(event.id, lease);
    box.fresh.push(lease);
    box.freshCount += 1;
    let given = event;
    for (const listener of box.listeners) {
      listener(given, contextOf(given, box.definition as ChannelDefinition));
      if (box.listeners.size > 1) given = structuredClone(event);
    }
  }

  #endLease(lease: Lease): void {
    const { box, event } = lease;
    this.#leases.delete(event.id);
    if (lease.fresh) {
      lease.fresh = false;
      box.freshCount -= 1;
    }
    if (lease.work > 0) box.working -= 1;
    lease.work = 0;
    this.#suspectIsThrough(event.id);
    if (box.waiting.size > 0) this.#drainSoon(box);
  }

  /** A node works on the event: others wait for it when there are many. Answers the way to say that it is done. */
  begin(eventId: string): () => void {
    const lease = this.#leases.get(eventId);
    if (!lease) return () => undefined;
    const { box } = lease;
    if (lease.fresh) {
      lease.fresh = false;
      box.freshCount -= 1;
    }
    if (lease.work === 0) box.working += 1;
    lease.work += 1;
    let begun = true;
    return () => {
      if (!begun) return;
      begun = false;
      if (lease.work === 0) return;
      lease.work -= 1;
      if (lease.work === 0) {
        box.working -= 1;
        if (lease.ending) this.settle(eventId, lease.ending);
      }
      if (box.waiting.size > 0) this.#drainSoon(box);
    };
  }

  /** The flow was stopped before it was through with the event: it goes out again when the flow is there again. */
  giveBack(eventId: string): void {
    const lease = this.#leases.get(eventId);
    if (!lease) return;
    this.#endLease(lease);
    lease.box.waiting.unshift(lease.event);
    this.#drainSoon(lease.box);
  }

  /**
   * An account or an in-node of it closes, or flows are stopped (a deploy): what went out a moment ago may still have
   * been between two nodes that are gone now. Answers that were sent are known by their key and not sent again.
   */
  giveBackRecent(account?: string): void {
    const since = performance.now() - ON_THE_WIRES_MS;
    const recent = [...this.#leases.values()].filter(
      ({ box, work, emitted }) =>
        work === 0 && emitted >= since && (account === undefined || box.account === account),
    );
    // The oldest comes to stand in front.
    for (const { event } of recent.reverse()) this.giveBack(event.id);
  }

  /** Still being worked on: the lease starts anew. */
  hold(eventId: string): void {
    const lease = this.#leases.get(eventId);
    if (lease) lease.until = performance.now() + LEASE_MS;
  }

  /** Needs no further work. The body is wiped, the id stays for recognising redeliveries. */
  settle(eventId: string, how: Ending): void {
    this.#write(this.settling(eventId, how));
  }

  /** The same for somebody who has more to write in the same commit. */
  settling(eventId: string, how: Ending): Write[] {
    const lease = this.#leases.get(eventId);
    if (this.#settled.has(eventId)) return [];
    // Another answer to it may not be written down yet: after a crash the flow gives it again.
    if (lease && lease.work > 1) {
      lease.ending = how;
      return [];
    }
    this.#settled.set(eventId, true);
    if (lease) this.#endLease(lease);
    return [this.#o.ledger.settleEvent(eventId, how)];
  }

  /** Lets go of events whose lease is over, and of those that waited too long; called by the gateway's clock. */
  expireLeases(now = performance.now()): void {
    const tooOld = this.#o.ledger.clock.now() - this.#o.maxAge();
    for (const [eventId, { until }] of this.#leases) if (until <= now) this.settle(eventId, "let-go");
    for (const [account, box] of this.#boxes) {
      if (box.draining || box.late) continue;
      for (const event of box.waiting.takeOlder(tooOld)) this.#tooLate(account, event);
    }
  }

  /** The account was deleted: nobody listens to it any more. Its events stay in the store. */
  forget(account: string): void {
    const box = this.#boxes.get(account);
    if (!box || box.listeners.size > 0) return;
    clearTimeout(box.timer);
    this.#boxes.delete(account);
  }

  close(): void {
    for (const box of this.#boxes.values()) clearTimeout(box.timer);
    clearTimeout(this.#suspect?.timer);
  }

  /** Chats of an account, the newest first. */
  async recentChats(account: string, query = "", limit = 20): Promise<ChatTarget[]> {
    const store = await this.#o.ledger.store();
    const rows = await store.find({ space: "chat", account, order: "newest", limit: 500 });
    const wanted = query.toLowerCase();
    return rows
      .flatMap(({ body }) => (body === undefined ? [] : [body as ChatTarget]))
      .filter((chat) => chat.name.toLowerCase().includes(wanted) || chat.id.toLowerCase().includes(wanted))
      .slice(0, limit);
  }

  #chatSeen(event: MessageEvent, now: number, writes: Write[]): void {
    const { conversation, sender } = event;
    const key = `${event.account}|${conversation.id}|${conversation.thread ?? ""}`;
    if ((this.#chatsSeen.get(key) ?? 0) > now - CHAT_FRESH_MS) return;
    this.#chatsSeen.set(key, now);
    const direct = conversation.kind === "direct" ? (sender.name ?? sender.handle) : undefined;
    const name = conversation.name ?? direct ?? conversation.id;
    const body: ChatTarget = { id: conversation.id, name, kind: conversation.kind };
    if (conversation.thread) body.thread = conversation.thread;
    const { account } = event;
    writes.push({
      put: { space: "chat", key, value: null, body, account, conversation: conversation.id, at: now },
    });
  }

  #box(account: string): Box {
    let box = this.#boxes.get(account);
    if (!box) {
      box = {
        listeners: new Set(),
        waiting: new Waiting(),
        account,
        fresh: [],
        freshCount: 0,
        working: 0,
        retryMs: ON_THE_WIRES_MS,
      };
      this.#boxes.set(account, box);
    }
    return box;
  }

  /** Bookkeeping that nobody waits for: it is written as soon as the store can. */
  #write(writes: Write[], then?: () => void): void {
    if (writes.length === 0) return;
    this.#o.ledger
      .record(writes)
      .then(then)
      .catch((error: Error) =>
        this.#o.log.warn(`The ledger could not be brought up to date: ${error.message}`),
      );
  }
}

interface OpenRow {
  key: string;
  at: number;
  state: string;
  conversation: string;
  marks: EventMarks;
}

/** All events of an account that need work, the oldest first, without their bodies. */
async function openRows(store: Store, account: string): Promise<OpenRow[]> {
  const rows: OpenRow[] = [];
  for (let offset = 0; ; offset += PAGE) {
    const page = await store.find({
      space: EVENT,
      state: ["accepted", "emitted"],
      account,
      bare: true,
      limit: PAGE,
      offset,
    });
    for (const { key, at, state = "", conversation = "", value } of page)
      rows.push({ key, at, state, conversation, marks: value as EventMarks });
    if (page.length < PAGE) return rows;
  }
}

/** All that a reply needs, taken from an event. Every flow gets its own copy. */
function contextOf(event: MessageEvent, { capabilities }: ChannelDefinition): ChatContext {
  const chat: ChatContext = {
    v: 1,
    eventId: event.id,
    channel: event.channel,
    account: event.account,
    conversation: { ...event.conversation },
    sender: { ...event.sender },
    can: { ...capabilities, text: { ...capabilities.text } },
  };
  if (event.messageId !== undefined) chat.messageId = event.messageId;
  // So that answers of this run of the flow are not counted on from those of the run before.
  if (event.redelivered !== undefined) chat.redelivered = event.redelivered;
  return chat;
}
