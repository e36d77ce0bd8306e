/**
 * `npm run bench`: measures Redclaw beside its peers and writes `docs/performance.md`.
 *
 *     --no-peers           without grammY and telegrambot (nothing is written)
 *     --rounds 5           rounds of each system
 *     --long               longer rounds, and the memory over a million messages (more than half an hour)
 *     --mission            10,000 people on 25 bots with a slow model
 *     --only mission       only these parts: idle, rounds, fairness, slope, mission (separated by commas)
 *     --profile [store] [transport]   instead of all that: where the microseconds go, by file and function
 */
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../scripts/node-red";
import { measureFairness } from "./fairness";
import { measureIdle } from "./idle";
import { measureMission } from "./mission";
import { peersInstalled } from "./peers";
import { cores, costOf, Platform, pin } from "./processes";
import { profile } from "./profile";
import { longTablesOf, tablesOf, writePage } from "./report";
import { newResult, type Result } from "./result";
import { measure, measureInto, type Row, type Transport, telegramOrder, webOrder } from "./rounds";
import { measureSlope } from "./slope";
import { ours, program, type System, server, telegrambot } from "./systems";

/** Each system has bots of its own: two that poll with one token would take each other's updates. */
const BOTS = {
  bare: 1,
  http: 2,
  grammy: 3,
  telegrambot: 4,
  bareWebhook: 5,
  memory: { poll: 6, webhook: 7 },
  sqlite: { poll: 8, webhook: 9 },
  idle: { poll: 10, webhook: 11 },
  slope: { memory: 12, sqlite: 13 },
  fairness: 100,
  mission: { memory: 200, sqlite: 300 },
};
const STORES = ["memory", "sqlite"] as const;
const WARM_UP = 10_000;
/** A system that is too slow for the warm-up is measured all the same, and the result says how warm it was. */
const WARM_UP_MS = 6000;
const STEADY = { perSecond: 50 };

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "no-peers": { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    long: { type: "boolean", default: false },
    mission: { type: "boolean", default: false },
    only: { type: "string" },
    profile: { type: "boolean", default: false },
  },
});
// Not in the system's folder for temporary files, which may be in memory: the database must reach a disk.
const folder = path.join(root, ".redclaw/bench");
const lengths = flags.long
  ? { round: 5000, steady: 10_000, fairness: 20_000 }
  : { round: 800, steady: 1500, fairness: 2500 };

async function main(): Promise<void> {
  if (!fs.existsSync(path.join(root, "dist"))) throw new Error("There is no dist/ yet. Run: npm run build");
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  if (flags.profile) {
    const [store = "memory", transport = "poll"] = positionals;
    return profile(store as "memory" | "sqlite", transport as Transport, folder);
  }
  if (!flags["no-peers"] && wants("rounds") && !peersInstalled())
    throw new Error(
      "What we compare with is not installed. Run once: npm run bench:peers (or add --no-peers).",
    );
  const result = newResult(pin(process.pid, cores.platform));
  const platform = await new Platform().start();
  try {
    await measureAll(platform, result);
  } finally {
    await platform.stop();
  }
  fs.writeFileSync(path.join(root, ".redclaw/bench.json"), JSON.stringify(result, null, 2));
  const [tables, longTables] = [tablesOf(result), longTablesOf(result)];
  console.log(`\n${tables}\n\n${longTables}`);
  if (!flags["no-peers"] && flags.only === undefined) writePage("figures", tables);
  if (longTables) writePage("long", longTables);
}

async function measureAll(platform: Platform, result: Result): Promise<void> {
  if (wants("idle")) {
    say("idle");
    result.idle = await measureIdle(platform, folder, 3, BOTS.idle);
  }
  if (wants("rounds")) await measureRows(platform, result);
  if (wants("fairness")) {
    say("one busy account");
    result.fairness = await measureFairness(platform, folder, BOTS.fairness, lengths.fairness);
  }
  for (const store of STORES) {
    if (wants("slope")) {
      say(`a million messages, ${store}`);
      result.slope[store] = await measureSlope(platform, folder, store, BOTS.slope[store]);
    }
    if (wants("mission")) {
      say(`10,000 people on 25 bots, ${store}`);
      result.mission[store] = await measureMission(platform, folder, store, BOTS.mission[store]);
    }
  }
}

