/**
 * `npm run build`: writes `dist/`, a few seconds. It is built beside the old one and takes its place at the end, so
 * a Node-RED that is running, or a build that fails, never sees half of it.
 *
 * `--despite-errors` (what `npm run dev` uses): type errors, and a package.json that does not fit, are shown and do
 * not stop the build.
 */
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { buildSchemas } from "./build-schemas";
import { buildWebPage } from "./build-web-page";
import {
  checkPackage,
  copyIcons,
  findNodeSets,
  readChannels,
  root,
  writeChannel,
  writePlainSet,
  writePlugin,
} from "./node-sets";

const dist = path.join(root, "dist");

async function main(): Promise<void> {
  const started = Date.now();
  const outDir = path.join(root, ".redclaw", `build-${process.pid}`);
  fs.rmSync(outDir, { recursive: true, force: true });
  try {
    const sets = findNodeSets();
    tolerate(checkPackage(sets));
    await buildSchemas();
    await Promise.all([
      compile(outDir),
      buildWebPage(path.join(outDir, "nodes/channels/web/page")),
      writeNodeFiles(sets, outDir),
    ]);
    // After the compiler, which has written a plain re-export where these go.
    await bundleVendors(outDir);
    fs.cpSync(path.join(root, "lib/message/validators.js"), path.join(outDir, "lib/message/validators.js"));
    replace(dist, outDir);
  } finally {
    fs.rmSync(outDir, { recursive: true, force: true });
  }
  console.log(`dist/ is built (${((Date.now() - started) / 1000).toFixed(1)} s).`);
}

async function writeNodeFiles(
  { channels, plain }: ReturnType<typeof findNodeSets>,
  outDir: string,
): Promise<void> {
  for (const definition of readChannels(channels)) writeChannel(definition, outDir);
  for (const name of plain) await writePlainSet(name, outDir);
  await writePlugin(outDir);
  copyIcons(outDir);
}

/** `lib/` and `nodes/`, file by file, with declarations. */
async function compile(outDir: string): Promise<void> {
  const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const child = spawn(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", outDir], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", resolve);
  });
  if (code !== 0) tolerate(["The sources have type errors, see above."]);
}

/** Libraries that are not dependencies of the package: each file in `lib/vendor` takes its library along. */
async function bundleVendors(outDir: string): Promise<void> {
  const folder = path.join(root, "lib/vendor");
  const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => name.endsWith(".ts")) : [];
  await build({
    entryPoints: files.map((name) => path.join(folder, name)),
    outdir: path.join(outDir, "lib/vendor"),
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node22",
    legalComments: "inline",
  });
}

function tolerate(faults: string[]): void {
  if (faults.length === 0) return;
  if (!process.argv.includes("--despite-errors")) throw new Error(faults.join("\n"));
  console.error(faults.join("\n"));
}

function replace(old: string, fresh: string): void {
  const away = `${fresh}-old`;
  if (fs.existsSync(old)) fs.renameSync(old, away);
  fs.renameSync(fresh, old);
  fs.rmSync(away, { recursive: true, force: true });
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
