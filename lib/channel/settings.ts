/** From what a form holds to an account's settings. */
import { RedclawError } from "../errors";
import type { AccountConfig } from "./account";
import type { ChannelDefinition } from "./define";

/** What stands in the config node (or in its open form) as the account's settings. */
export function accountConfig(
  definition: ChannelDefinition,
  config: Record<string, unknown>,
  credentials: Record<string, string | undefined>,
): AccountConfig {
  const options: AccountConfig["options"] = Object.fromEntries(
    Object.entries(definition.options).map(([field, { default: standard }]) => {
      const value = config[field];
      const fits = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
      return [field, fits && value !== "" ? value : standard];
    }),
  );
  const apiRoot = typeof config["apiRoot"] === "string" ? config["apiRoot"].trim().replace(/\/+$/, "") : "";
  const limits = limitsOf(config["limits"]);
  return {
    id: String(config["id"]),
    name: String(config["name"] || definition.label),
    credentials: Object.fromEntries(
      Object.entries(credentials).map(([field, value]) => [field, value?.trim()]),
    ),
    options,
    onUnknown: config["onUnknown"] === "resend" ? "resend" : "hold",
    ...(apiRoot ? { apiRoot } : {}),
    ...(limits ? { limits } : {}),
  };
}

function limitsOf(value: unknown): AccountConfig["limits"] {
  if (value === undefined || value === null || value === "") return undefined;
  try {
    const parsed: unknown = typeof value === "string" ? JSON.parse(value) : value;
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch {
    // The sentence below says it.
  }
  throw new RedclawError(
    "bad-limit",
    'The limits of the account cannot be read. Write them like {"perChat":"1/s","perAccount":"30/s"}, or leave the field empty.',
  );
}
