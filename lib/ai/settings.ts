/** From the fields of the form of `redclaw-model`, saved or not yet saved, to the settings of a model. */
import type { ModelSettings } from "./types";

/** Values as Node-RED keeps them: text, whatever the field means. */
export type ModelForm = Readonly<Record<string, unknown>>;

export function modelSettings(
  form: ModelForm,
  given: Pick<ModelSettings, "apiKey" | "fetch" | "env"> = {},
): ModelSettings {
  const settings: ModelSettings = { ...given, headers: headersOf(form["headers"]) };
  for (const field of ["provider", "baseUrl", "model"] as const) {
    const value = form[field];
    if (typeof value === "string" && value.trim() !== "") settings[field] = value.trim();
  }
  const timeout = numberOf(form["timeout"]);
  if (timeout !== undefined && timeout > 0) settings.timeoutMs = Math.min(timeout, 3600) * 1000;
  const temperature = numberOf(form["temperature"]);
  if (temperature !== undefined && temperature >= 0) settings.temperature = temperature;
  const maxTokens = numberOf(form["maxTokens"]);
  if (maxTokens !== undefined && maxTokens >= 1) settings.maxTokens = Math.floor(maxTokens);
  return settings;
}

/** One header a line, `Name: value`; lines that are none are left out. */
function headersOf(text: unknown): Record<string, string> {
  const headers: [string, string][] = [];
  for (const line of typeof text === "string" ? text.split("\n") : []) {
    const [, name, value] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*:\s*([\t\x20-\x7e]*?)\s*$/.exec(line) ?? [];
    if (name && value) headers.push([name, value]);
  }
  return Object.fromEntries(headers);
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === "string" ? value.trim() === "" : typeof value !== "number") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}
