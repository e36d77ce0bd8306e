/** Starts a real Node-RED (its own `red.js`) as a child process: for the matrix, the footprint, the pictures and their tests. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createServer } from "node:net";
import path from "node:path";

export const root = path.join(__dirname, "..");
export const packageName = "@redclaw/node-red-gateway";

/** A node as it stands in a flow file. */
export interface FlowNode {
  id: string;
  type: string;
  z?: string;
  [property: string]: unknown;
}

export interface NodeRedOptions {
  /** Folder whose `node_modules/node-red` is started; without it, the one of this checkout. */
  from?: string;
  userDir: string;
  flows?: FlowNode[];
  /** Laid over the settings of `writeSettings`. Plain JSON. */
  settings?: Record<string, unknown>;
  env?: Record<string, string>;
}

/** Answer of `probe.cjs`, which runs inside the child. */
export interface Probe {
  /** Resident memory after a garbage collection, in bytes. */
  rss: number;
  /** Every file that was loaded so far, by `require` or `import`, when `REDCLAW_PROBE_MODULES` is set. */
  modules: string[];
}

export interface RunningNodeRed {
  /** `http://127.0.0.1:<port>`, no slash at its end. */
  url: string;
  child: ChildProcess;
  /** All it wrote so far. */
  log(): string;
  probe(): Promise<Probe>;
  /** Ends it; resolves with the exit code, `null` when it had to be killed. */
  stop(): Promise<number | null>;
}

/** Resolves when the editor's API answers and the flows are started. Rejects with the log when it does not within 60 s. */
export async function startNodeRed(options: NodeRedOptions): Promise<RunningNodeRed> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  fs.mkdirSync(options.userDir, { recursive: true });
  const settings = {
    uiHost: "127.0.0.1",
    uiPort: port,
    flowFile: "flows.json",
    credentialSecret: "only for tests",
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false },
    logging: { console: { level: "info" } },
    ...options.settings,
  };
  const settingsFile = path.join(options.userDir, "settings.js");
  fs.writeFileSync(settingsFile, `module.exports = ${JSON.stringify(settings, null, 2)};\n`);
  fs.writeFileSync(path.join(options.userDir, "flows.json"), JSON.stringify(options.flows ?? []));

  const red = path.join(options.from ?? root, "node_modules/node-red/red.js");
  const child = fork(red, ["--userDir", options.userDir, "--settings", settingsFile], {
    execArgv: ["--expose-gc", "--require", path.join(__dirname, "probe.cjs")],
    env: { ...process.env, OPENAI_API_KEY: "", NODE_OPTIONS: "", ...options.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  let log = "";
  child.stdout?.on("data", (chunk) => {
    log += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    log += chunk;
  });

  const running: RunningNodeRed = {
    url,
    child,
    log: () => log,
    async probe() {
      child.send("probe");
      const [answer] = (await once(child, "message")) as [Probe];
      return answer;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      const [code] = (await exit) as [number | null];
      clearTimeout(timer);
      return code;
    },
  };
  const deadline = Date.now() + 60_000;
  while (!/Started flows/.test(log)) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await running.stop();
      throw new Error(`Node-RED did not start:\n${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return running;
}

/** Makes this checkout (its `dist/`) an installed package of a user directory. */
export function linkPackage(userDir: string): void {
  const link = path.join(userDir, "node_modules", packageName);
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.symlinkSync(root, link, "junction");
}

/** The flows in `examples/`, by file name without `.json`, in order. */
export function readExamples(folder = path.join(root, "examples")): Map<string, FlowNode[]> {
  const files = fs.readdirSync(folder).filter((file) => file.endsWith(".json"));
  return new Map(
    files.sort().map((file) => {
      const flow = JSON.parse(fs.readFileSync(path.join(folder, file), "utf8")) as FlowNode[];
      return [file.slice(0, -".json".length), flow];
    }),
  );
}

/** Deploys like the editor does. Rejects when Node-RED says no. */
export async function deploy(url: string, flows: FlowNode[]): Promise<void> {
  const answer = await fetch(`${url}/flows`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "node-red-api-version": "v2",
      "node-red-deployment-type": "full",
    },
    body: JSON.stringify({ flows }),
  });
  if (!answer.ok) throw new Error(`POST /flows: ${answer.status} ${await answer.text()}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || !address) throw new Error("no port");
  return address.port;
}
