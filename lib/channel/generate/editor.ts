/**
 * Writes the editor's half of the three node types: literal `registerType` calls with literal categories, icons,
 * colours, ports and defaults. What all channels share stands in `nodes/editor` as the global `Redclaw`.
 */
import type { ChannelDefinition } from "../define";
import { type Field, fieldsOf } from "./fields";

/** One calm teal for every channel; node labels stay readable on it in light and dark. */
const COLOR = "#6FB7B7";

/** What a person sends to a bot. Joins, edits and receipts are there to be ticked. */
const SPOKEN = ["message", "command", "button"];

export function editorScripts(definition: ChannelDefinition): string {
  return `<script type="text/javascript">
${accountType(definition)}
${inType(definition)}
${outType(definition)}
</script>
`;
}

function accountType(definition: ChannelDefinition): string {
  const fields = fieldsOf(definition);
  const credentials = fields
    .filter((field) => field.kind === "credential")
    .map(
      (field) =>
        `    ${field.name}: { type: ${literal(field.spec.secret ? "password" : "text")}${check(field)} },\n`,
    );
  const options = fields
    .filter((field) => field.kind === "option")
    .map((field) => `    ${field.name}: { value: ${literal(field.value)}${check(field)} },\n`);
  return `RED.nodes.registerType(${literal(`redclaw-${definition.name}`)}, {
  category: "config",
  color: ${literal(COLOR)},
  icon: ${literal(definition.icon)},
  defaults: {
    name: { value: "" },
${options.join("")}${commonOptions(definition)}  },
  credentials: {
${credentials.join("")}  },
  paletteLabel: function () { return this._("label.account"); },
  label: function () { return this.name || this._("label.account"); },
  labelStyle: function () { return this.name ? "node_label_italic" : ""; },
  oneditprepare: function () { Redclaw.openAccount(this, ${literal({ channel: definition.name })}); },
});`;
}

/** What every account has, as far as it means something on this channel; the form shows the same. */
function commonOptions(definition: ChannelDefinition): string {
  const limits = `    limits: { value: "", validate: function (value, _opt) { return Redclaw.checkLimits(this, value); } },\n`;
  const apiRoot = `    apiRoot: { value: "", validate: function (value, _opt) { return Redclaw.checkAddress(this, value); } },\n`;
  const onUnknown = `    onUnknown: { value: "hold" },\n`;
  return `${definition.pages ? "" : apiRoot}${limits}${definition.capabilities.idempotency === "none" ? onUnknown : ""}`;
}

function inType(definition: ChannelDefinition): string {
  const kinds = SPOKEN.filter((kind) => (definition.events as readonly string[]).includes(kind));
  return `RED.nodes.registerType(${literal(`redclaw-${definition.name}-in`)}, {
  category: "redclaw channels",
  color: ${literal(COLOR)},
  icon: ${literal(definition.icon)},
  inputs: 0,
  outputs: 1,
  defaults: {
    name: { value: "" },
    account: ${accountDefault(definition)},
    kinds: { value: ${literal(kinds)} },
    conversations: { value: "" },
  },
${common("in")}
  outputLabels: function () { return this._("label.message"); },
  oneditprepare: function () { Redclaw.openIn(this); },
  oneditsave: function () { Redclaw.saveIn(this); },
});`;
}

function outType(definition: ChannelDefinition): string {
  return `RED.nodes.registerType(${literal(`redclaw-${definition.name}-out`)}, {
  category: "redclaw channels",
  color: ${literal(COLOR)},
  icon: ${literal(definition.icon)},
  align: "right",
  inputs: 1,
  outputs: 1,
  defaults: {
    name: { value: "" },
    account: ${accountDefault(definition)},
    to: { value: "" },
    toType: { value: "chat" },
  },
${common("out")}
  outputLabels: function () { return this._("label.receipt"); },
  oneditprepare: function () { Redclaw.openOut(this); },
});`;
}

function accountDefault(definition: ChannelDefinition): string {
  return `{ value: "", type: ${literal(`redclaw-${definition.name}`)}, validate: function (value, _opt) { return Redclaw.checkAccount(this, value); } }`;
}

function common(side: "in" | "out"): string {
  return `  paletteLabel: function () { return this._("label.${side}"); },
  label: function () { return this.name || this._("label.${side}"); },
  labelStyle: function () { return this.name ? "node_label_italic" : ""; },
  onadd: function () { Redclaw.takeOnlyAccount(this); },`;
}

/** The validator of a field: its sentences stand in the channel's catalog. */
function check({ name, input, spec }: Field): string {
  const rule = {
    name,
    ...(spec.required && { required: true }),
    ...(spec.pattern && { pattern: spec.pattern }),
    ...(input === "number" && { number: true }),
    ...(spec.when && { when: spec.when }),
  };
  if (!rule.required && !rule.pattern && !rule.number) return "";
  return `, validate: function (value, _opt) { return Redclaw.checkField(this, value, ${literal(rule)}); }`;
}

/** A JavaScript literal that may stand inside a script element. */
function literal(value: unknown): string {
  return JSON.stringify(value).replace(/</g, "\\u003c");
}
