/**
 * What one message costs in the store: an event and its answer come in, are worked on and settled.
 * `npx tsx bench/store.ts` prints CPU microseconds per message, in groups of 16 and of 100.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { memoryStore } from "../lib/store/memory";
import { sqliteStore } from "../lib/store/sqlite";
import type { Store, Write } from "../lib/store/store";

const MESSAGES = 24_000;
const ROUNDS = 3;
const KEPT_MS = 8 * 24 * 3_600_000;
const WHAT = ["event", "response", "sending", "sent", "settled"] as const;

/** The five commits of a message, made afresh as the engine does. */
const STEPS: ((n: number, now: number) => Write)[] = [
  (n, now) => ({
    insert: {
      ...place("event", n, now),
      value: { kind: "message" },
      body: {
        text: `Message ${n}: ${"please switch on the light in the kitchen, ".repeat(5)}`,
        sender: { id: "4711", name: "Ada Lovelace", isBot: false },
        conversation: { id: String(n % 977), kind: "direct" },
        timestamp: "2026-11-24T12:00:00.000Z",
        raw: { message_id: n, date: 1_732_450_000 },
      },
      trail: [["accepted", now]],
      state: "accepted",
    },
  }),
  (n, now) => ({
    insert: {
      ...place("response", n, now),
      value: { done: 0, eventId: eventId(n) },
      body: { text: `Answer ${n}: ${"the light is on. ".repeat(8)}`, format: "markdown" },
      trail: [["intended", now]],
      state: "intended",
    },
  }),
  (n, now) => ({
    update: { space: "response", key: `${eventId(n)}#1`, state: "sending", trail: [["sending", now]] },
  }),
  (n, now) => ({
    update: {
      space: "response",
      key: `${eventId(n)}#1`,
      state: "sent",
      value: { messageIds: [String(n)], sentAt: now },
      body: null,
      trail: [["sent", now]],
    },
  }),
  (n, now) => ({
    update: { space: "event", key: eventId(n), state: "settled", body: null, trail: [["settled", now]] },
  }),
];

function eventId(n: number): string {
  return `telegram:1a2b3c4d5e6f:${500_000_000 + n}`;
}

function place(space: "event" | "response", n: number, now: number) {
  return {
    space,
    key: space === "event" ? eventId(n) : `${eventId(n)}#1`,
    account: "1a2b3c4d5e6f",
    conversation: String(n % 977),
    at: now,
    expires: now + KEPT_MS,
  };
}

/** CPU microseconds per message, for each of its five commits. */
async function measure(store: Store, group: number): Promise<number[]> {
  const cost = STEPS.map(() => 0);
  const warm = MESSAGES / 4;
  for (let first = 0; first < MESSAGES; first += group) {
    for (const [i, step] of STEPS.entries()) {
      const before = process.cpuUsage();
      const commits: Promise<unknown>[] = [];
      for (let n = first; n < first + group; n++) commits.push(store.commit([step(n, Date.now())]));
      await Promise.all(commits);
      const used = process.cpuUsage(before);
      if (first >= warm) cost[i] = (cost[i] as number) + used.user + used.system;
    }
  }
  return cost.map((sum) => sum / (MESSAGES - warm));
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(process.argv[2] ?? process.cwd(), ".bench-store-"));
  const best = new Map<string, number[]>();
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const group of [16, 100]) {
        for (const kind of ["memory", "sqlite"] as const) {
          const path = join(folder, `${round}-${group}.db`);
          const store = kind === "memory" ? memoryStore() : await sqliteStore({ path, ballastBytes: 0 });
          const cost = await measure(store, group);
          await store.close();
          const name = `${kind} ${group}`;
          const before = best.get(name);
          if (!before || total(cost) < total(before)) best.set(name, cost);
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log(`CPU us per message, best of ${ROUNDS} rounds, Node ${process.version}`);
  for (const [name, cost] of best) {
    const parts = cost.map((us, i) => `${WHAT[i]} ${us.toFixed(1)}`).join(", ");
    console.log(`${name.padEnd(12)} ${total(cost).toFixed(1).padStart(6)}  (${parts})`);
  }
}

function total(cost: number[]): number {
  return cost.reduce((sum, us) => sum + us, 0);
}

void main();
