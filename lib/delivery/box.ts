/** A box: what the inbox has of one account - who listens, what waits for its turn, how much is out. */
import type { ChannelDefinition } from "../channel/define";
import type { ChatContext, MessageEvent } from "../message/types";
import { type Lease, ON_THE_WIRES_MS } from "./lease";
import { Waiting, type WaitingEvent } from "./waiting";

/** Events of one account that are on the wires or worked on at a time; the others wait in the store. */
const IN_WORK_MAX = 512;

export type Listener = (event: MessageEvent, chat: ChatContext) => void;

export class Box {
  readonly account: string;
  readonly listeners = new Set<Listener>();
  readonly waiting = new Waiting();
  /** What came while older events were still being read from the store. */
  late?: WaitingEvent[];
  /** Known from the first connection on. */
  definition?: ChannelDefinition;
  draining?: Promise<void>;
  timer?: NodeJS.Timeout;
  /** Milliseconds until it is worth looking again. */
  retryMs = ON_THE_WIRES_MS;
  /** Leases in the order they began; those in front may have aged. */
  readonly fresh: Lease[] = [];
  freshCount = 0;
  /** Leases that a node works on. */
  working = 0;

  constructor(account: string) {
    this.account = account;
  }

  /** How many more events the flows take now. */
  room(): number {
    const since = performance.now() - ON_THE_WIRES_MS;
    let old = 0;
    for (const lease of this.fresh) {
      if (lease.fresh && lease.emitted > since) break;
      lease.age();
      old += 1;
    }
    if (old > 0) this.fresh.splice(0, old);
    return IN_WORK_MAX - this.working - this.freshCount;
  }
}
