/**
 * `npm run chaos`: the long campaign of docs/reliability.md. Prints a table and writes the figures into that page.
 *
 * Options: `--kills 1000` (random kills), `--deploys 200`, `--backlog 100000`, `--seed N`, `--only kills,steps,...`
 * (kills, bursts, crashes, steps, red, strace, deploys, backlog, controls, tests), `--chains 2` (at the same time),
 * `--stride 1` (of `red`, the slowest: every so many steps), `--no-write`. Runs against `dist/` of this checkout, or
 * of the folder in `REDCLAW_PACKAGE`.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../node-red";
import { runBacklog } from "./backlog";
import { runBurst } from "./burst";
import { catchControl } from "./catch";
import { type ChainResult, runChain } from "./chain";
import { controls } from "./controls";
import { runCrashLoop } from "./crash-loop";
import { seedOfRun } from "./random";
import { killNodeRedAtEveryStep } from "./red-steps";
import { runRedeploys } from "./redeploys";
import { killAtEveryStep, straceWorks } from "./steps";

const { values: flags } = parseArgs({
  options: {
    kills: { type: "string", default: "1000" },
    deploys: { type: "string", default: "200" },
    backlog: { type: "string", default: "100000" },
    seed: { type: "string" },
    only: { type: "string" },
    chains: { type: "string", default: "2" },
    stride: { type: "string", default: "1" },
    "no-write": { type: "boolean", default: false },
  },
});
const seed = flags.seed === undefined ? seedOfRun() : Number(flags.seed);
/** Kills of one chain: a life's files and its history stay of a size that people have. */
const KILLS_PER_CHAIN = 25;
const SYSCALLS = ["fsync", "pwrite64", "writev", "write"];
/** Of the start: the campaign takes its time. */
const commit =
  spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).stdout?.trim() ||
  "no commit";
const BEGIN = "<!-- chaos:begin -->";
const END = "<!-- chaos:end -->";

interface Line {
  what: string;
  size: string;
  found: string;
  broken: string[];
}

