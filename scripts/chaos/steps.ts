/**
 * Kills a script of ten messages at every one of its steps: before and after each COMMIT, each write to a socket and
 * each read from one (`kill-at.cjs`), or at every call of a system call (`strace`). After each kill the next life
 * must bring everything to its end.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "./child";
import { readLedger } from "./ledger";
import { broken, judge, type Verdict } from "./oracle";
import { packageFolder } from "./package";
import type { Promised, Side } from "./side";
import { TelegramSide } from "./telegram-side";
import { eventually, sleep } from "./wait";
import { WebSide } from "./web-side";

export interface StepsOptions {
  promised: Promised;
  from?: string;
  /** Kill at this step only. */
  only?: number;
  /** Every so many steps; 1: at each. */
  stride?: number;
  /** Begin with this one. */
  first?: number;
  /** Several scripts at a time. */
  workers?: number;
  /** Kill by strace at the N-th of these system calls, instead of at our own steps. */
  syscall?: string;
  /** For the test of the campaign itself: stop when this is found. */
  until?: RegExp;
}

export interface StepsResult {
  promised: Promised;
  kills: number;
  /** Where the kills were: `before COMMIT` -> how many. */
  places: Record<string, number>;
  held: number;
  doubled: number;
  broken: string[];
}

interface Run {
  killed: boolean;
  place: string;
  verdict: Verdict;
  broken: string[];
}

/** More steps than any script has. */
const STEPS_MAX = 5_000;
const SETTLE_WITHIN_MS = 60_000;

