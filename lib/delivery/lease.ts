/** A lease: an event that is out on the wires, until when, and how many nodes work on it. */
import type { Box } from "./box";
import type { Ending } from "./ledger";
import type { WaitingEvent } from "./waiting";

/** An event without an answer is let go after this long; `ai` extends it while it works. */
const LEASE_MS = 5 * 60_000;
/** A wire hop takes well under a millisecond, also on a small machine under load it does not take this long. */
export const ON_THE_WIRES_MS = 250;

/** Times in milliseconds of `performance.now()`. */
export class Lease {
  readonly box: Box;
  readonly event: WaitingEvent;
  readonly emitted: number;
  until: number;
  /** Nodes that said they work on it. */
  work = 0;
  /** Nobody has said anything yet, and it is only a moment ago. */
  fresh = true;
  /** It has an answer, and others are under way. */
  ending?: Ending;

  constructor(box: Box, event: WaitingEvent) {
    const now = performance.now();
    this.box = box;
    this.event = event;
    this.emitted = now;
    this.until = now + LEASE_MS;
    box.fresh.push(this);
    box.freshCount += 1;
  }

  /** A node begins to work on it. */
  begin(): void {
    this.age();
    if (this.work === 0) this.box.working += 1;
    this.work += 1;
  }

  /** A node that had begun is through; only while `work` is above 0. */
  done(): void {
    this.work -= 1;
    if (this.work === 0) this.box.working -= 1;
  }

  /** It is over, whoever still works. */
  end(): void {
    this.age();
    if (this.work > 0) this.box.working -= 1;
    this.work = 0;
  }

  /** No longer counts as just gone out. */
  age(): void {
    if (!this.fresh) return;
    this.fresh = false;
    this.box.freshCount -= 1;
  }

  /** Still being worked on: it starts anew. */
  hold(): void {
    this.until = performance.now() + LEASE_MS;
  }
}
