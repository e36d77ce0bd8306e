/** Events that stay out of the flows, too late or quarantined: why, and how one goes in again or is dismissed. */
import type { ChannelDefinition, Log } from "../channel/define";
import { keepBooks } from "./bookkeeping";
import { EVENT, type EventMarks, type Ledger } from "./ledger";
import type { WaitingEvent } from "./waiting";

export interface StoppedOptions {
  ledger: Ledger;
  log: Log;
  /** Milliseconds: an older event is not answered any more. */
  maxAge(): number;
  /** An event stays out of the flows; `why` is a sentence. */
  stopped(event: "expired" | "quarantined", account: string, id: string, why: string): void;
}

export class Stopped {
  readonly #o: StoppedOptions;

  constructor(options: StoppedOptions) {
    this.#o = options;
  }

  tooLate(account: string, { id, marks }: WaitingEvent): void {
    const minutes = Math.round(this.#o.maxAge() / 60_000);
    const why = `A message waited for more than ${minutes} minutes until a flow could take it, so it is not answered any more. It is kept in the ledger.`;
    const write = this.#o.ledger.stopEvent(id, "expired", marks, "too late");
    keepBooks(this.#o, [write], () => this.#o.stopped("expired", account, id, why));
  }

  quarantine(
    { label }: ChannelDefinition,
    account: string,
    { id, marks }: WaitingEvent,
    code: "crashes" | "unreadable",
  ): void {
    const why =
      code === "crashes"
        ? `${label}: Node-RED crashed ${marks.c} times while this message was in the flow, so it is kept out of it. Look at the nodes that it went through; in the ledger it can be sent into the flow again.`
        : `${label}: a message from before the restart cannot be read, because the key of the database was lost or changed.`;
    this.#o.log.error(why);
    const write = this.#o.ledger.stopEvent(id, "quarantined", marks, code);
    keepBooks(this.#o, [write], () => this.#o.stopped("quarantined", account, id, why));
  }

  /** Somebody says that it shall go into the flow: answers the event that waits now; undefined: there is no such. */
  async sendAgain(id: string): Promise<WaitingEvent | undefined> {
    const { ledger } = this.#o;
    const row = await (await ledger.store()).get(EVENT, id);
    if (!row || (row.state !== "quarantined" && row.state !== "expired")) return undefined;
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
    return changed ? { id, conversation: row.conversation ?? "", at: now, marks } : undefined;
  }

  /** Nothing more is done about it; its text is wiped. False: there is no such event. */
  async dismiss(id: string): Promise<boolean> {
    const { ledger } = this.#o;
    const row = await (await ledger.store()).get(EVENT, id);
    if (row?.state !== "quarantined" && row?.state !== "expired") return false;
    const [changed] = await ledger.commit([ledger.dismissEvent(id, row.state)]);
    return changed === true;
  }
}
