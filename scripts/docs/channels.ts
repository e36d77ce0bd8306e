/** What the documentation says about channels, from their definitions: the table in the README and a page each. */
import type { ChannelDefinition } from "../../lib/channel/define";
import { fieldsOf } from "../../lib/channel/generate/fields";
import type { Capabilities } from "../../lib/message/types";

const features = {
  buttons: "Buttons",
  images: "Images",
  files: "Files",
  voice: "Voice",
  video: "Video",
  edit: "Edits",
  delete: "Deletes",
  reactions: "Reactions",
  typing: "Typing",
  threads: "Threads",
  replyTo: "Answers to one message",
  silent: "Silent messages",
} as const satisfies Partial<Record<keyof Capabilities, string>>;

const units = { utf16: "characters", codepoints: "characters", graphemes: "characters", bytes: "bytes" };

/** What we promise about a message that was cut off on its way (docs/architecture.md, "Delivery"). */
const promises = {
  key: "A message that was cut off on its way is sent again under the same key, so nobody gets it twice.",
  lookup:
    "A message that was cut off on its way is looked up first and sent again only when it is not there.",
  none: "When a message is cut off on its way, nobody can tell whether it arrived. It is held and shown (*Resend* or *Dismiss*), unless the account is set to send it again.",
};

/** One row per channel. */
export function channelTable(channels: ChannelDefinition[]): string {
  const head = ["Channel", "Works behind a router", "Longest text", ...Object.values(features).slice(0, 9)];
  const rows = channels.map((channel) => {
    const marks = Object.keys(features)
      .slice(0, 9)
      .map((name) => mark(channel, name));
    const page = `[${channel.label}](docs/channels/${channel.name}.md)`;
    return [page, behindRouter(channel) ? "yes" : "no", longest(channel), ...marks];
  });
  return table(head, rows);
}

/** The whole page. `help` is the channel's `help.md`. */
export function channelPage(channel: ChannelDefinition, help: string): string {
  const { capabilities: can } = channel;
  const works = Object.entries(features).map(([name, title]) => [title, mark(channel, name)]);
  const fields = fieldsOf(channel).map(({ name, spec, kind, value }) => [
    `**${spec.label}**`,
    `\`${name}\``,
    kind === "credential" ? (spec.required ? "needed" : "optional") : value === "" ? "" : `\`${value}\``,
    (spec.help ?? "").replace(/\s+/g, " "),
  ]);
  const limits = [
    channel.limits.perChat && `${channel.limits.perChat} for each chat`,
    channel.limits.perAccount && `${channel.limits.perAccount} for the whole account`,
  ].filter(Boolean);
  return `# ${channel.label}

<!-- Written by scripts/docs.ts from nodes/channels/${channel.name}/channel.ts and help.md. Change those, then run: npm run docs -->

Nodes: **${channel.name} in** (\`redclaw-${channel.name}-in\`), **${channel.name} out** (\`redclaw-${channel.name}-out\`) and the account (\`redclaw-${channel.name}\`).

${help.trim().replace(/^##(#+) /gm, "#$1 ")}

## What works

${table(["", ""], [["Longest text of one message", longest(channel)], ...works, ...fileLimit(can)])}

Events: ${channel.events.map((kind) => `\`${kind}\``).join(", ")}.

${limits.length > 0 ? `Messages wait so that no more go out than ${limits.join(" and ")}. The account can set other limits.\n\n` : ""}${promises[can.idempotency]}

## Fields of the account

${table(["Field", "Name in the flow", "Default", ""], fields)}

Every field accepts \`\${ENV_VAR}\`.${channel.docs ? `\n\nMore: [documentation of ${channel.label}](${channel.docs})` : ""}
`;
}

/** False for a platform that can only call us: it needs a public address. */
function behindRouter(channel: ChannelDefinition): boolean {
  if (!channel.webhook) return true;
  const options = Object.fromEntries(
    Object.entries(channel.options).map(([name, field]) => [name, field.default]),
  );
  return !channel.webhook.active({ id: "", name: "", credentials: {}, options });
}

function longest({ capabilities }: ChannelDefinition): string {
  return `${capabilities.text.max} ${units[capabilities.text.unit]}`;
}

function fileLimit(can: Capabilities): string[][] {
  return can.fileMax ? [["Largest file", `${Math.floor(can.fileMax / 1024 / 1024)} MB`]] : [];
}

function mark(channel: ChannelDefinition, capability: string): string {
  return channel.capabilities[capability as keyof Capabilities] ? "yes" : "-";
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...rows.map(line)].join("\n");
}
