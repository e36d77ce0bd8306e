/**
 * `npm run docs`: writes what the documentation says about channels, nodes and models from the code, and the
 * pictures from the running program. With `--check` it writes nothing and fails when a text is stale.
 */
import fs from "node:fs";
import path from "node:path";
import { providers } from "../lib/ai/providers";
import { channelPage, channelTable } from "./docs/channels";
import { nodeTable } from "./docs/nodes";
import { readChannels, root } from "./node-sets";

async function main(): Promise<void> {
  const texts = generate();
  const stale = [...texts].filter(([file, text]) => read(file) !== text).map(([file]) => file);
  if (process.argv.includes("--check")) {
    if (stale.length === 0) return;
    console.error(`Stale: ${stale.join(", ")}. Run: npm run docs`);
    process.exitCode = 1;
    return;
  }
  for (const file of stale) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), texts.get(file) ?? "");
    console.log(`wrote ${file}`);
  }
  const { takePictures } = await import("./docs/pictures.js");
  for (const file of await takePictures(path.join(root, "docs/images")))
    console.log(`wrote ${path.relative(root, file)}`);
}

/** All generated texts, by path from the root of the checkout. */
function generate(): Map<string, string> {
  const channels = readChannels();
  const texts = new Map<string, string>();
  const readme = replaceBetween(read("README.md"), "channels", channelTable(channels));
  texts.set("README.md", replaceBetween(readme, "nodes", nodeTable()));
  texts.set("docs/models.md", replaceBetween(read("docs/models.md"), "models", modelTable()));
  for (const channel of channels) {
    const help = read(`nodes/channels/${channel.name}/help.md`);
    texts.set(`docs/channels/${channel.name}.md`, channelPage(channel, help));
  }
  return texts;
}

function modelTable(): string {
  // The automatic choice and the demo model are told above the table: they have no address of their own.
  const servers = Object.entries(providers).filter(([name]) => name !== "auto" && name !== "demo");
  const rows = servers.map(([, provider]) => {
    const address = provider.baseUrl ? `\`${provider.baseUrl}\`` : "yours";
    const key =
      "keyUrl" in provider ? `[${provider.needsKey ? "needed" : "optional"}](${provider.keyUrl})` : "no";
    return `| ${provider.label} | ${address} | ${key} | ${provider.model ? `\`${provider.model}\`` : "the first it lists"} |`;
  });
  return ["| Provider | Address | Key | Model, when you name none |", "|---|---|---|---|", ...rows].join(
    "\n",
  );
}

/** Replaces what stands between `<!-- generated:NAME -->` and `<!-- /generated:NAME -->`. */
function replaceBetween(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- generated:${name} -->`, `<!-- /generated:${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`The markers ${start} and ${end} are not there.`);
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}

function read(file: string): string {
  const full = path.join(root, file);
  return fs.existsSync(full) ? fs.readFileSync(full, "utf8") : "";
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
