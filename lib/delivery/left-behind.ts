/**
 * What was left behind: events of an account that reached the end of no flow - accepted by an earlier run of the
 * process or in the middle of a deploy, or cut off by a crash.
 */
import type { Write } from "../store/store";
import { EVENT, type EventMarks, type Ledger } from "./ledger";
import type { WaitingEvent } from "./waiting";

const REDELIVERIES_MAX = 3;

interface OpenEvent extends WaitingEvent {
  state: string;
}

/** All events of an account that need work, the oldest first. */
export async function openEvents(ledger: Ledger, account: string): Promise<OpenEvent[]> {
  const rows = await ledger.open(EVENT, ["accepted", "emitted"], account);
  return rows.map(({ key, at, state = "", conversation = "", value }) => ({
    id: key,
    at,
    state,
    conversation,
    marks: value as EventMarks,
  }));
}

/**
 * What was on the wires when Node-RED crashed counts that crash.
 *
 * @param known marks of what waited already in this run of the process: given back, and that was no crash
 */
export function countCrashes(
  events: readonly OpenEvent[],
  known: ReadonlyMap<string, EventMarks>,
): { waiting: WaitingEvent[]; quarantined: WaitingEvent[]; writes: Write[] } {
  const waiting: WaitingEvent[] = [];
  const quarantined: WaitingEvent[] = [];
  const writes: Write[] = [];
  for (const { id, at, state, conversation, marks } of events) {
    const knownMarks = known.get(id);
    if (state !== "emitted" || knownMarks) {
      waiting.push({ id, conversation, at, marks: knownMarks ?? marks });
      continue;
    }
    const c = (marks.c ?? 0) + 1;
    const counted = { id, conversation, at, marks: { ...marks, c } };
    if (c > REDELIVERIES_MAX) {
      quarantined.push(counted);
      continue;
    }
    waiting.push(counted);
    writes.push({ update: { space: EVENT, key: id, state: "accepted", value: counted.marks } });
  }
  return { waiting, quarantined, writes };
}
