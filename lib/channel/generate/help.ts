/** Writes the help of a channel's three nodes: the account's own text, and for in and out what the definition tells. */
import type { Capabilities } from "../../message/types";
import type { ChannelDefinition } from "../define";

export function channelHelp(definition: ChannelDefinition, markdown: string): string {
  const type = `redclaw-${definition.name}`;
  return helpScripts({
    [type]: accountHelp(definition, markdown),
    [`${type}-in`]: inHelp(definition),
    [`${type}-out`]: outHelp(definition),
  });
}

function accountHelp({ label, docs }: ChannelDefinition, markdown: string): string {
  const text = markdown.trim() || `One ${label} account. All its in and out nodes share the connection.`;
  return docs ? `${text}\n\n### References\n\n- [${label} documentation](${docs})` : text;
}

function inHelp({ label, events }: ChannelDefinition): string {
  return `Starts a flow with each message that arrives on ${label}.

### Outputs

: payload (object) : the message, with \`text\`, \`sender\`, \`conversation\`, \`attachments\`, \`kind\` and more.
: chat (object) : where it came from and what an answer there can hold. Keep it, so that **reply** finds the way back.
: topic (string) : the chat.

### Details

Wire it to **ai** and **reply** for an assistant that answers, or to any other node: a node may replace \`payload\` with plain text.

The order of messages within one chat is kept. A message that the platform delivers twice goes down the wire once.

Kinds that ${label} knows: ${events.map((kind) => `\`${kind}\``).join(", ")}.
`;
}

function outHelp({ label, capabilities }: ChannelDefinition): string {
  return `Sends a message to a chosen chat on ${label}. To answer where a message came from, use **reply**.

### Inputs

: payload (string | object) : the text, as Markdown, or an object with \`text\`, \`attachments\`, \`buttons\` and more.
: *to* (string) : the chat, when the node names none.

### Outputs

: payload (object) : the receipt. \`messageId\` is the platform's own id of the message, the proof that it was accepted.

### Details

The chat is picked from the recent ones, typed as an id, or taken from the message. If it stays empty, \`msg.to\` counts, and without it the chat that the message came from.

A message waits its turn: per chat the order is kept and the limits of ${label} are obeyed. What cannot be delivered goes to the Catch node, with the reason, and is kept in the ledger. When it is not known whether a message arrived, it is held, unless the account or \`msg.onUnknown\` says \`resend\`.

${label} shows: ${features(capabilities)}. A longer text than ${capabilities.text.max} ${UNITS[capabilities.text.unit]} becomes several messages.
`;
}

const UNITS = {
  utf16: "characters",
  codepoints: "characters",
  graphemes: "characters",
  bytes: "bytes",
} as const;

function features(can: Capabilities): string {
  const words: Partial<Record<keyof Capabilities, string>> = {
    buttons: "buttons",
    images: "images",
    files: "files",
    voice: "voice",
    audio: "audio",
    video: "video",
    reactions: "reactions",
    replyTo: "replies to a message",
    edit: "edits",
    typing: "typing",
    threads: "threads",
  };
  const list = Object.entries(words).filter(([name]) => can[name as keyof Capabilities] === true);
  return ["text", ...list.map(([, word]) => word)].join(", ");
}

/** Help texts as Node-RED wants them in a locale folder: one script element per node type. */
export function helpScripts(help: Record<string, string>): string {
  return Object.entries(help)
    .map(
      ([type, markdown]) =>
        `<script type="text/markdown" data-help-name="${type}">\n${withoutScriptEnds(markdown.trim())}\n</script>\n`,
    )
    .join("\n");
}

/** A code block that shows a script element would end the one that the help stands in: it becomes HTML with entities. */
function withoutScriptEnds(markdown: string): string {
  return markdown.replace(/^```\w*\n([\s\S]*?)\n```$/gm, (block, code: string) =>
    /<\/script/i.test(code)
      ? `<pre><code>${code.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")}</code></pre>`
      : block,
  );
}