const parts: Record<string, () => Promise<Line[]>> = {
  async kills() {
    const all = Number(flags.kills);
    const results: ChainResult[] = [];
    let next = 0;
    const work = async () => {
      while (next * KILLS_PER_CHAIN < all) {
        const chain = next;
        next += 1;
        const kills = Math.min(KILLS_PER_CHAIN, all - chain * KILLS_PER_CHAIN);
        const result = await runChain({ seed: seed + chain, kills });
        results.push(result);
        say(`  chain ${chain + 1}: ${result.broken.length === 0 ? "ok" : result.broken.join("\n    ")}`);
      }
    };
    await Promise.all(Array.from({ length: Number(flags.chains) }, work));
    const sum = (of: (result: ChainResult) => number) =>
      results.reduce((total, result) => total + of(result), 0);
    const held = sum(({ verdict }) => Object.values(verdict.heldRows).reduce((a, b) => a + b, 0));
    return [
      {
        what: "kill -9 at random moments under load",
        size: `${sum(({ kills }) => kills)} kills (${sum(({ early }) => early)} of them at the start), ${sum(({ verdict }) => verdict.asked)} messages`,
        found: `${sum(({ verdict }) => verdict.lost.length)} lost; doubled: web ${sum(({ verdict }) => verdict.doubled.key.length)}, hold ${sum(({ verdict }) => verdict.doubled.hold.length)}, resend ${sum(({ verdict }) => verdict.doubled.resend.length)}; ${held} held, ${sum(({ verdict }) => verdict.failed)} failed, ${sum(({ verdict }) => verdict.quarantined)} quarantined; ${sum(({ verdict }) => verdict.inversions.length)} out of order; settled within ${Math.max(...results.map(({ settledMs }) => settledMs))} ms`,
        broken: results.flatMap(({ broken, seed: own }) => broken.map((what) => `seed ${own}: ${what}`)),
      },
    ];
  },

  async bursts() {
    const lines: Line[] = [];
    for (const promised of ["hold", "resend"] as const) {
      const { kills, asked, held, doubled, broken } = await runBurst({ seed, kills: 20, promised });
      lines.push({
        what: `kill -9 in the middle of 60 answers at once (${promised})`,
        size: `${kills} kills, ${asked} messages`,
        found: `${held} held, ${doubled} doubled`,
        broken,
      });
    }
    return lines;
  },

  async crashes() {
    const broken = await runCrashLoop();
    const found = broken.length === 0 ? "channels down, editor up, the log says why" : "not as promised";
    return [{ what: "three starts that die at once", size: "4 starts", found, broken }];
  },

  async steps() {
    const lines: Line[] = [];
    for (const promised of ["hold", "resend", "key"] as const) {
      const { kills, held, doubled, broken } = await killAtEveryStep({ promised });
      lines.push({
        what: `kill -9 at every step of ten messages (${promised === "key" ? "web chat" : `Telegram, ${promised}`})`,
        size: `${kills} kills`,
        found: `${held} held, ${doubled} doubled`,
        broken,
      });
    }
    return lines;
  },

  async red() {
    const stride = Number(flags.stride);
    const { kills, asked, held, broken } = await killNodeRedAtEveryStep({ stride });
    return [
      {
        what: "kill -9 of a real Node-RED at the steps of ten messages",
        size: `${kills} kills (every ${stride === 1 ? "step" : `${stride}. step`}), ${asked} messages`,
        found: `${held} held, 0 doubled`,
        broken,
      },
    ];
  },

  async strace() {
    if (!straceWorks()) {
      const broken = ["strace cannot be used on this machine"];
      return [{ what: "kill at every system call", size: "0 kills", found: "", broken }];
    }
    const lines: Line[] = [];
    for (const syscall of SYSCALLS) {
      const { kills, held, doubled, broken } = await killAtEveryStep({ promised: "hold", syscall });
      lines.push({
        what: `kill at every \`${syscall}\` of ten messages (strace)`,
        size: `${kills} kills`,
        found: `${held} held, ${doubled} doubled`,
        broken,
      });
    }
    return lines;
  },

  async deploys() {
    const result = await runRedeploys({ seed, deploys: Number(flags.deploys) });
    const { verdict, before, after } = result;
    const mb = (bytes: number) => Math.round(bytes / 1024 / 1024);
    return [
      {
        what: "deploys of all kinds under load",
        size: `${result.deploys} deploys, ${verdict.asked} messages at ${result.rate}/s`,
        found: `${verdict.lost.length} lost, ${Object.values(verdict.doubled).flat().length} doubled; timers ${before.resources["Timeout"] ?? 0} -> ${after.resources["Timeout"] ?? 0}, sockets ${before.resources["TCPSocketWrap"] ?? 0} -> ${after.resources["TCPSocketWrap"] ?? 0}, Express layers ${before.layers} -> ${after.layers}, heap ${mb(before.heapUsed)} -> ${mb(after.heapUsed)} MB; slowest ${result.slowestMs} ms`,
        broken: result.broken,
      },
    ];
  },

  async backlog() {
    const lines: Line[] = [];
    for (const slowMs of [0, 2]) {
      const { messages, seconds, perSecond, newcomerMs, memory, broken } = await runBacklog({
        messages: Number(flags.backlog),
        slowMs,
      });
      lines.push({
        what: `backlog at the start, ${slowMs === 0 ? "quick platform" : `${slowMs} ms per send`}`,
        size: `${messages} messages`,
        found: `${seconds} s (${perSecond}/s); somebody new waited ${newcomerMs} ms; heap in use ${memory.heapTenth} MB at a tenth of the way, ${memory.heapEnd} MB at the end; resident ${memory.idle} MB idle, ${memory.tenth} MB at a tenth, ${memory.most} MB at most`,
        broken,
      });
    }
    return lines;
  },

  async controls() {
    const lines: Line[] = [];
    for (const { name } of controls) {
      const found = await catchControl(name, seed);
      lines.push({
        what: `negative control: ${name}`,
        size: "1 build",
        found: found ? `caught: ${found.replace(/:.*/s, "")}` : "not caught",
        broken: found ? [] : [`the campaign does not see "${name}"`],
      });
    }
    return lines;
  },

  async tests() {
    const mocha = path.join(path.dirname(require.resolve("mocha/package.json")), "bin/mocha.js");
    const files = ["faults", "disk", "redelivery"].map((name) => `test/chaos/${name}.test.ts`);
    const run = spawnSync(process.execPath, [mocha, "--no-config", "-r", "tsx", "-R", "json", ...files], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, CHAOS_LOCKED_MS: "30000", SEED: String(seed) },
      maxBuffer: 256 * 1024 * 1024,
    });
    const text = run.stdout.slice(run.stdout.indexOf("{"));
    const report = JSON.parse(text) as {
      stats: { tests: number; passes: number };
      failures: { fullTitle: string; err: { message?: string } }[];
    };
    return [
      {
        what: "faults at the wire, of the disk and of the clock; updates that come again",
        size: `${report.stats.tests} scenes`,
        found: `${report.stats.passes} as promised`,
        broken: report.failures.map(
          ({ fullTitle, err }) => `${fullTitle}: ${(err.message ?? "").slice(0, 500)}`,
        ),
      },
    ];
  },
};

