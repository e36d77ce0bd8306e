/** The tables of `docs/performance.md`, made from a result. */
import fs from "node:fs";
import path from "node:path";
import { root } from "../scripts/node-red";
import { aimsOf } from "./aims";
import { type Figure, figureOf } from "./figures";
import type { Result, RowResult } from "./result";
import { counting, type Round } from "./rounds";

const page = path.join(root, "docs/performance.md");

/** The figures that every run makes. */
export function tablesOf(result: Result): string {
  const { date, commit, machine, versions, pinned, idle, conversations, fairness } = result;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const aims = aimsOf(result).map(({ aim, found, reached }) => [
    aim,
    found,
    reached === undefined ? "-" : reached ? "reached" : "**not reached**",
  ]);
  const parts = [
    `Measured ${date.slice(0, 10)} at ${commit} on ${machine}; ${names.join(", ")}.${pinned ? "" : " Without taskset: the processes shared their cores."}`,
    "### Aims",
    table(["aim", "found", ""], aims),
    ...(result.rows.length > 0 ? ["### One echoed message", rowsOf(result)] : []),
  ];
  if (idle) {
    const { empty, everyKind } = idle;
    const line = (name: string, of: typeof empty) => [
      name,
      said(of.startMs),
      said(of.startCpuMs),
      said(of.rss),
    ];
    parts.push(
      "### Being there",
      table(
        ["Node-RED", "start ms", "CPU ms of the start", "RSS idle MB"],
        [line("empty", empty), line("with an account of every channel kind, SQLite", everyKind)],
      ),
    );
  }
  for (const [store, growth] of Object.entries(conversations))
    parts.push(
      `10,000 conversations, ${store} store: RSS ${growth.rss.toFixed(1)} MB more than with 100, heap ${growth.heap.toFixed(1)} MB.`,
    );
  if (fairness)
    parts.push(
      `One of 25 accounts at 100 times the load of each other one: p99 of the others ${fairness.busyP99.toFixed(1)} ms, without it ${fairness.calmP99.toFixed(1)} ms.`,
    );
  return parts.join("\n\n");
}

/** The figures of `--long` and `--mission`; empty when there are none. */
export function longTablesOf({ date, commit, slope, mission }: Result): string {
  const slopes = Object.entries(slope).map(([store, one]) => [
    store,
    one.messages.toLocaleString("en"),
    one.rss.toFixed(1),
    one.heap.toFixed(1),
    String(one.lost),
  ]);
  const runs = Object.entries(mission).flatMap(([store, all]) =>
    all.map((run) => [
      store,
      run.profile,
      run.messages.toLocaleString("en"),
      `${run.unanswered} / ${run.doubled} / ${run.disordered}`,
      run.perSecond.toFixed(0),
      run.p50.toFixed(0),
      run.p99.toFixed(0),
      run.cpu.toFixed(0),
      run.rss.toFixed(0),
    ]),
  );
  const parts: string[] = [];
  if (slopes.length > 0)
    parts.push(
      "### A million messages",
      table(["store", "messages", "RSS, MB per million", "heap, MB per million", "lost"], slopes),
    );
  if (runs.length > 0)
    parts.push(
      "### 10,000 people on 25 bots, the model thinks for 1 s",
      table(
        [
          "store",
          "load",
          "messages",
          "unanswered after 20 s / doubled / out of order",
          "messages/s",
          "p50 ms",
          "p99 ms",
          "CPU us/message",
          "RSS MB",
        ],
        runs,
      ),
    );
  return parts.length === 0 ? "" : [`Measured ${date.slice(0, 10)} at ${commit}.`, ...parts].join("\n\n");
}

/** Puts the tables between their marks in the page. */
export function writePage(mark: "figures" | "long", text: string): void {
  const [open, close] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`];
  const before = fs.readFileSync(page, "utf8");
  const [from, to] = [before.indexOf(open), before.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`docs/performance.md has lost its marks ${open} and ${close}.`);
  fs.writeFileSync(page, `${before.slice(0, from + open.length)}\n${text}\n${before.slice(to)}`);
}

function rowsOf({ rows }: Result): string {
  const head = [
    "system",
    "received by",
    "CPU us/message",
    "messages/s",
    "p50 at 50/s, ms",
    "p99 at 50/s, ms",
    "RSS MB (peak)",
    "rounds that count",
  ];
  return table(head, rows.map(lineOf));
}

function lineOf(row: RowResult): string[] {
  const rounds = counting(row.rounds);
  const steady = counting(row.steadyRounds);
  const of = (from: Round[], what: (round: Round) => number) => figureOf(from.map(what));
  const disordered = rounds.reduce((sum, round) => sum + round.disordered, 0);
  return [
    row.name,
    row.transport,
    said(of(rounds, ({ cpu }) => cpu)),
    said(of(rounds, ({ perSecond }) => perSecond)),
    said(
      of(steady, ({ latency }) => latency.p50),
      1,
    ),
    said(
      of(steady, ({ latency }) => latency.p99),
      1,
    ),
    `${row.rss.toFixed(0)} (${row.peak.toFixed(0)})`,
    `${rounds.length} of ${row.rounds.length}${disordered > 0 ? `, ${disordered} messages out of order` : ""}`,
  ];
}

/** Median and range. */
function said(figure: Figure | undefined, digits = 0): string {
  if (!figure) return "-";
  const [median, low, high] = [figure.median, figure.low, figure.high].map((value) =>
    value.toLocaleString("en", { maximumFractionDigits: digits }),
  );
  return `${median} (${low}-${high})`;
}

function table(head: string[], lines: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...lines.map(line)].join("\n");
}
