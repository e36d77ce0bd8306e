/**
 * What was left behind: events of an account that reached the end of no flow - accepted by an earlier run of the
 * process or in the middle of a deploy, or cut off by a crash.
 */
import type { Write } from "../store/store";
import { EVENT, type EventMarks, type Ledger } from "./ledger";
import type { WaitingEvent } from "./waiting";

const PAGE = 500;
const REDELIVERIES_MAX = 3;

interface OpenEvent extends WaitingEvent {
  state: string;
}

/** All events of an account that need work, the oldest first, without their bodies. */
export async function openEvents(ledger: Ledger, account: string): Promise<OpenEvent[]> {
  // Writes that were given before are in the store when this one is.
  await ledger.commit([{ delete: { space: "barrier", key: "inbox" } }]);
  const store = await ledger.store();
  const events: OpenEvent[] = [];
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
      events.push({ id: key, at, state, conversation, marks: value as EventMarks });
    if (page.length < PAGE) return events;
  }
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
