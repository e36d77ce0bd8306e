/** The emitter: events go out on the wires to the in-nodes, as many at a time as the flows can take. */
import type { ChannelDefinition } from "../channel/define";
import { asError } from "../errors";
import type { MessageEvent } from "../message/types";
import type { Write } from "../store/store";
import type { Box } from "./box";
import { contextOf } from "./context";
import { Lease, ON_THE_WIRES_MS } from "./lease";
import { EVENT } from "./ledger";
import type { Recent } from "./recent";
import type { Stopped, StoppedOptions } from "./stopped";
import { Suspects } from "./suspects";
import type { WaitingEvent } from "./waiting";

/** Events that are read from the store at a time. */
const BATCH = 128;
const STORE_RETRY_MS = 1000;

export interface EmitterOptions extends Pick<StoppedOptions, "ledger" | "log" | "maxAge"> {
  boxes: ReadonlyMap<string, Box>;
  /** Events that need no further work, though the store may not have heard of it yet. */
  settled: Pick<Recent<true>, "has">;
  stopped: Stopped;
}

export class Emitter {
  /** What is out on the wires, by the event's id. */
  readonly leases = new Map<string, Lease>();
  readonly #o: EmitterOptions;
  readonly #suspects = new Suspects(() => this.#drainAll());
  #paused = false;

  constructor(options: EmitterOptions) {
    this.#o = options;
  }

  pause(): void {
    this.#paused = true;
  }

  go(): void {
    this.#paused = false;
    this.#drainAll();
  }

  mayEmit(box: Box): boolean {
    return !this.#paused && box.listeners.size > 0 && box.late === undefined;
  }

  emit(box: Box, event: MessageEvent, waits: WaitingEvent): void {
    this.leases.set(event.id, new Lease(box, waits));
    let given = event;
    for (const listener of box.listeners) {
      listener(given, contextOf(given, box.definition as ChannelDefinition));
      if (box.listeners.size > 1) given = structuredClone(event);
    }
  }

  /** The event is not out any more: there is room for another one. */
  end(lease: Lease): void {
    const { box, event } = lease;
    this.leases.delete(event.id);
    lease.end();
    this.#suspects.isThrough(event.id);
    if (box.waiting.size > 0) this.drainSoon(box);
  }

  /** What waits goes out when it may: now, or `inMs` from now. */
  drainSoon(box: Box, inMs = 0): void {
    if (box.waiting.size === 0 || !this.mayEmit(box)) return;
    if (inMs > 0) {
      box.timer ??= setTimeout(() => {
        box.timer = undefined;
        this.drainSoon(box);
      }, inMs);
      return;
    }
    box.draining ??= this.#drain(box).then(() => {
      box.draining = undefined;
      this.drainSoon(box, box.retryMs);
    });
  }

  #drainAll(): void {
    for (const box of this.#o.boxes.values()) this.drainSoon(box);
  }

  /** Reads events that wait and emits them, as long as there is room. Never rejects. */
  async #drain(box: Box): Promise<void> {
    box.retryMs = ON_THE_WIRES_MS;
    for (;;) {
      const room = this.mayEmit(box) ? box.room() : 0;
      const batch = box.waiting.take(Math.min(room, BATCH), (event) => this.#suspects.mayGo(event));
      if (batch.length === 0) {
        // Nobody waits, there is no room, or a suspect must be alone for a while.
        if (room > 0 && !this.#suspects.isOut) box.retryMs = 0;
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

  async #emitWaiting(box: Box, batch: WaitingEvent[]): Promise<void> {
    const { ledger, settled, stopped } = this.#o;
    const store = await ledger.store();
    const tooOld = ledger.clock.now() - this.#o.maxAge();
    const going: [MessageEvent, WaitingEvent][] = [];
    const writes: Write[] = [];
    for (const waits of batch) {
      const row = await store.get(EVENT, waits.id);
      if ((row?.state !== "accepted" && row?.state !== "emitted") || settled.has(waits.id)) {
        this.#suspects.isThrough(waits.id);
        continue;
      }
      const event = row.body as MessageEvent | undefined;
      if (event === undefined && box.definition) {
        stopped.quarantine(box.definition, row.account ?? "", waits, "unreadable");
      } else if (waits.at < tooOld) stopped.tooLate(row.account ?? "", waits);
      else if (event) {
        const n = waits.marks.n + 1;
        const marks = waits.marks.c === undefined ? { n } : { n, c: waits.marks.c };
        if (n > 1) event.redelivered = n - 1;
        going.push([event, { ...waits, marks }]);
        writes.push(ledger.emitEvent(waits.id, row.state, marks));
        continue;
      }
      this.#suspects.isThrough(waits.id);
    }
    if (going.length === 0) return;
    const changed = await ledger.commit(writes);
    const out = going.filter(([{ id }], index) => {
      if (changed[index] && !settled.has(id)) return true;
      this.#suspects.isThrough(id);
      return false;
    });
    // In between, a deploy may have begun: then they wait again.
    const may = this.mayEmit(box);
    for (const [event, waits] of may ? out : out.reverse()) {
      if (may) this.emit(box, event, waits);
      else box.waiting.unshift(waits);
    }
  }

  close(): void {
    for (const box of this.#o.boxes.values()) clearTimeout(box.timer);
    this.#suspects.close();
  }
}
