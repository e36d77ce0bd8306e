/** The processes of a measurement: started here, each kept on its core, and asked what they cost. */
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import type { FromPlatform, Order, Report, ToPlatform } from "./orders";

export const meterFile = path.join(__dirname, "meter.cjs");

/** With one core only, nothing is measured that could be compared. */
export const cores = { system: 0, platform: Math.min(1, os.availableParallelism() - 1) };

/** What a process has cost so far. */
export interface Cost {
  /** Microseconds, user and system, all threads. */
  cpu: number;
  /** Bytes. */
  rss: number;
  heap: number;
  peak: number;
  /** When Node-RED's flows ran: since the process began, and the CPU time until then in microseconds. */
  started?: { ms: number; cpu: number };
}

export type Ask = { meter: "read" | "gc" | "profile" } | { meter: "profiled"; file: string };

export async function costOf(child: ChildProcess, ask: Ask = { meter: "read" }): Promise<Cost> {
  const { promise, resolve, reject } = Promise.withResolvers<Cost>();
  const onMessage = (message: { meter?: Cost }) => message.meter && resolve(message.meter);
  const onExit = () => reject(new Error("A process that is measured has ended."));
  child.on("message", onMessage).once("exit", onExit);
  child.send(ask);
  try {
    return await promise;
  } finally {
    child.off("message", onMessage).off("exit", onExit);
  }
}

/** Keeps all threads of a process on one core; where there is no taskset, the bench does without. */
export function pin(pid: number | undefined, core: number): boolean {
  try {
    execFileSync("taskset", ["-a", "-c", "-p", String(core), String(pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs a TypeScript file of the bench in a process of its own. `args` are its arguments. */
export function forkFile(file: string, args: string[] = []): ChildProcess {
  const child = fork(path.join(__dirname, file), args, {
    execArgv: ["--expose-gc", "--require", "tsx/cjs", "--require", meterFile],
    env: { ...process.env, NODE_OPTIONS: "", NODE_ENV: "production" },
  });
  return child;
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

export class Platform {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, (answer: Extract<FromPlatform, { answer: number }>) => void>();
  #ask = 0;
  /** Base address of the Bot API, and of the model with `/v1` behind it. */
  url = "";

  constructor() {
    this.#child = forkFile("platform.ts");
  }

  async start(): Promise<this> {
    const [first] = (await once(this.#child, "message")) as [{ listening: number }];
    this.url = `http://127.0.0.1:${first.listening}`;
    this.#child.on("message", (message: FromPlatform) => {
      if ("answer" in message) this.#asked.get(message.answer)?.(message);
    });
    pin(this.#child.pid, cores.platform);
    return this;
  }

  async #tell<T extends ToPlatform>(message: Omit<T, "ask">): Promise<Report | undefined> {
    const ask = ++this.#ask;
    const { promise, resolve } = Promise.withResolvers<Extract<FromPlatform, { answer: number }>>();
    this.#asked.set(ask, resolve);
    this.#child.send({ ...message, ask });
    const { report, error } = await promise;
    this.#asked.delete(ask);
    if (error) throw new Error(error);
    return report;
  }

  async run(order: Order): Promise<Report> {
    return (await this.#tell<ToPlatform & { do: "run" }>({ do: "run", order })) as Report;
  }

  async awaitBots(bots: number[]): Promise<void> {
    await this.#tell<ToPlatform & { do: "await-bots" }>({ do: "await-bots", bots });
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}
