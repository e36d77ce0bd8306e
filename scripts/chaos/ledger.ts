/** The product's ledger, read through its own store when its process has ended: what can a person see there? */
import fs from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Row } from "../../lib/store/store";
import { openLedger } from "./package";

/** Held: may have arrived. Failed: the answer was given up. Quarantined: the message was given up. */
export type Seen = "held" | "failed" | "quarantined";

export interface Ledger {
  /** Where a message that was not answered can be seen. */
  seen(eventId: string): Seen | undefined;
  /** All that is known of it, for a failure's text. */
  describe(eventId: string): string;
  unsettled: { eventId: string; what: string }[];
  heldRows: Record<string, number>;
  damage: string;
}

/** Under way: with time these must become something else. */
const UNDER_WAY: Record<string, readonly string[]> = {
  event: ["accepted", "emitted"],
  response: ["intended", "sending"],
};
/** A person can see these and do something about them. */
const VISIBLE = new Set(["failed", "expired", "quarantined", "dead"]);

export async function readLedger(file: string, from?: string): Promise<Ledger> {
  const damage = integrityOf(file);
  const store = await openLedger(file, from);
  const events = await store.find({ space: "event", limit: Number.MAX_SAFE_INTEGER, bare: true });
  const responses = await store.find({ space: "response", limit: Number.MAX_SAFE_INTEGER, bare: true });
  await store.close();
  const rows = new Map<string, Row[]>();
  for (const row of [...events, ...responses]) {
    const eventId = row.space === "event" ? row.key : (row.key.split("/")[0] as string);
    rows.set(eventId, [...(rows.get(eventId) ?? []), row]);
  }
  const heldRows: Record<string, number> = {};
  for (const { state, account = "" } of responses)
    if (state === "unknown") heldRows[account] = (heldRows[account] ?? 0) + 1;
  const seen: Ledger["seen"] = (eventId) => {
    const found = rows.get(eventId) ?? [];
    const visible = (kind: string) =>
      found.some(({ space, state = "" }) => space === kind && VISIBLE.has(state));
    if (found.some(({ state }) => state === "unknown")) return "held";
    if (visible("response")) return "failed";
    return visible("event") ? "quarantined" : undefined;
  };
  return {
    damage,
    heldRows,
    seen,
    describe(eventId) {
      const found = (rows.get(eventId.split("/")[0] as string) ?? []).map(
        ({ space, state, value, trail }) => {
          const how = (value as { how?: string; reason?: string } | null) ?? {};
          return `${space} ${state} ${how.how ?? how.reason ?? ""} ${JSON.stringify(trail ?? [])}`;
        },
      );
      return found.join(", ") || "no row";
    },
    unsettled: [...events, ...responses]
      .filter(({ space, state = "" }) => UNDER_WAY[space]?.includes(state))
      .map(({ space, key, state }) => ({ eventId: key, what: `${space} is ${state}` })),
  };
}

function integrityOf(file: string): string {
  if (!fs.existsSync(file)) return "no file";
  const database = new DatabaseSync(file);
  try {
    const answer = database.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
    const said = answer.map(({ integrity_check }) => integrity_check).join("; ");
    return said === "ok" ? "" : said;
  } finally {
    database.close();
  }
}
