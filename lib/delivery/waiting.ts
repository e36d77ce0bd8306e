/** Events of one account that are written down and wait for a flow: in order per conversation, fair between them. */
import { Fifo } from "./fifo";
import type { EventMarks } from "./ledger";
import { Rounds } from "./rounds";

export interface WaitingEvent {
  id: string;
  conversation: string;
  /** When it was accepted, in milliseconds of the clock. */
  at: number;
  marks: EventMarks;
}

interface Lane {
  conversation: string;
  events: Fifo<WaitingEvent>;
}

export class Waiting {
  readonly #lanes = new Map<string, Lane>();
  readonly #rounds = new Rounds<Lane>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(event: WaitingEvent): void {
    this.#lane(event.conversation).events.push(event);
    this.#size += 1;
  }

  /** Before all others of its conversation. */
  unshift(event: WaitingEvent): void {
    this.#lane(event.conversation).events.unshift(event);
    this.#size += 1;
  }

  /** The next `count` whose turn it is; `may` says no to one that must not go now, and so to its conversation. */
  take(count: number, may: (event: WaitingEvent) => boolean): WaitingEvent[] {
    const taken: WaitingEvent[] = [];
    const held: Lane[] = [];
    while (taken.length < count) {
      const lane = this.#rounds.next();
      if (!lane) break;
      const first = lane.events.first;
      if (!first) {
        this.#lanes.delete(lane.conversation);
      } else if (may(first)) {
        lane.events.shift();
        this.#size -= 1;
        taken.push(first);
        this.#rounds.again(lane);
      } else held.push(lane);
    }
    for (const lane of held.reverse()) this.#rounds.giveBack(lane);
    return taken;
  }

  /** Those that were accepted before `at`, taken out. */
  takeOlder(at: number): WaitingEvent[] {
    const old: WaitingEvent[] = [];
    for (const { events } of this.#lanes.values()) {
      while (events.first && events.first.at < at) old.push(events.shift() as WaitingEvent);
    }
    this.#size -= old.length;
    return old;
  }

  *[Symbol.iterator](): Generator<WaitingEvent> {
    for (const { events } of this.#lanes.values()) yield* events;
  }

  clear(): void {
    for (const { events } of this.#lanes.values()) while (events.shift());
    this.#size = 0;
  }

  #lane(conversation: string): Lane {
    let lane = this.#lanes.get(conversation);
    if (!lane) {
      lane = { conversation, events: new Fifo() };
      this.#lanes.set(conversation, lane);
      this.#rounds.enter(lane);
    }
    return lane;
  }
}
