/**
 * `npm start`: Node-RED with this checkout installed and "01 Start here" deployed, in the folder `.redclaw/`.
 *
 * Environment: `PORT` (default 1880; the next free one when it is taken), `HOST` (default 127.0.0.1),
 * `OPENAI_API_KEY` (a real model). `.redclaw/settings.js`, if somebody puts one there, is laid over the settings
 * below (adminAuth, httpAdminRoot ...). `--no-build` starts what is in `dist/`; `--user-dir` takes another folder
 * than `.redclaw/`.
 *
 * The script in package.json is `exec node ...`: without `exec`, npm's shell stands between and does not pass signals on.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";
import { openModel } from "../lib/ai/model";
import { providerOf } from "../lib/ai/providers";

const root = path.join(__dirname, "..");
const { values: flags } = parseArgs({
  options: {
    "no-build": { type: "boolean" },
    "user-dir": { type: "string", default: path.join(root, ".redclaw") },
  },
});
const userDir = path.resolve(flags["user-dir"]);
/** Stopping takes no longer than this, whatever a node is waiting for. */
const STOP_WITHIN_MS = 2_500;
/** Node-RED's number for the log level "error"; worse ones are lower. */
const ERROR = 20;

type App = ((request: unknown, response: unknown) => void) & { use(path: string, app: App): void };

/** What this file uses of Node-RED's own entry, which has no types. */
interface NodeRedRuntime {
  init(server: Server, settings: Settings): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  httpAdmin: App;
  httpNode: App;
  runtime: { flows: { getFlows(options: object): Promise<{ flows: FlowNode[] } | null> } };
}

interface Settings {
  httpAdminRoot: string;
  httpNodeRoot: string;
  adminAuth?: unknown;
  [name: string]: unknown;
}

interface FlowNode {
  id: string;
  type: string;
  /** Disabled. */
  d?: boolean;
  model?: string;
  provider?: string;
}

async function main(): Promise<void> {
  let stop = (): void => process.exit(0);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop());

  if (!flags["no-build"]) buildWhenStale();
  prepareUserDir();
  const settings = readSettings();

  const nodeRedRequire = createRequire(require.resolve("node-red"));
  const RED = require("node-red") as NodeRedRuntime;
  // The same express that Node-RED uses, so that its apps see a parent of their own kind.
  const app = (nodeRedRequire("express") as () => App)();
  const server = createServer(app);
  const host = process.env["HOST"] || "127.0.0.1";
  const { port, taken } = await listen(server, Number(process.env["PORT"] || 1880), host);

  RED.init(server, { ...settings, uiPort: port, uiHost: host });
  app.use(settings.httpAdminRoot, RED.httpAdmin);
  app.use(settings.httpNodeRoot, RED.httpNode);
  let stopping = false;
  stop = () => {
    if (stopping) process.exit(0); // asked twice
    stopping = true;
    setTimeout(() => process.exit(0), STOP_WITHIN_MS);
    server.close();
    RED.stop()
      .catch((error: unknown) => console.error("Node-RED did not stop cleanly:", error))
      .finally(() => {
        server.closeAllConnections();
        process.exit(0);
      });
  };
  await RED.start();

  const shown = ["0.0.0.0", "::"].includes(host) ? "localhost" : host.includes(":") ? `[${host}]` : host;
  const base = `http://${shown}:${port}`;
  const flows = await loadedFlows(RED);
  const web = flows.find((node) => node.type === "redclaw-web" && !node.d);
  if (host !== "127.0.0.1" && host !== "localhost" && !settings.adminAuth) {
    console.error(
      `The editor is open to everybody who can reach ${host}:${port}. Set adminAuth in ${path.join(userDir, "settings.js")}, or start without HOST.`,
    );
  }
  const chatPage = web && `${base}${settings.httpNodeRoot}redclaw/web/${web.id}/`;
  if (chatPage) await started(chatPage);
  console.log("Redclaw is running. Ctrl-C stops it.");
  console.log(
    `Editor:    ${base}${settings.httpAdminRoot}${taken ? `  (port ${taken} is taken by another program)` : ""}`,
  );
  console.log(`Chat page: ${chatPage ?? 'none yet. Drag "web in" into a flow and deploy.'}`);
  console.log(`Model:     ${await describeModel(flows)}`);
}

/** Node-RED reads the flows in the background: there are none until it has. */
async function loadedFlows(RED: NodeRedRuntime): Promise<FlowNode[]> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const loaded = await RED.runtime.flows.getFlows({});
    if (loaded?.flows) return loaded.flows;
    if (Date.now() > deadline) throw new Error("Node-RED did not read its flows within 30 s.");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Node-RED starts the flows in the background: an address is only printed once it answers (or after 10 s). */
