/** The fields of an account's form, in the order they stand there. */
import type { ChannelDefinition, CredentialField, OptionField } from "../define";

/** Names of texts that every form shares live in the catalog of the gateway's plugin. */
export const SHARED = "@redclaw/node-red-gateway/redclaw:";

export interface Field {
  name: string;
  /** Where Node-RED keeps it. */
  kind: "credential" | "option";
  input: "password" | "text" | "number" | "checkbox" | "select" | "textarea";
  spec: CredentialField & Partial<OptionField>;
  /** Value in a new node; credentials have none. */
  value?: string | number | boolean;
  /** Stands below the fold. */
  advanced: boolean;
}

export function choicesOf(spec: Partial<OptionField>): { value: string; label: string }[] {
  return (spec.choices ?? []).map((choice) =>
    typeof choice === "string" ? { value: choice, label: choice } : choice,
  );
}

/** Required first, then the other fields; a field that only counts for a choice stands right below that choice. */
export function fieldsOf(definition: ChannelDefinition): Field[] {
  const credentials = Object.entries(definition.credentials).map(
    ([name, spec]): Field => ({
      name,
      spec,
      kind: "credential",
      input: spec.secret ? "password" : "text",
      advanced: !spec.required,
    }),
  );
  const options = Object.entries(definition.options).map(
    ([name, spec]): Field => ({
      name,
      spec,
      kind: "option",
      input: inputOf(spec),
      value: spec.default,
      advanced: spec.advanced === true && !spec.required,
    }),
  );
  const all = [...credentials, ...options];
  const ordered = all.filter((field) => !field.spec.when);
  ordered.sort((a, b) => Number(b.spec.required ?? false) - Number(a.spec.required ?? false));
  for (const field of all.filter((candidate) => candidate.spec.when)) {
    const choice = ordered.findIndex((other) => other.name in (field.spec.when ?? {}));
    ordered.splice(choice < 0 ? ordered.length : choice + 1, 0, {
      ...field,
      advanced: ordered[choice]?.advanced ?? field.advanced,
    });
  }
  return ordered;
}

function inputOf(spec: OptionField): Field["input"] {
  if (spec.choices) return "select";
  if (spec.multiline) return "textarea";
  if (typeof spec.default === "boolean") return "checkbox";
  return typeof spec.default === "number" ? "number" : "text";
}

/** For which values of which option the platform calls us; `true`: always, `undefined`: never. */
export function webhookWhen(
  definition: ChannelDefinition,
): true | { option: string; values: string[] } | undefined {
  const webhook = definition.webhook;
  if (!webhook) return undefined;
  const defaults = Object.fromEntries(
    Object.entries(definition.options).map(([name, spec]) => [name, spec.default]),
  );
  for (const [option, spec] of Object.entries(definition.options)) {
    const all = choicesOf(spec).map((choice) => choice.value);
    const values = all.filter((value) =>
      webhook.active({ id: "form", name: "", credentials: {}, options: { ...defaults, [option]: value } }),
    );
    if (values.length > 0 && values.length < all.length) return { option, values };
  }
  return true;
}
