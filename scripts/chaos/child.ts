/** A real Node-RED in a child process that may die at any moment and starts again in the same place. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { type FlowNode, root } from "../node-red";
import { install, packageFolder } from "./package";
import { eventually } from "./wait";

export type DeployType = "full" | "nodes" | "flows" | "reload";

export interface NodeRedPlace {
  /** The built package that is installed there. */
  from?: string;
  flows: FlowNode[];
  env?: Record<string, string>;
  /** Files that Node.js loads before Node-RED. */
  preload?: string[];
}

/** What `probe.cjs` finds inside the child. */
export interface Insides {
  rss: number;
  heapUsed: number;
  /** By kind, from `process.getActiveResourcesInfo()`. */
  resources: Record<string, number>;
  /** Of `process`, by event. */
  listeners: Record<string, number>;
  /** Layers of the Express stacks that hang on Node-RED's server. */
  layers: number;
}

/** One user directory and one port, for many lives of a Node-RED. */
export class NodeRedChild {
  readonly userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-chaos-"));
  readonly from: string;
  /** All that its lives wrote. */
  log = "";
  /** What the life of now wrote. */
  lastLog = "";
  port = 0;
  child?: ChildProcess;
  readonly #place: NodeRedPlace;
  env: Record<string, string>;
  #exit: Promise<unknown> = Promise.resolve();

  constructor(place: NodeRedPlace) {
    this.#place = place;
    this.from = place.from ?? packageFolder;
    this.env = place.env ?? {};
    install(this.userDir, this.from);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get alive(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Chooses the port that all lives have. Call it before anything needs `url`. */
  async prepare(): Promise<void> {
    if (this.port === 0) this.port = await freePort();
  }

  /** Starts the process and does not wait for it. */
  async spawn(extra: Record<string, string> = {}): Promise<void> {
    await this.prepare();
    const settings = {
      uiHost: "127.0.0.1",
      uiPort: this.port,
      flowFile: "flows.json",
      credentialSecret: "only for tests",
      telemetry: { enabled: false, updateNotification: false },
      editorTheme: { tours: false },
      logging: { console: { level: "info" } },
    };
    const settingsFile = path.join(this.userDir, "settings.js");
    if (!fs.existsSync(settingsFile)) {
      fs.writeFileSync(settingsFile, `module.exports = ${JSON.stringify(settings)};\n`);
      fs.writeFileSync(path.join(this.userDir, "flows.json"), JSON.stringify(this.#place.flows));
    }
    const preload = [path.join(__dirname, "probe.cjs"), ...(this.#place.preload ?? [])];
    this.lastLog = "";
    const child = fork(
      path.join(root, "node_modules/node-red/red.js"),
      ["--userDir", this.userDir, "--settings", settingsFile],
      {
        execArgv: ["--expose-gc", ...preload.flatMap((file) => ["--require", file])],
        env: { ...process.env, OPENAI_API_KEY: "", NODE_OPTIONS: "", ...this.env, ...extra },
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      },
    );
    const hear = (chunk: Buffer) => {
      this.log += chunk;
      this.lastLog += chunk;
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.on("error", () => undefined);
    this.child = child;
    this.#exit = once(child, "exit");
  }

  /** True when the flows run; false when it died before. Rejects when it takes longer than a minute. */
  async started(): Promise<boolean> {
    const up = await eventually(() => !this.alive || /Started flows/.test(this.lastLog), 60_000);
    if (!up) throw new Error(`Node-RED did not start:\n${this.lastLog}`);
    return this.alive;
  }

  async start(extra?: Record<string, string>): Promise<void> {
    await this.spawn(extra);
    if (!(await this.started())) throw new Error(`Node-RED died at its start:\n${this.lastLog}`);
  }

  /** Resolves when the process is gone, whoever ended it. */
  async gone(): Promise<void> {
    if (this.alive) await this.#exit;
  }

  async kill(): Promise<void> {
    if (this.alive) this.child?.kill("SIGKILL");
    await this.gone();
  }

  /** As `docker stop` does. Answers the exit code; null when it had to be killed. */
  async stop(withinMs = 15_000): Promise<number | null> {
    if (!this.alive) return this.child?.exitCode ?? null;
    this.child?.kill("SIGTERM");
    const timer = setTimeout(() => this.child?.kill("SIGKILL"), withinMs);
    await this.gone();
    clearTimeout(timer);
    return this.child?.exitCode ?? null;
  }

  async insides(): Promise<Insides> {
    this.child?.send("insides");
    const [answer] = (await once(this.child as ChildProcess, "message")) as [Insides];
    return answer;
  }

  async deploy(flows: FlowNode[], type: DeployType = "full"): Promise<void> {
    const answer = await fetch(`${this.url}/flows`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "node-red-api-version": "v2",
        "node-red-deployment-type": type,
      },
      body: type === "reload" ? "{}" : JSON.stringify({ flows }),
    });
    if (!answer.ok) throw new Error(`POST /flows (${type}): ${answer.status} ${await answer.text()}`);
    await answer.body?.cancel();
  }

  /** Everything of it is gone from the disk, too. */
  async remove(): Promise<void> {
    await this.kill();
    fs.rmSync(this.userDir, { recursive: true, force: true, maxRetries: 3 });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
