/**
 * The inbox: events become durable, are counted once, and go out to the in-nodes in the order they came - as many at a
 * time as the flows can take.
 *
 * accepted (durable, the platform may be acknowledged) -> emitted (on the wires) -> settled (answered, or let go).
 */
import type { ChannelDefinition, ChatTarget } from "../channel/define";
import { remembering } from "../channel/memory";
import { checkEvent } from "../message/check";
import type { MessageEvent } from "../message/types";
import type { Write } from "../store/store";
import { keepBooks } from "./bookkeeping";
import { Box, type Listener } from "./box";
import { Chats } from "./chats";
import { Emitter } from "./emitter";
import { ON_THE_WIRES_MS } from "./lease";
import { type Ending, EVENT, type EventMarks } from "./ledger";
import { countCrashes, openEvents } from "./left-behind";
import { Recent } from "./recent";
import { Stopped, type StoppedOptions } from "./stopped";
import type { WaitingEvent } from "./waiting";

/** Settled events are remembered until the store has surely heard of it. */
const SETTLED_KEPT = 10_000;
/** Rows that are written in one commit at the start. */
const BATCH = 500;

export interface InboxOptions extends StoppedOptions {
  /** An event was written down: this run gets something done. */
  took(): void;
}

export class Inbox {
  readonly #o: InboxOptions;
  readonly #boxes = new Map<string, Box>();
  readonly #settled = new Recent<true>(SETTLED_KEPT);
  readonly #chats: Chats;
  readonly #stopped: Stopped;
  readonly #emitter: Emitter;
  /** Deliveries of an event that was there already. */
  duplicates = 0;
  /** Events that were written down. */
  accepted = 0;

