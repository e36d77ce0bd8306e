/** Writes the catalog of a channel's node set: the texts that are its own. Shared ones stand in `nodes/editor/locale.json`. */
import type { ChannelDefinition } from "../define";
import { choicesOf, fieldsOf } from "./fields";

/** Texts by key, nested as i18next wants them. */
export interface Locale {
  [key: string]: string | Locale;
}

export function channelLocale(definition: ChannelDefinition): Locale {
  const field: Locale = {};
  for (const { name, spec } of fieldsOf(definition)) {
    const texts: Locale = { label: spec.label };
    if (spec.help) texts.help = spec.help;
    if (spec.placeholder) texts.placeholder = spec.placeholder;
    if (spec.required) texts.missing = `"${spec.label}" is empty: the account cannot connect without it.`;
    if (spec.pattern)
      texts.mismatch = spec.patternHelp ?? `"${spec.label}" does not look right. Copy it again.`;
    const choices = choicesOf(spec).map((choice, index) => [String(index), choice.label] as const);
    if (choices.length > 0) texts.choice = Object.fromEntries(choices);
    field[name] = texts;
  }
  return {
    // Node-RED takes a category's title from the set that registers first in it.
    palette: { label: { redclaw_channels: "Redclaw channels" } },
    label: {
      account: `${definition.label} account`,
      in: `${definition.name} in`,
      out: `${definition.name} out`,
      message: "message",
      receipt: "receipt",
    },
    field,
  };
}
