/** The aims of Redclaw, each with what was found: reached or not is computed. */
import { median } from "./figures";
import type { Result, RowResult } from "./result";
import { counting, type Round } from "./rounds";

interface Aim {
  aim: string;
  found: string;
  reached?: boolean;
}

/** Memory measured twice differs by this much, in MB. */
const NOISE_MB = 5;

/** Median over the rounds that count; undefined when none does. */
function medianOf(
  row: RowResult | undefined,
  of: (round: Round) => number,
  from: "rounds" | "steadyRounds" = "rounds",
): number | undefined {
  const rounds = row ? counting(row[from]) : [];
  return rounds.length > 0 ? median(rounds.map(of)) : undefined;
}

export function aimsOf(result: Result): Aim[] {
  const row = (name: string, transport = "poll") =>
    result.rows.find((one) => one.name === name && one.transport === transport);
  const cpu = (name: string) => medianOf(row(name), (round) => round.cpu);
  const steady = (at: "p50" | "p99") =>
    medianOf(row("Redclaw, SQLite FULL"), (round) => round.latency[at], "steadyRounds");
  const { idle, fairness, slope } = result;
  const growth = Object.values(result.conversations).map(({ rss }) => rss);
  const slopes = Object.values(slope);
  const start = (of: "startMs" | "rss") => ({
    // The lowest: what else the machine does can only add to it.
    empty: idle?.empty[of]?.low,
    ours: idle?.everyKind[of]?.low,
  });
  const [ms, rss] = [start("startMs"), start("rss")];
  return [
    atMost(
      "memory store: CPU per message, of the grammY runner's",
      ratio(cpu("Redclaw, memory"), cpu("grammY runner")),
      0.8,
      "x",
    ),
    atMost(
      "SQLite FULL: CPU per message, of telegrambot's",
      ratio(cpu("Redclaw, SQLite FULL"), cpu("telegrambot")),
      0.7,
      "x",
    ),
    atMost("own part, memory store", difference(cpu("Redclaw, memory"), cpu("lib/http alone")), 20, "us"),
    atMost("own part, SQLite FULL", difference(cpu("Redclaw, SQLite FULL"), cpu("lib/http alone")), 40, "us"),
    atLeast(
      "SQLite FULL by polling, end to end",
      medianOf(row("Redclaw, SQLite FULL"), (round) => round.perSecond),
      5000,
      "messages/s",
    ),
    atMost("p50 at 50 messages/s, SQLite FULL", steady("p50"), 3, "ms"),
    atMost("p99 at 50 messages/s, SQLite FULL", steady("p99"), 10, "ms"),
    atMost("one account at 100 x load: p99 of the others", fairness?.ratio, 2, "x"),
    atMost("RSS idle with every channel kind, of an empty Node-RED's", ratio(rss.ours, rss.empty), 1.25, "x"),
    atMost(
      "RSS of 10,000 conversations (the store that needs more)",
      growth.length > 0 ? Math.max(...growth) : undefined,
      50,
      "MB",
    ),
    atMost(
      `growth over 1,000,000 messages (${NOISE_MB} MB count as none)`,
      slopes.length > 0 && slopes.every(({ messages }) => messages >= 1_000_000)
        ? Math.max(...slopes.map((one) => one.rss))
        : undefined,
      NOISE_MB,
      "MB",
    ),
    atMost("start, more than an empty Node-RED", difference(ms.ours, ms.empty), 150, "ms"),
  ];
}

function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

function difference(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b;
}

function atMost(what: string, found: number | undefined, limit: number, unit: string): Aim {
  const aim = `${what} <= ${limit.toLocaleString("en")} ${unit}`;
  return found === undefined
    ? { aim, found: "not measured" }
    : { aim, found: said(found, unit), reached: found <= limit };
}

function atLeast(what: string, found: number | undefined, limit: number, unit: string): Aim {
  const aim = `${what} >= ${limit.toLocaleString("en")} ${unit}`;
  return found === undefined
    ? { aim, found: "not measured" }
    : { aim, found: said(found, unit), reached: found >= limit };
}

function said(value: number, unit: string): string {
  const digits = unit === "x" ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit}`;
}
