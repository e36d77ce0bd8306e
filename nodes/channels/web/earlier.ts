/** Conversations as version 0.1 kept them - one row for all visitors, one for each conversation - are carried over. */
import type { AccountMemory } from "../../../lib/channel/define";
import { entryKey, upToOf, visitorKey } from "./history";
import { type Entry, KEEP_MS } from "./replay";

const VISITORS = "visitors";
const logKey = (visitor: string) => `log:${visitor}`;

/** Does nothing when there is nothing (any more). Goes on where it was cut off. */
export async function carryEarlier(memory: AccountMemory): Promise<void> {
  const visitors = await memory.get<Record<string, number>>(VISITORS);
  if (!visitors) return;
  // The latest visitor is written last, and so stands last among all.
  for (const [visitor, at] of Object.entries(visitors).sort(([, a], [, b]) => a - b)) {
    const keepMs = at + KEEP_MS - Date.now();
    const log = await memory.get<{ entries: Omit<Entry, "n">[] }>(logKey(visitor));
    if (log && keepMs > 0) {
      const entries = log.entries.map((entry, n) =>
        memory.set(entryKey(visitor, n), { ...entry, n }, keepMs),
      );
      await Promise.all([memory.set(visitorKey(visitor), upToOf(log.entries.length), keepMs), ...entries]);
    }
    if (log) await memory.set(logKey(visitor), undefined);
  }
  await memory.set(VISITORS, undefined);
}