async function measureRows(platform: Platform, result: Result): Promise<void> {
  const systems: System[] = [];
  try {
    const rows = await startRows(platform, systems);
    const warmed = new Map<Row, number>();
    for (const row of rows) {
      say(`warm-up: ${row.name}, ${row.transport}`);
      warmed.set(row, await warmUp(platform, row, result));
    }
    for (let round = 1; round <= Number(flags.rounds); round += 1) {
      say(`round ${round}`);
      for (const row of rows) {
        await measureInto(platform, row, row.rounds, { forMs: lengths.round, seed: round });
        if (row.steady) {
          await measureInto(platform, row, row.steadyRounds, {
            forMs: lengths.steady,
            seed: round,
            pace: STEADY,
          });
        }
      }
    }
    for (const { name, transport, system, rounds, steadyRounds, ...row } of rows) {
      const { rss, peak } = await costOf(system.child, { meter: "gc" });
      const warmedWith = [...warmed].find(([one]) => one.order === row.order)?.[1] ?? 0;
      result.rows.push({
        name,
        transport,
        warmedWith,
        rounds,
        steadyRounds,
        rss: rss / 1e6,
        peak: peak / 1e6,
      });
    }
  } finally {
    for (const system of systems) await system.stop();
  }
}

/** Starts all systems; they live until the end and are measured in turns. */
async function startRows(platform: Platform, systems: System[]): Promise<Row[]> {
  const rows: Row[] = [];
  const keep = async (starting: Promise<System>) => {
    const system = await starting;
    systems.push(system);
    return system;
  };
  const add = (name: string, transport: Transport, system: System, bot: number, more: Partial<Row> = {}) => {
    const url = system.url ?? "";
    const order = transport === "web" ? webOrder(url, 0) : telegramOrder(bot, 0);
    if (transport === "webhook") order.origin = url;
    rows.push({
      name,
      transport,
      system,
      order,
      ordered: true,
      steady: false,
      rounds: [],
      steadyRounds: [],
      ...more,
    });
  };
  say("starting the systems");
  add("bare Node (undici)", "poll", await keep(program(platform, "bare.ts", BOTS.bare)), BOTS.bare);
  add("lib/http alone", "poll", await keep(program(platform, "http-only.ts", BOTS.http)), BOTS.http);
  if (!flags["no-peers"]) {
    const grammy = await keep(program(platform, "grammy.ts", BOTS.grammy));
    // The runner handles updates side by side and promises no order within a chat.
    add("grammY runner", "poll", grammy, BOTS.grammy, { ordered: false, steady: true });
    const bot = BOTS.telegrambot;
    add(
      "telegrambot",
      "poll",
      await keep(telegrambot(platform, path.join(folder, "telegrambot"), bot)),
      bot,
      {
        ordered: false,
      },
    );
  }
  const bareWebhook = await keep(server(platform, "bare-webhook.ts", BOTS.bareWebhook));
  add("bare Node (node:http, undici)", "webhook", bareWebhook, BOTS.bareWebhook);
  for (const store of STORES) {
    const name = store === "memory" ? "Redclaw, memory" : "Redclaw, SQLite FULL";
    const { poll, webhook } = BOTS[store];
    const accounts = { store, poll: [poll], webhook: [webhook], web: 1 };
    const system = await keep(ours(platform, path.join(folder, store), accounts));
    add(name, "poll", system, poll, { steady: true });
    add(name, "webhook", system, webhook);
    add(name, "web", system, 0);
  }
  return rows;
}

/** Until the code is hot. Ours by polling first: what 10,000 conversations add is measured on the way. */
async function warmUp(platform: Platform, row: Row, result: Result): Promise<number> {
  const store = row.name.startsWith("Redclaw, m") ? "memory" : "sqlite";
  const common = { forMs: WARM_UP_MS, seed: 99 };
  if (row.transport === "web") {
    // The visitors of one round write 5,400 messages.
    const [first, second] = [await measure(platform, row, common), await measure(platform, row, common)];
    return first.messages + second.messages;
  }
  if (!row.name.startsWith("Redclaw") || row.transport !== "poll")
    return (await measure(platform, row, { ...common, messages: WARM_UP })).messages;
  const few = await measure(platform, row, { ...common, messages: WARM_UP / 2, conversations: 100, zipf: 0 });
  const before = await costOf(row.system.child, { meter: "gc" });
  const everyone = { conversations: WARM_UP, zipf: "in turn", firstChat: 1_000_000 } as const;
  const many = await measure(platform, row, { ...everyone, seed: 99, forMs: 60_000, messages: WARM_UP });
  const after = await costOf(row.system.child, { meter: "gc" });
  result.conversations[store] = {
    rss: (after.rss - before.rss) / 1e6,
    heap: (after.heap - before.heap) / 1e6,
  };
  return few.messages + many.messages;
}

/** Is this part of the bench wanted? */
function wants(part: "idle" | "rounds" | "fairness" | "slope" | "mission"): boolean {
  if (flags.only !== undefined) return flags.only.split(",").includes(part);
  return (part !== "slope" || flags.long) && (part !== "mission" || flags.mission);
}

const startedAt = performance.now();

function say(what: string): void {
  console.error(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${what}`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