export async function killAtEveryStep(options: StepsOptions): Promise<StepsResult> {
  const { promised, stride = 1, workers = 3, until } = options;
  const result: StepsResult = { promised, kills: 0, places: {}, held: 0, doubled: 0, broken: [] };
  let next = options.only ?? options.first ?? 1;
  let finished = false;
  const work = async () => {
    while (!finished && next < STEPS_MAX) {
      const at = next;
      next += stride;
      const run = await runScript(options, at);
      const { doubled } = run.verdict;
      result.doubled += doubled.key.length + doubled.hold.length + doubled.resend.length;
      result.held += Object.values(run.verdict.heldRows).reduce((sum, count) => sum + count, 0);
      result.broken.push(...run.broken.map((what) => `STEP=${at} (${run.place}): ${what}`));
      if (run.killed) {
        result.kills += 1;
        const place = run.place.replace(/^\d+ /, "").split(/[?{]/)[0] as string;
        result.places[place] = (result.places[place] ?? 0) + 1;
      }
      const found = until !== undefined && run.broken.some((what) => until.test(what));
      if (!run.killed || options.only || found) finished = true;
    }
  };
  await Promise.all(Array.from({ length: options.only ? 1 : workers }, work));
  return result;
}

/** One script, one kill, and the life after it. */
async function runScript(
  { promised, from = packageFolder, syscall }: StepsOptions,
  at: number,
): Promise<Run> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-steps-"));
  const stepFile = path.join(folder, "step");
  const port = promised === "key" ? await freePort() : 0;
  const side =
    promised === "key"
      ? new WebSide("acct", () => `http://127.0.0.1:${port}/redclaw/web/acct/`)
      : new TelegramSide({ account: "acct", promised });
  if (side instanceof TelegramSide) await side.server.start();
  const database = path.join(folder, "gateway.db");
  const light = JSON.stringify({
    from,
    database,
    port,
    accounts: [side instanceof TelegramSide ? telegramAccount(side) : webAccount()],
  });
  const lives: Life[] = [];
  const live = (killAt?: number) => {
    const life = new Life({ light, stepFile, killAt, syscall });
    lives.push(life);
    return life;
  };
  try {
    const first = live(at);
    await playScript(side, first);
    let idle = await settled(side, first);
    const killed = (await first.stop()) === "killed";
    const place = killed ? (syscall ? `${at} ${syscall}` : read(stepFile)) : "the end";
    if (killed) {
      const second = live();
      idle = await settled(side, second);
      if ((await second.stop()) === "killed") idle = false;
    }
    const verdict = judge([side], await readLedger(database, from));
    const wrong = broken(verdict, bounds(promised));
    if (!idle) wrong.push(`not settled within ${SETTLE_WITHIN_MS / 1000} s`);
    if (wrong.length > 0) wrong.push(`log: ${lives.map(({ log }) => log).join("---\n")}`);
    return { killed, place, verdict, broken: wrong };
  } finally {
    for (const life of lives) await life.kill();
    await side.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const bounds = (promised: Promised) => ({
  kills: 1,
  resending: promised === "resend" ? 1 : 0,
  holding: promised === "hold" ? 1 : 0,
});

const telegramAccount = (side: TelegramSide) => ({
  channel: "telegram",
  id: "acct",
  name: "bot",
  credentials: { token: side.server.token },
  options: { mode: "polling", raw: false },
  apiRoot: side.server.url,
  limits: {},
  onUnknown: side.promised,
});

const webAccount = () => ({
  channel: "web",
  id: "acct",
  name: "page",
  credentials: {},
  options: { title: "Chat", greeting: "", suggestions: "", color: "#0f766e", allowOrigins: "" },
  limits: {},
  onUnknown: "hold",
});

/** Ten messages in four chats: before the start, while it works, and behind that. */
async function playScript(side: TelegramSide | WebSide, life: Life): Promise<void> {
  const say = (count: number) => {
    for (let index = 0; index < count; index += 1) side.ask(index % 4);
  };
  if (side instanceof WebSide) side.open(4);
  say(4);
  const go = (answers: number) => eventually(() => life.ended || side.answers >= answers, 20_000, 3);
  await go(1);
  say(3);
  await go(5);
  say(3);
  await go(10);
}

/** Everything is told to the bot and it has nothing left to do, also a moment later. */
async function settled(side: TelegramSide | WebSide, life: Life): Promise<boolean> {
  const deadline = performance.now() + SETTLE_WITHIN_MS;
  let looks = 0;
  while (performance.now() < deadline && !life.ended) {
    const waiting = side instanceof TelegramSide ? side.server.pending.length : side.waiting;
    looks = waiting === 0 && (await life.open()) === 0 ? looks + 1 : 0;
    if (looks === 2) {
      // An answer of the page is on its stream a moment after the ledger knows it, and the stream comes back by itself.
      if (side instanceof WebSide) await eventually(() => answeredAll(side), 1_500);
      return true;
    }
    await sleep(looks === 1 ? 40 : 15);
  }
  return false;
}

function answeredAll(side: Side): boolean {
  const got = new Set(side.delivered().map(({ id }) => id));
  return side.asked().every(({ id }) => got.has(id));
}

interface LifeOptions {
  light: string;
  stepFile: string;
  killAt?: number | undefined;
  syscall?: string | undefined;
}

/** One process. */
class Life {
  log = "";
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  constructor({ light, stepFile, killAt, syscall }: LifeOptions) {
    const node = ["--disable-warning=ExperimentalWarning"];
    const file = path.join(__dirname, "light.cjs");
    const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: "", CHAOS_LIGHT: light };
    let command = process.execPath;
    let args = [...node, file];
    if (killAt !== undefined && syscall) {
      const inject = `inject=${syscall}:signal=KILL:when=${killAt}`;
      args = ["-f", "-qq", "-o", "/dev/null", "-e", `trace=${syscall}`, "-e", inject, command, ...args];
      command = "strace";
    } else if (killAt !== undefined) {
      args = [...node, "--require", path.join(__dirname, "kill-at.cjs"), file];
      Object.assign(env, { CHAOS_KILL_AT: String(killAt), CHAOS_STEP_FILE: stepFile });
    }
    this.#child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
    const hear = (chunk: Buffer) => {
      this.log += chunk;
    };
    this.#child.stdout?.on("data", hear);
    this.#child.stderr?.on("data", hear);
    this.#child.on("error", () => undefined);
    this.#exit = once(this.#child, "exit");
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Rows that are still on their way; undefined when it does not say. */
  async open(): Promise<number | undefined> {
    if (this.ended || !this.#child.connected) return undefined;
    const answer = once(this.#child, "message", { signal: AbortSignal.timeout(5_000) }).catch(() => [{}]);
    this.#child.send("open", () => undefined);
    const [said] = (await Promise.race([answer, this.#exit.then(() => [{}])])) as [{ open?: number }];
    return said.open;
  }

  async stop(): Promise<"ended" | "killed"> {
    if (!this.ended) {
      if (this.#child.connected) this.#child.send("stop", () => undefined);
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
      await this.#exit;
      clearTimeout(timer);
    }
    return this.#child.exitCode === 0 ? "ended" : "killed";
  }

  async kill(): Promise<void> {
    if (!this.ended) this.#child.kill("SIGKILL");
    if (!this.ended) await this.#exit;
  }
}

function read(file: string): string {
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "unknown place";
}

/** True when strace can be used here; as root on Debian it is installed when it is missing. */
export function straceWorks(): boolean {
  const works = () => spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
  if (works()) return true;
  if (process.getuid?.() !== 0) return false;
  spawnSync("apt-get", ["-qq", "update"]);
  spawnSync("apt-get", ["-qq", "install", "-y", "--no-install-recommends", "strace"]);
  return works();
}
