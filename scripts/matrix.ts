/**
 * `npm run matrix`: the package as a user gets it. Packs the tarball, installs it into a fresh user directory the way
 * the palette does (`--engine-strict`), and tries it out on the Node-RED versions we support. With `-- --tests` the
 * tests that drive a real Node-RED and its editor run on each of them, too.
 */
import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { deploy, type FlowNode, packageName, readExamples, root, startNodeRed } from "./node-red";

const run = promisify(execFile);

/** What `npm run matrix` tries; the second is the oldest line we support. */
const versions = ["5.0", "4.1"];
const cache = path.join(root, "node_modules/.cache/redclaw-matrix");

export interface Packed {
  /** Path of the tarball. */
  file: string;
  /** Bytes, unpacked. */
  unpackedSize: number;
  /** Paths inside the package. */
  files: string[];
}

/** `npm pack` into a folder. Builds nothing: `dist/` must be there. */
export async function pack(folder: string): Promise<Packed> {
  fs.mkdirSync(folder, { recursive: true });
  const output = await npm(["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root);
  // npm 10 and 11 print an array, npm 12 an object by package name.
  const report = JSON.parse(output) as object;
  const [packed] = Object.values(report) as {
    filename: string;
    unpackedSize: number;
    files: { path: string }[];
  }[];
  if (!packed) throw new Error(`npm pack printed: ${output}`);
  return {
    file: path.join(folder, path.basename(packed.filename)),
    unpackedSize: packed.unpackedSize,
    files: packed.files.map((file) => file.path),
  };
}

/** Installs the tarball into a fresh user directory like the palette does. */
export async function install(tarball: string, userDir: string): Promise<void> {
  fs.mkdirSync(userDir, { recursive: true });
  fs.writeFileSync(
    path.join(userDir, "package.json"),
    JSON.stringify({ name: "node-red-project", private: true }),
  );
  const flags = [
    "--no-audit",
    "--no-update-notifier",
    "--no-fund",
    "--save",
    "--save-prefix=~",
    "--omit=dev",
    "--engine-strict",
  ];
  await npm(["install", ...flags, "--prefer-offline", tarball], userDir);
}

/**
 * Starts Node-RED on a user directory with our package in it and uses it as a newcomer would.
 * @returns one sentence per problem; none means that all is well.
 */
export async function tryOut(userDir: string, from?: string): Promise<string[]> {
  const problems: string[] = [];
  const nodeRed = await startNodeRed({ userDir, from });
  try {
    const get = (file: string) => fetch(nodeRed.url + file, { headers: { accept: "application/json" } });
    const sets = (await (await get("/nodes")).json()) as NodeSet[];
    const ours = sets.filter((set) => set.module === packageName);
    const declared = Object.keys(manifest()["node-red"].nodes);
    for (const name of declared) {
      const set = ours.find((one) => one.name === name);
      if (!set) problems.push(`node set ${name} is not there`);
      else if (set.err) problems.push(`node set ${name}: ${set.err}`);
      else if (!set.enabled) problems.push(`node set ${name} is not enabled`);
    }

    const plugins = (await (await get("/plugins")).json()) as NodeSet[];
    if (!plugins.some((plugin) => plugin.module === packageName && !plugin.err))
      problems.push("the plugin is not loaded");

    const known = new Set(["tab", "group", ...sets.flatMap((set) => set.types)]);
    const examples = readExamples(path.join(userDir, "node_modules", packageName, "examples"));
    for (const name of examples.keys()) {
      const answer = await get(`/library/examples/flows/${packageName}/${encodeURIComponent(name)}`);
      if (!answer.ok) {
        problems.push(`example "${name}" is not in the list of examples: ${answer.status}`);
        continue;
      }
      const flow = (await answer.json()) as FlowNode[];
      const unknown = flow.filter((node) => !known.has(node.type)).map((node) => node.type);
      if (unknown.length > 0)
        problems.push(`example "${name}" has nodes that nobody knows: ${unknown.join(", ")}`);
      await deploy(nodeRed.url, flow).catch((error: Error) =>
        problems.push(`example "${name}": ${error.message}`),
      );
      const web = flow.find((node) => node.type === "redclaw-web");
      if (web) {
        const page = await openPage(`${nodeRed.url}/redclaw/web/${web.id}/`);
        const type = page.headers.get("content-type") ?? "";
        if (!page.ok || !type.startsWith("text/html"))
          problems.push(`chat page of "${name}": ${page.status} ${type}`);
      }
    }
    if (/missing|Error:/i.test(nodeRed.log())) problems.push(`the log complains:\n${nodeRed.log()}`);
  } finally {
    const code = await nodeRed.stop();
    if (code === null) problems.push("Node-RED did not stop within 15 s and was killed");
  }
  return problems;
}

/** The answer of a page that is there a moment after the deploy: Node-RED answers before the flows have started. */
async function openPage(url: string): Promise<Response> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const page = await fetch(url);
    if (page.ok || Date.now() > deadline) return page;
    await page.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface NodeSet {
  module: string;
  name: string;
  types: string[];
  enabled: boolean;
  err?: string;
}

/** `package.json` of this checkout. */
export function manifest(): Manifest {
  return JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as Manifest;
}

export interface Manifest {
  version: string;
  keywords: string[];
  engines: { node: string };
  dependencies: Record<string, string>;
  scripts: Record<string, string>;
  "node-red": { version: string; nodes: Record<string, string>; plugins: Record<string, string> };
}

/** Runs npm with the Node that runs this file, whatever `node` on the PATH is. */
async function npm(args: string[], cwd: string): Promise<string> {
  const cli = process.env["npm_execpath"] ?? npmOnPath();
  const { stdout } = await run(process.execPath, [cli, ...args], {
    cwd,
    maxBuffer: 32e6,
    env: { ...process.env, PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env["PATH"]}` },
  });
  return stdout;
}

/** The script behind the first `npm` command on the PATH. */
function npmOnPath(): string {
  const commands = (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .map((folder) => path.join(folder, "npm"));
  const command = commands.find((file) => fs.existsSync(file));
  if (!command) throw new Error("There is no npm on the PATH.");
  return fs.realpathSync(command);
}

/** A Node-RED of this line, kept in a cache for the next time. */
async function nodeRedOf(version: string): Promise<string> {
  const folder = path.join(cache, `node-red-${version}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "matrix", private: true }));
  await npm(["install", "--no-audit", "--no-fund", "--omit=dev", `node-red@~${version}.0`], folder);
  return folder;
}

/** Runs the tests that drive a real Node-RED and its editor on this Node-RED. */
function testsOn(from: string): string[] {
  const folders = ["editor", "nodered"].map((room) => `--spec=test/${room}/*.test.ts`);
  const { status } = spawnSync("mocha", folders, {
    cwd: root,
    env: { ...process.env, REDCLAW_NODE_RED: from },
    stdio: "inherit",
  });
  return status === 0 ? [] : ["Tests failed, see above."];
}

async function main(): Promise<void> {
  const packed = await pack(path.join(cache, "packed"));
  let failed = 0;
  for (const version of versions) {
    const from = await nodeRedOf(version);
    const userDir = path.join(cache, `user-${version}`);
    fs.rmSync(userDir, { recursive: true, force: true });
    await install(packed.file, userDir);
    const problems = await tryOut(userDir, from);
    if (process.argv.includes("--tests")) problems.push(...testsOn(from));
    const exact = (
      JSON.parse(fs.readFileSync(path.join(from, "node_modules/node-red/package.json"), "utf8")) as Manifest
    ).version;
    console.log(
      `Node-RED ${exact} on Node ${process.version}: ${problems.length === 0 ? "fine" : "not fine"}`,
    );
    for (const problem of problems) console.log(`  ${problem}`);
    failed += problems.length;
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

if (require.main === module) main();
