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
  #ask = 0;
  /** Base address of the Bot API, and of the model with `/v1` behind it. */
  url = "";

  constructor() {
    this.#child = forkFile("platform.ts");
  }

  async start(): Promise<this> {
    const [first] = (await once(this.#child, "message")) as [{ listening: number }];
    this.url = `http://127.0.0.1:${first.listening}`;
    pin(this.#child.pid, cores.platform);
    return this;
  }

  /** `onReady` runs when everything is prepared and no message has been made yet. */
  async run(order: Order, onReady?: () => Promise<void>): Promise<Report> {
    return (await this.#tell({ ask: ++this.#ask, do: "run", order }, onReady)) as Report;
  }

  /** Resolves when all these bots receive: have polled, or have set a webhook. */
  async awaitBots(bots: number[]): Promise<void> {
    await this.#tell({ ask: ++this.#ask, do: "await-bots", bots });
  }

  async #tell(
    message: ToPlatform & { ask: number },
    onReady?: () => Promise<void>,
  ): Promise<Report | undefined> {
    const child = this.#child;
    const { promise, resolve, reject } = Promise.withResolvers<Report | undefined>();
    const onMessage = (said: FromPlatform) => {
      if ("ready" in said && said.ready === message.ask) {
        Promise.resolve(onReady?.()).then(() => child.send({ do: "go" } satisfies ToPlatform), reject);
      } else if ("answer" in said && said.answer === message.ask) {
        if (said.error) reject(new Error(said.error));
        else resolve(said.report);
      }
    };
    const onExit = () => reject(new Error("The platform of the bench has ended."));
    child.on("message", onMessage).once("exit", onExit);
    child.send(message);
    try {
      return await promise;
    } finally {
      child.off("message", onMessage).off("exit", onExit);
    }
  }

  stop(): Promise<void> {
    return end(this.#child);
  }
}
