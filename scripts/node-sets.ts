/** Finds the node sets in `nodes/` and writes the files that Node-RED loads: each channel and each plain node a set. */
import fs from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import type { ChannelDefinition } from "../lib/channel/define";
import { generateChannel } from "../lib/channel/generate";
import { helpScripts } from "../lib/channel/generate/help";

export const root = path.join(__dirname, "..");

/** What a channel's generated file requires, as seen from `dist/`. */
const CHANNEL_NODES = "./nodes/channels/nodes";

export interface NodeSets {
  /** Folders in `nodes/channels` with a `channel.ts`. */
  channels: string[];
  /** Folders in `nodes` with an `index.ts` and an `editor.html`. */
  plain: string[];
}

export function findNodeSets(): NodeSets {
  return {
    channels: foldersWith("nodes/channels", "channel.ts"),
    plain: foldersWith("nodes", "index.ts", "editor.html"),
  };
}

function foldersWith(parent: string, ...files: string[]): string[] {
  return fs
    .readdirSync(path.join(root, parent))
    .filter((name) => files.every((file) => fs.existsSync(path.join(root, parent, name, file))))
    .sort();
}

/** Reads the definitions of all channels. They import no SDK, so this is quick. */
export function readChannels(names = findNodeSets().channels): ChannelDefinition[] {
  return names.map((name) => {
    const file = path.join(root, "nodes/channels", name, "channel");
    const { default: definition } = require(file) as { default: ChannelDefinition };
    if (definition.name !== name) {
      throw new Error(
        `nodes/channels/${name}/channel.ts defines "${definition.name}". Give the folder the channel's name.`,
      );
    }
    return definition;
  });
}

/** `dist/<channel>.js`, `.html`, its catalog and its help. */
export function writeChannel(definition: ChannelDefinition, outDir: string): void {
  const folder = path.join(root, "nodes/channels", definition.name);
  const written = generateChannel(definition, {
    modulePath: `./nodes/channels/${definition.name}/channel`,
    nodesPath: CHANNEL_NODES,
    helpMarkdown: readIfThere(path.join(folder, "help.md")),
  });
  write(outDir, `${definition.name}.js`, written.js);
  write(outDir, `${definition.name}.html`, written.html);
  write(outDir, `locales/en-US/${definition.name}.json`, json(written.locale));
  write(outDir, `locales/en-US/${definition.name}.html`, written.help);
}

/** `dist/<set>.js` (what stands in `dist/nodes/<set>`), its form, its catalog and its help. */
export async function writePlainSet(name: string, outDir: string): Promise<void> {
  const folder = path.join(root, "nodes", name);
  const html = await withParts(fs.readFileSync(path.join(folder, "editor.html"), "utf8"));
  write(outDir, `${name}.js`, `"use strict";\nmodule.exports = require("./nodes/${name}/index").default;\n`);
  write(outDir, `${name}.html`, html);
  const locale = readIfThere(path.join(folder, "locale.json"));
  if (locale) write(outDir, `locales/en-US/${name}.json`, locale);
  write(outDir, `locales/en-US/${name}.html`, helpOf(html, folder));
}

/** One help file serves all types of a set, or each type has its own `help-<type without redclaw->.md`. */
function helpOf(html: string, folder: string): string {
  const types = [...html.matchAll(/data-template-name="([^"]+)"/g)].map((match) => match[1] as string);
  return helpScripts(
    Object.fromEntries(
      types.map((type) => {
        const own = path.join(folder, `help-${type.replace(/^redclaw-/, "")}.md`);
        return [type, readIfThere(own) ?? fs.readFileSync(path.join(folder, "help.md"), "utf8")];
      }),
    ),
  );
}

/** `dist/gateway-plugin.js` and `.html`: the gateway, and the code and texts that all forms share. */
export async function writePlugin(outDir: string): Promise<void> {
  const html = fs.readFileSync(path.join(root, "nodes/gateway/plugin.html"), "utf8");
  write(
    outDir,
    "gateway-plugin.js",
    '"use strict";\nmodule.exports = require("./nodes/gateway/plugin").default;\n',
  );
  write(outDir, "gateway-plugin.html", await withParts(html));
  write(
    outDir,
    "locales/en-US/gateway-plugin.json",
    fs.readFileSync(path.join(root, "nodes/editor/locale.json"), "utf8"),
  );
}

/** A line like `/* nodes/editor/index.ts *\/` in a form becomes that file, bundled for the browser. */
async function withParts(html: string): Promise<string> {
  const parts = [...html.matchAll(/^\/\* (nodes\/\S+\.(?:ts|css)) \*\/$/gm)];
  const texts = await Promise.all(parts.map((part) => bundleForBrowser(part[1] as string)));
  return parts.reduce((text, part, index) => text.replace(part[0], () => texts[index] as string), html);
}

async function bundleForBrowser(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(root, file)],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    target: "es2022",
    minify: true,
    charset: "utf8",
  });
  return (outputFiles[0]?.text ?? "").trim();
}

/** `package.json` must name exactly the sets that are there: Node-RED loads what stands in it and nothing else. */
export function checkPackage({ channels, plain }: NodeSets): string[] {
  const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
    "node-red": { nodes: Record<string, string> };
  };
  const listed = manifest["node-red"].nodes;
  const found = [...plain, ...channels];
  const missing = found
    .filter((name) => listed[name] !== `dist/${name}.js`)
    .map(
      (name) =>
        `Add "${name}": "dist/${name}.js" to "node-red"."nodes" in package.json: Node-RED does not load this set without it.`,
    );
  const stale = Object.keys(listed)
    .filter((name) => !found.includes(name))
    .map(
      (name) =>
        `package.json lists the node set "${name}", but nodes/ has no such folder: take it out of "node-red"."nodes", or add the folder.`,
    );
  return [...missing, ...stale];
}

/** Icons are looked for beside the node files only, so all of them go there; a missing one is found here and not in the palette. */
export function copyIcons(outDir: string): void {
  const icons = fs.readdirSync(path.join(root, "icons")).filter((file) => file.endsWith(".svg"));
  for (const icon of icons) fs.cpSync(path.join(root, "icons", icon), path.join(outDir, "icons", icon));
  for (const file of fs.readdirSync(outDir).filter((name) => name.endsWith(".html"))) {
    for (const [, icon] of fs
      .readFileSync(path.join(outDir, file), "utf8")
      .matchAll(/^ {2}icon: "([^"]+)"/gm)) {
      if (icon?.startsWith("redclaw-") && !icons.includes(icon)) {
        throw new Error(
          `${file} names the icon "${icon}". Add it to icons/ (white on transparent, 40 x 60).`,
        );
      }
    }
  }
}

function write(outDir: string, name: string, text: string): void {
  const file = path.join(outDir, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

function readIfThere(file: string): string | undefined {
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