  constructor(options: InboxOptions) {
    this.#o = options;
    const { ledger, log, maxAge } = options;
    this.#chats = new Chats(ledger);
    this.#stopped = new Stopped(options);
    this.#emitter = new Emitter({
      ledger,
      log,
      maxAge,
      boxes: this.#boxes,
      settled: this.#settled,
      stopped: this.#stopped,
    });
  }

  /** In-nodes of an account; answers the way to stop listening. */
  listen(account: string, listener: Listener): () => void {
    const box = this.#box(account);
    box.listeners.add(listener);
    this.#emitter.drainSoon(box);
    return () => void box.listeners.delete(listener);
  }

  /** No event goes out until `go`: the nodes behind the in-nodes may be gone (a deploy). */
  pause(): void {
    this.#emitter.pause();
  }

  go(): void {
    this.#emitter.go();
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
    const emitter = this.#emitter;
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
    let room = emitter.mayEmit(box) && box.waiting.size === 0 && !box.draining ? box.room() : 0;
    const direct: boolean[] = [];
    const writes: Write[] = [];
    for (const event of events) {
      direct.push(room > 0);
      writes.push(ledger.acceptEvent(event, room > 0, now));
      room -= 1;
    }
    for (const key in remember) writes.push(remembering(account, key, remember[key], now, keepMs));
    for (const event of events) this.#chats.seen(event, now, writes);
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
      const out = direct[index] === true && emitter.mayEmit(box) && box.waiting.size === 0 && !box.draining;
      const waits: WaitingEvent = {
        id: event.id,
        conversation: event.conversation.id,
        at: now,
        marks: { n: out ? 1 : 0 },
      };
      if (out) emitter.emit(box, event, waits);
      else if (box.late) box.late.push(waits);
      else box.waiting.push(waits);
    }
    if (box.waiting.size > 0) emitter.drainSoon(box);
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
      const open = await openEvents(ledger, account);
      for (const { id } of open) there.add(id);
      const idle = open.filter(({ id }) => !this.#emitter.leases.has(id) && !this.#settled.has(id));
      const known = new Map([...box.waiting, ...late].map(({ id, marks }) => [id, marks]));
      const { waiting, quarantined, writes } = countCrashes(idle, known);
      box.waiting.clear();
      for (const waits of waiting) box.waiting.push(waits);
      for (const waits of quarantined) this.#stopped.quarantine(definition, account, waits, "crashes");
      for (let at = 0; at < writes.length; at += BATCH) await ledger.commit(writes.slice(at, at + BATCH));
    } finally {
      for (const waits of late) if (!there.has(waits.id)) box.waiting.push(waits);
      box.late = undefined;
    }
    this.#emitter.drainSoon(box);
  }

  /** Somebody says that an event which stays out shall go into the flow again. False: there is no such event. */
  async sendAgain(definition: ChannelDefinition, account: string, id: string): Promise<boolean> {
    const event = await this.#stopped.sendAgain(id);
    if (!event) return false;
    const box = this.#box(account);
    // The account may not have been connected yet.
    box.definition ??= definition;
    box.waiting.push(event);
    this.#emitter.drainSoon(box);
    return true;
  }

  /** Nothing more is done about an event that stays out; its text is wiped. False: there is no such event. */
  dismiss(id: string): Promise<boolean> {
    return this.#stopped.dismiss(id);
  }

  /** A node works on the event: others wait for it when there are many. Answers the way to say that it is done. */
  begin(eventId: string): () => void {
    const lease = this.#emitter.leases.get(eventId);
    if (!lease) return () => undefined;
    lease.begin();
    let begun = true;
    return () => {
      if (!begun) return;
      begun = false;
      if (lease.work === 0) return;
      lease.done();
      if (lease.work === 0 && lease.ending) this.settle(eventId, lease.ending);
      if (lease.box.waiting.size > 0) this.#emitter.drainSoon(lease.box);
    };
  }

  /** The flow was stopped before it was through with the event: it goes out again when the flow is there again. */
  giveBack(eventId: string): void {
    const lease = this.#emitter.leases.get(eventId);
    if (!lease) return;
    this.#emitter.end(lease);
    lease.box.waiting.unshift(lease.event);
    this.#emitter.drainSoon(lease.box);
  }

  /**
   * An account or an in-node of it closes, or flows are stopped (a deploy): what went out a moment ago may still have
   * been between two nodes that are gone now. Answers that were sent are known by their key and not sent again.
   */
  giveBackRecent(account?: string): void {
    const since = performance.now() - ON_THE_WIRES_MS;
    const recent = [...this.#emitter.leases.values()].filter(
      ({ box, work, emitted }) =>
        work === 0 && emitted >= since && (account === undefined || box.account === account),
    );
    // The oldest comes to stand in front.
    for (const { event } of recent.reverse()) this.giveBack(event.id);
  }

  /** Still being worked on: the lease starts anew. */
  hold(eventId: string): void {
    this.#emitter.leases.get(eventId)?.hold();
  }

  /** Needs no further work. The body is wiped, the id stays for recognising redeliveries. */
  settle(eventId: string, how: Ending): void {
    keepBooks(this.#o, this.settling(eventId, how));
  }

  /** The same for somebody who has more to write in the same commit. */
  settling(eventId: string, how: Ending): Write[] {
    const lease = this.#emitter.leases.get(eventId);
    if (!lease && this.#settled.has(eventId)) return [];
    // Another answer to it may not be written down yet: after a crash the flow gives it again.
    if (lease && lease.work > 1) {
      lease.ending = how;
      return [];
    }
    this.#settled.set(eventId, true);
    if (lease) this.#emitter.end(lease);
    return [this.#o.ledger.settleEvent(eventId, how)];
  }

  /** Lets go of events whose lease is over, and of those that waited too long; called by the gateway's clock. */
  expireLeases(now = performance.now()): void {
    const tooOld = this.#o.ledger.clock.now() - this.#o.maxAge();
    for (const [eventId, { until }] of this.#emitter.leases) if (until <= now) this.settle(eventId, "let-go");
    for (const [account, box] of this.#boxes) {
      if (box.draining || box.late) continue;
      for (const event of box.waiting.takeOlder(tooOld)) this.#stopped.tooLate(account, event);
    }
  }

  /** Events of accounts that are not there any more, and too old to be answered: they end, visibly. */
  async expireOrphans(): Promise<void> {
    const { ledger } = this.#o;
    const store = await ledger.store();
    const before = ledger.clock.now() - this.#o.maxAge();
    const state = ["accepted", "emitted"];
    for (const row of await store.find({ space: EVENT, state, before, bare: true, limit: BATCH })) {
      const { key: id, account = "", conversation = "", at, value } = row;
      if (this.#boxes.get(account)?.definition || this.#emitter.leases.has(id)) continue;
      this.#stopped.tooLate(account, { id, conversation, at, marks: value as EventMarks });
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
    this.#emitter.close();
  }

  /** Chats of an account, the newest first. */
  recentChats(account: string, query = "", limit = 20): Promise<ChatTarget[]> {
    return this.#chats.recent(account, query, limit);
  }

  #box(account: string): Box {
    let box = this.#boxes.get(account);
    if (!box) {
      box = new Box(account);
      this.#boxes.set(account, box);
    }
    return box;
  }
}
