/** Finds messages in the ledger: events and responses in one list, the newest first. */
import { EVENT, RESPONSE } from "../delivery/ledger";
import type { Gateway } from "../gateway";
import type { Query, Row } from "../store/store";
import { Refusal } from "./answer";
import { itemOf, type LedgerItem } from "./ledger-item";

const LIMIT = 50;
const LIMIT_MAX = 200;
/** Further back than this, two kinds cannot be merged without reading all of both. */
const MERGED_MAX = 10_000;

/** States, and the words that people use for some of them. */
const STATES: Record<string, readonly string[]> = {
  ...Object.fromEntries(
    [
      ...["accepted", "emitted", "settled", "quarantined", "expired"],
      ...["intended", "sending", "sent", "unknown", "failed", "dismissed"],
    ].map((state) => [state, [state]]),
  ),
  held: ["unknown"],
  waiting: ["intended", "sending", "accepted"],
};

interface Page {
  total: number;
  items: LedgerItem[];
}

/** `state`, `account`, `conversation`, `kind`, `limit` (50, at most 200) and `offset` of an address. */
export async function listMessages(gateway: Gateway, asked: Record<string, unknown>): Promise<Page> {
  const state = wordsOf(asked["state"]);
  const account = wordOf(asked["account"]);
  const conversation = wordOf(asked["conversation"]);
  const limit = numberOf("limit", asked["limit"], LIMIT, LIMIT_MAX);
  const offset = numberOf("offset", asked["offset"], 0, Number.MAX_SAFE_INTEGER);
  const which = {
    ...(state.length === 0 ? {} : { state: statesOf(state) }),
    ...(account === undefined ? {} : { account }),
    ...(conversation === undefined ? {} : { conversation }),
  };
  const store = await gateway.store();
  const counted = await Promise.all(
    spacesOf(wordOf(asked["kind"])).map(async (space) => ({
      space,
      count: await store.count({ space, ...which }),
    })),
  );
  const total = counted.reduce((sum, { count }) => sum + count, 0);
  const found = counted.filter(({ count }) => count > 0);
  const query = (space: string): Query => ({ space, ...which, order: "newest", bare: true });
  let rows: Row[] = [];
  if (found.length === 1) {
    rows = await store.find({ ...query(found[0]?.space ?? ""), limit, offset });
  } else if (offset < total) {
    if (offset + limit > MERGED_MAX) throw tooFar();
    const both = await Promise.all(
      found.map(({ space }) => store.find({ ...query(space), limit: offset + limit })),
    );
    rows = both
      .flat()
      .sort((a, b) => b.at - a.at)
      .slice(offset, offset + limit);
  }
  // Only what is shown is decrypted. A row that is gone meanwhile is shown as it was.
  const whole = await Promise.all(rows.map(async (row) => (await store.get(row.space, row.key)) ?? row));
  return { total, items: whole.map((row) => itemOf(gateway, row)) };
}

/** States of the ledger for what was asked for. Throws a Refusal that names the possible ones. */
export function statesOf(words: readonly string[]): string[] {
  const states = words.flatMap((word) => {
    const known = Object.hasOwn(STATES, word) ? STATES[word] : undefined;
    if (known) return known;
    throw new Refusal(
      400,
      "bad-state",
      `There is no state "${word.slice(0, 40)}". Possible are: ${Object.keys(STATES).join(", ")}.`,
    );
  });
  return [...new Set(states)];
}

function spacesOf(kind: string | undefined): string[] {
  if (kind === undefined) return [RESPONSE, EVENT];
  if (kind === "event") return [EVENT];
  if (kind === "response") return [RESPONSE];
  throw new Refusal(400, "bad-kind", 'The kind is "event" or "response".');
}

function tooFar(): Refusal {
  return new Refusal(
    400,
    "too-far",
    `That is too far back for all messages at once. Ask for one kind, state, account or conversation.`,
  );
}

/** In an address a name may stand several times. */
function wordsOf(value: unknown): string[] {
  return [value]
    .flat()
    .flatMap((word) => (typeof word === "string" ? word.split(",") : []))
    .map((word) => word.trim())
    .filter(Boolean);
}

function wordOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function numberOf(name: string, value: unknown, otherwise: number, most: number): number {
  if (value === undefined || value === "") return otherwise;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new Refusal(400, "bad-number", `"${name}" must be a whole number that is not negative.`);
  return Math.min(number, most);
}
