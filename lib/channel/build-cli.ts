#!/usr/bin/env node
/**
 * `npx redclaw-build`: writes the node files of the channels in a package of your own.
 *
 *     npx redclaw-build [folder ...] [--out dist]
 *
 * A folder holds a compiled `channel.js` (with its `client.js` beside it) and may hold `help.md`; without any named,
 * each `channels/<name>` is taken. For each channel, `dist/<name>.js`, its form, catalog and help are written, and
 * `icons/*.svg` are copied to where Node-RED looks for them. The command ends by saying what your `package.json`
 * needs, when it does not have it yet.
 */
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { RedclawError } from "../errors";
import type { ChannelDefinition } from "./define";
import { generateChannel } from "./generate";

interface Written {
  name: string;
  /** From the package's root, with slashes: `dist/mychat.js`. */
  file: string;
}

/** Runs the command in `cwd` with the arguments behind its name; answers what it has to say, line by line. */
export function buildChannels(args: string[], cwd: string): string[] {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { out: { type: "string", default: "dist" } },
  });
  const folders = positionals.length > 0 ? positionals : channelFolders(cwd);
  if (folders.length === 0) {
    throw new RedclawError(
      "no-channels",
      "There is no channel here: channels/<name>/channel.js was looked for. Compile your sources first, or name the folders: npx redclaw-build dist/channels/mychat",
    );
  }
  const outDir = path.resolve(cwd, values.out);
  const written = folders.map((folder) => writeChannel(path.resolve(cwd, folder), outDir, cwd));
  const icons = path.join(cwd, "icons");
  if (fs.existsSync(icons) && icons !== path.join(outDir, "icons")) {
    fs.cpSync(icons, path.join(outDir, "icons"), { recursive: true });
  }
  return [...written.map(({ file }) => `wrote ${file}`), ...manifestAdvice(cwd, written)];
}

function channelFolders(cwd: string): string[] {
  const parent = path.join(cwd, "channels");
  if (!fs.existsSync(parent)) return [];
  const names = fs.readdirSync(parent).filter((name) => fs.existsSync(path.join(parent, name, "channel.js")));
  return names.sort().map((name) => path.join("channels", name));
}

function writeChannel(folder: string, outDir: string, cwd: string): Written {
  const definition = readDefinition(path.join(folder, "channel.js"));
  const help = path.join(folder, "help.md");
  const {
    js,
    html,
    locale,
    help: helpHtml,
  } = generateChannel(definition, {
    modulePath: requirePath(outDir, path.join(folder, "channel.js")),
    helpMarkdown: fs.existsSync(help) ? fs.readFileSync(help, "utf8") : "",
  });
  const { name } = definition;
  const files = {
    [`${name}.js`]: js,
    [`${name}.html`]: html,
    [`locales/en-US/${name}.json`]: `${JSON.stringify(locale, null, 2)}\n`,
    [`locales/en-US/${name}.html`]: helpHtml,
  };
  for (const [file, text] of Object.entries(files)) {
    const full = path.join(outDir, file);
    fs.mkdirSync(path.dirname(full), { recursive: true });
    fs.writeFileSync(full, text);
  }
  return { name, file: slashes(path.relative(cwd, path.join(outDir, `${name}.js`))) };
}

function readDefinition(file: string): ChannelDefinition {
  if (!fs.existsSync(file)) {
    throw new RedclawError(
      "no-channel",
      `${file} is not there. Compile your sources first, then run redclaw-build.`,
    );
  }
  const loaded = require(file) as ChannelDefinition & { default?: ChannelDefinition };
  const definition = loaded.default ?? loaded;
  if (typeof definition?.name !== "string" || typeof definition.client !== "function") {
    throw new RedclawError(
      "no-definition",
      `${file} exports no channel. Its default export must be what defineChannel answers.`,
    );
  }
  return definition;
}

/** `./channels/mychat/channel.js`, as seen from the file that is written. */
function requirePath(from: string, to: string): string {
  const relative = slashes(path.relative(from, to));
  return relative.startsWith(".") ? relative : `./${relative}`;
}

function slashes(file: string): string {
  return file.split(path.sep).join("/");
}

/** Node-RED loads what `package.json` names: what is missing there, as text to paste. */
function manifestAdvice(cwd: string, written: Written[]): string[] {
  const file = path.join(cwd, "package.json");
  const manifest = (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : {}) as {
    "node-red"?: { nodes?: Record<string, string> };
  };
  const listed = Object.values(manifest["node-red"]?.nodes ?? {}).map((name) => path.posix.normalize(name));
  const missing = written.filter(({ file: name }) => !listed.includes(name));
  if (missing.length === 0) return [];
  const nodes = Object.fromEntries(missing.map(({ name, file: target }) => [name, target]));
  return [
    "Add this to package.json, so that Node-RED loads it:",
    JSON.stringify({ "node-red": { nodes } }, null, 2),
  ];
}

if (require.main === module) {
  try {
    for (const line of buildChannels(process.argv.slice(2), process.cwd())) console.log(line);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
