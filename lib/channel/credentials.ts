/** The credentials of an account: which one is missing, and which values nobody may see. */
import { asError } from "../errors";
import { redact } from "../http/redact";
import type { AccountSettings, ChannelDefinition } from "./define";

/** What to do about the first credential that is required and empty; undefined: all are there. */
export function missingCredential(
  definition: ChannelDefinition,
  settings: AccountSettings,
): string | undefined {
  for (const [field, { required, label }] of Object.entries(definition.credentials)) {
    if (required && !settings.credentials[field]?.trim()) {
      return `The ${definition.label} account has no ${label.toLowerCase()} yet. Open the account and paste it.`;
    }
  }
  return undefined;
}

export function secretsOf(definition: ChannelDefinition, settings: AccountSettings): string[] {
  return Object.keys(definition.credentials).flatMap((field) => {
    const value = definition.credentials[field]?.secret && settings.credentials[field];
    return value ? [value] : [];
  });
}

/** What was thrown, as an error whose message shows none of the secrets. */
export function withoutSecrets(thrown: unknown, secrets: readonly string[]): Error {
  const error = asError(thrown);
  error.message = redact(error.message, secrets);
  return error;
}
