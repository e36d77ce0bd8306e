/**
 * Forgetting on demand. What is through loses its text and its path; its id stays until the platform cannot deliver it
 * again (8 days), and then it goes. What was stopped is dismissed. Open work is never touched.
 */
import { EVENT, RESPONSE } from "../delivery/ledger";
import type { Gateway } from "../gateway";
import type { Row, Store } from "../store/store";
import { Refusal } from "./answer";
import { isStopped } from "./ledger-item";
import { statesOf } from "./ledger-list";

const DAY_MS = 24 * 3_600_000;
/** Each page walks through the whole memory store: few of them. */
const PAGE = 2000;

/** A held message may still have to be sent, so it must be named. */
const UNLESS_NAMED = ["settled", "sent", "dismissed", "failed", "expired", "quarantined"];
const NEVER = ["accepted", "emitted", "intended", "sending"];

/** `states`, `account` and `olderThanDays` of a form; answers how many messages were forgotten. */
export async function purge(gateway: Gateway, form: Record<string, unknown>): Promise<number> {
  const states = purgeable(form["states"]);
  const days = Number(form["olderThanDays"] ?? 0);
  if (!Number.isFinite(days) || days < 0)
    throw new Refusal(400, "bad-number", '"olderThanDays" must be a number that is not negative.');
  const account = form["account"];
  if (account !== undefined && typeof account !== "string")
    throw new Refusal(400, "bad-account", '"account" must be the id of an account.');
  const before = gateway.clock.now() - days * DAY_MS + 1;
  const store = await gateway.store();
  let forgotten = 0;
  for (const space of [RESPONSE, EVENT])
    for await (const rows of pages(store, { space, states, account, before }))
      forgotten += await forget(gateway, rows);
  return forgotten;
}

function purgeable(given: unknown): string[] {
  if (given === undefined) return UNLESS_NAMED;
  if (!Array.isArray(given)) throw new Refusal(400, "bad-state", '"states" must be a list of states.');
  const states = statesOf(given.map(String));
  const open = states.find((state) => NEVER.includes(state));
  if (open !== undefined) {
    throw new Refusal(
      400,
      "open-work",
      `Messages in the state "${open}" are still under way, so they are not purged.`,
    );
  }
  return states;
}

/** Rows a page at a time, the newest first. Between two pages rows may change or go: none is left out by that. */
async function* pages(
  store: Store,
  from: { space: string; states: string[]; account?: string; before: number },
): AsyncGenerator<Row[]> {
  const { space, states, account } = from;
  let { before } = from;
  for (let limit = PAGE; ; ) {
    const which = { space, state: states, ...(account === undefined ? {} : { account }), before };
    const rows = await store.find({ ...which, order: "newest", bare: true, limit });
    yield rows;
    const last = rows.at(-1);
    if (!last || rows.length < limit) return;
    // Others of the same millisecond may be left; when all were of one, more are read at a time.
    if (last.at + 1 < before) before = last.at + 1;
    else limit *= 2;
  }
}

async function forget(gateway: Gateway, rows: readonly Row[]): Promise<number> {
  // A row that was purged before has no path any more.
  const through = rows.filter((row) => !isStopped(row) && row.trail !== undefined && row.trail.length > 0);
  await Promise.all(
    rows.filter(isStopped).map(async (row) => {
      // One that is sent again at this very moment is no longer stopped, and stays.
      const state = await dismiss(gateway, row).catch(() => undefined);
      if (state !== undefined) through.push({ ...row, state });
    }),
  );
  if (through.length > 0) await gateway.ledger.commit(through.map((row) => gateway.ledger.forget(row)));
  return through.length;
}

/** Answers the state that it is in then; undefined, or a RedclawError: it is not stopped any more. */
export async function dismiss({ inbox, outbox }: Gateway, row: Row): Promise<string | undefined> {
  if (row.space === EVENT) return (await inbox.dismiss(row.key)) ? "settled" : undefined;
  await outbox.dismiss(row.account ?? "", row.key);
  return "dismissed";
}
