/**
 * `npm run dev`: builds, starts Node-RED (as `npm start` does), and does both again when a source changes.
 * A build that fails leaves the running one alone; type errors are shown and do not stop it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";

const root = path.join(__dirname, "..");
const WATCHED = ["lib", "nodes", "icons", "scripts", "examples", "package.json"];
/** Written by the build itself. */
const OWN_OUTPUT = /validators\.(js|d\.ts)$/;
/** An editor that saves many files at once causes one build. */
const QUIET_MS = 200;

let nodeRed: ChildProcess | undefined;
let timer: NodeJS.Timeout | undefined;
let building = false;
let again = false;

function run(script: string, ...args: string[]): ChildProcess {
  const tsx = path.join(path.dirname(require.resolve("tsx/package.json")), "dist/cli.mjs");
  return spawn(process.execPath, [tsx, path.join("scripts", script), ...args], {
    cwd: root,
    stdio: "inherit",
  });
}

async function rebuild(): Promise<void> {
  if (building) {
    again = true;
    return;
  }
  building = true;
  do {
    again = false;
    const [code] = (await once(run("build.ts", "--despite-errors"), "exit")) as [number | null];
    if (code === 0) await restart();
  } while (again);
  building = false;
}

async function restart(): Promise<void> {
  if (nodeRed && nodeRed.exitCode === null) {
    const exit = once(nodeRed, "exit");
    nodeRed.kill("SIGTERM");
    await exit;
  }
  nodeRed = run("start.ts", "--no-build");
}

for (const name of WATCHED) {
  fs.watch(path.join(root, name), { recursive: true }, (_event, file) => {
    if (file && OWN_OUTPUT.test(file)) return;
    clearTimeout(timer);
    timer = setTimeout(() => void rebuild(), QUIET_MS);
  });
}
// Ctrl-C reaches Node-RED as well, it is in the same group: wait until it has stopped cleanly.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (!nodeRed || nodeRed.exitCode !== null) process.exit(0);
    nodeRed.once("exit", () => process.exit(0));
    if (signal === "SIGTERM") nodeRed.kill(signal);
  });
}

void rebuild();
