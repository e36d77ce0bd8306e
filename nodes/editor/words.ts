/** Texts that all forms share; they stand in `nodes/editor/locale.json`, the catalog of the plugin. */
const CATALOG = "@redclaw/node-red-gateway/redclaw:";

export function word(key: string, values?: Record<string, unknown>): string {
  return RED._(CATALOG + key, values);
}
