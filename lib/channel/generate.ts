/**
 * Writes the node files of a channel from its definition: what Node-RED loads (`js`), the edit forms (`html`), their
 * texts (`locale`) and the help of the three nodes (`help`).
 *
 * The files contain literal `registerType('redclaw-<name>-in', { ... })` calls, because the Flow Library and the
 * palette's search read node types from the text of a package and never run it.
 */
import type { ChannelDefinition } from "./define";
import { editorScripts } from "./generate/editor";
import { accountForm, inForm, outForm } from "./generate/form";
import { channelHelp } from "./generate/help";
import { channelLocale, type Locale } from "./generate/locale";
import { runtimeFile } from "./generate/runtime";

export interface GenerateOptions {
  /** The channel's `help.md`: how to get the credentials, what to know. Shown as the help of the account. */
  helpMarkdown?: string;
  /** What the written file requires to get the definition, as seen from where it will stand. */
  modulePath: string;
  /** What it requires to get `channelNodes`. A package of somebody else leaves it out. */
  nodesPath?: string;
}

export interface GeneratedChannel {
  /** `<name>.js` */
  js: string;
  /** `<name>.html` */
  html: string;
  /** `locales/en-US/<name>.json` */
  locale: Locale;
  /** `locales/en-US/<name>.html` */
  help: string;
}

/**
 * The four files of a channel, as text.
 *
 * @example
 * const { js, html, locale, help } = generateChannel(telegram, { modulePath: "./nodes/channels/telegram/channel" });
 */
export function generateChannel(definition: ChannelDefinition, options: GenerateOptions): GeneratedChannel {
  return {
    js: runtimeFile(definition, options),
    html: [editorScripts(definition), accountForm(definition), inForm(definition), outForm(definition)].join(
      "\n",
    ),
    locale: channelLocale(definition),
    help: channelHelp(definition, options.helpMarkdown ?? ""),
  };
}
