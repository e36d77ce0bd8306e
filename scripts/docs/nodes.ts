/** The table of node types, read from what the build wrote: the help texts and the `registerType` calls. */
import fs from "node:fs";
import path from "node:path";
import { manifest } from "../matrix";
import { root } from "../node-red";

/** Markdown table of all nodes that stand in the palette, then of the config nodes. */
export function nodeTable(): string {
  const sets = Object.values(manifest()["node-red"].nodes).map((file) => path.basename(file, ".js"));
  const nodes = sets.flatMap(nodesOf);
  const row = ({ type, config, sentence }: PaletteNode) =>
    `| ${config ? label(type) : `**${label(type)}**`} | \`${type}\` | ${sentence} |`;
  const sorted = nodes.toSorted(
    (a, b) => Number(a.config) - Number(b.config) || a.type.localeCompare(b.type),
  );
  return ["| Node | Type | What it is good for |", "|---|---|---|", ...sorted.map(row)].join("\n");
}

interface PaletteNode {
  type: string;
  config: boolean;
  /** First paragraph of its help. */
  sentence: string;
}

function nodesOf(set: string): PaletteNode[] {
  const html = fs.readFileSync(path.join(root, "dist", `${set}.html`), "utf8");
  const help = fs.readFileSync(path.join(root, "dist/locales/en-US", `${set}.html`), "utf8");
  const texts = new Map(
    [...help.matchAll(/data-help-name="([^"]+)">\s*([\s\S]*?)\s*<\/script>/g)].map(([, type, text]) => [
      type,
      text ?? "",
    ]),
  );
  return [...html.matchAll(/registerType\(\s*["']([^"']+)["']\s*,\s*\{\s*category:\s*["']([^"']+)/g)].map(
    ([, type = "", category]) => ({
      type,
      config: category === "config",
      sentence: (texts.get(type) ?? "").split(/\n\s*\n/, 1)[0]?.replace(/\s+/g, " ") ?? "",
    }),
  );
}

function label(type: string): string {
  return type.replace(/^redclaw-/, "").replaceAll("-", " ");
}