async function main(): Promise<void> {
  const wanted = flags.only?.split(",") ?? Object.keys(parts);
  let failed = false;
  say(`seed ${seed}`);
  for (const name of wanted) {
    const part = parts[name];
    if (!part) throw new Error(`There is no part "${name}": ${Object.keys(parts).join(", ")}.`);
    say(name);
    const started = Date.now();
    const lines = await part();
    const minutes = (Date.now() - started) / 60_000;
    for (const line of lines) {
      failed ||= line.broken.length > 0;
      say(`  ${line.what}: ${line.size}: ${line.found}`);
      for (const what of line.broken.slice(0, 10)) say(`    BROKEN ${what}`);
    }
    if (!flags["no-write"]) write(lines, minutes);
  }
  process.exit(failed ? 1 : 0);
}

const HEAD = ["| What | How much | What was found | Promises broken | Run |", "|---|---|---|---|---|"];

/** Puts the figures between the markers of docs/reliability.md; parts that were not run keep theirs. */
function write(lines: Line[], minutes: number): void {
  const page = path.join(root, "docs/reliability.md");
  const text = fs.readFileSync(page, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${page} has lost its markers ${BEGIN} and ${END}.`);
  const rows = new Map<string, string>();
  for (const row of text.slice(begin, end).split("\n")) {
    const what = /^\| (.+?) \|/.exec(row)?.[1];
    if (what && what !== "What") rows.set(what, row);
  }
  const day = new Date().toISOString().slice(0, 10);
  const run = `${day}, ${commit}, seed ${seed}, ${minutes.toFixed(1)} min`;
  for (const { what, size, found, broken } of lines)
    rows.set(what, `| ${what} | ${size} | ${found} | ${broken.length} | ${run} |`);
  const kills = [...rows.values()].reduce(
    (sum, row) => sum + Number(/\| (\d+) kills/.exec(row)?.[1] ?? 0),
    0,
  );
  const figures = [...HEAD, ...rows.values(), "", `In all ${kills} kills.`].join("\n");
  fs.writeFileSync(
    page,
    `${text.slice(0, begin + BEGIN.length)}\n${machine()}\n\n${figures}\n${text.slice(end)}`,
  );
}

function machine(): string {
  const cpu = os.cpus();
  return `Machine of the last run: ${cpu.length} x ${cpu[0]?.model.trim() ?? "CPU"}, ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.type()} ${os.release()}, Node.js ${process.version}.`;
}

function say(line: string): void {
  console.log(line);
}

void main();