async function started(url: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const answer = await fetch(url);
    await answer.body?.cancel();
    if (answer.status !== 404 && answer.status !== 503) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Builds when `dist/` is missing or a source is newer than everything in it. */
function buildWhenStale(): void {
  const built = newest(["dist"]);
  if (built >= newest(["lib", "nodes", "icons", "scripts", "package.json"])) return;
  console.error(
    built ? "The sources changed: building ..." : "First start: building, this takes a few seconds ...",
  );
  const tsx = path.join(path.dirname(require.resolve("tsx/package.json")), "dist/cli.mjs");
  const build = spawnSync(process.execPath, [tsx, "scripts/build.ts"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (build.status !== 0) {
    console.error(
      "The build failed, see above. Mend it, or start the last build with: npm start -- --no-build",
    );
    process.exit(1);
  }
}

/** Time of the newest file below these paths (milliseconds); 0 when there is none. */
function newest(paths: string[]): number {
  let time = 0;
  for (const name of paths) {
    const full = path.join(root, name);
    const stat = fs.statSync(full, { throwIfNoEntry: false });
    if (!stat) continue;
    if (stat.isDirectory())
      time = Math.max(time, newest(fs.readdirSync(full).map((entry) => path.join(name, entry))));
    else time = Math.max(time, stat.mtimeMs);
  }
  return time;
}

/** A Node-RED user directory that has this checkout installed. Flows that are there already are never touched. */
function prepareUserDir(): void {
  const scope = path.join(userDir, "node_modules/@redclaw");
  const link = path.join(scope, "node-red-gateway");
  fs.mkdirSync(scope, { recursive: true });
  if (!fs.existsSync(link) || fs.realpathSync(link) !== fs.realpathSync(root)) {
    fs.rmSync(link, { force: true, recursive: true });
    fs.symlinkSync(root, link, "junction");
  }
  // With the link written down, an install from the palette does not remove it as "extraneous".
  const dependencies = { "@redclaw/node-red-gateway": `file:${path.relative(userDir, root)}` };
  writeOnce(
    "package.json",
    `${JSON.stringify({ name: "redclaw-start", private: true, dependencies }, null, 2)}\n`,
  );
  writeOnce("credential-secret", randomBytes(32).toString("hex"));
  writeOnce("flows.json", fs.readFileSync(path.join(root, "examples/01 Start here.json"), "utf8"));
}

function writeOnce(name: string, text: string): void {
  const file = path.join(userDir, name);
  if (!fs.existsSync(file)) fs.writeFileSync(file, text, { mode: 0o600 });
}

function readSettings(): Settings {
  const own = path.join(userDir, "settings.js");
  const settings: Settings = {
    httpAdminRoot: "/",
    httpNodeRoot: "/",
    userDir,
    flowFile: "flows.json",
    credentialSecret: fs.readFileSync(path.join(userDir, "credential-secret"), "utf8").trim(),
    lang: "en-US",
    logging: {
      console: { level: "off", metrics: false, audit: false },
      redclaw: { level: "warn", handler: () => log },
    },
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false, projects: { enabled: false } },
    ...(fs.existsSync(own) ? (require(own) as object) : {}),
  };
  settings.httpAdminRoot = withSlashes(settings.httpAdminRoot);
  settings.httpNodeRoot = withSlashes(settings.httpNodeRoot);
  return settings;
}

/** Warnings that say only that this is a fresh user directory. */
const usual = /^(Projects disabled|Encrypted credentials not found)/;

function log({
  level,
  msg,
  type,
  name,
}: {
  level: number;
  msg: unknown;
  type?: string;
  name?: string;
}): void {
  const text =
    typeof msg === "object" && msg !== null && "message" in msg ? String(msg.message) : String(msg);
  if (usual.test(text)) return;
  const source = type ? `[${type}${name ? `: ${name}` : ""}] ` : "";
  console.error(`${level <= ERROR ? "error" : "warning"}: ${source}${text}`);
}

function withSlashes(prefix: string): string {
  return `/${prefix}/`.replace(/\/+/g, "/");
}

/** Listens on `wanted` or the next free port. `taken` is the wanted port when another program has it. */
async function listen(
  server: Server,
  wanted: number,
  host: string,
): Promise<{ port: number; taken?: number }> {
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535) {
    throw new Error(
      `PORT is "${process.env["PORT"]}". It must be a number from 0 to 65535, for example 1880.`,
    );
  }
  for (let port = wanted; ; port++) {
    const free = await new Promise<boolean>((resolve, reject) => {
      server.once("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "EADDRINUSE" && port < 65_535) resolve(false);
        else reject(error);
      });
      server.listen(port, host, () => resolve(true));
    });
    server.removeAllListeners("error");
    if (!free) continue;
    const address = server.address();
    const actual = typeof address === "object" && address ? address.port : port;
    return port === wanted ? { port: actual } : { port: actual, taken: wanted };
  }
}

/** Which model answers in these flows: the one that the first ai box names, or the automatic choice. */
async function describeModel(flows: FlowNode[]): Promise<string> {
  const ai = flows.find((node) => node.type === "redclaw-ai" && !node.d);
  const model = flows.find((node) => node.type === "redclaw-model" && node.id === ai?.model);
  if (model?.provider && model.provider !== "auto") {
    const { provider } = providerOf(model.provider);
    return model.model ? `${model.model} (${provider.label})` : provider.label;
  }
  return (await openModel({}).describe()).sentence;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
