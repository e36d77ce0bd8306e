/** Writes the edit forms: one column, each field a label, a hint and an input; texts come from the catalogs. */
import type { ChannelDefinition } from "../define";
import { choicesOf, type Field, fieldsOf, SHARED, webhookWhen } from "./fields";

const CONFIG = "node-config-input-";

/** The account: required fields, the choice of transport, *Test connection*, and the rest below the fold. */
export function accountForm(definition: ChannelDefinition): string {
  const fields = fieldsOf(definition);
  const webhook = webhookWhen(definition);
  // The address stands right below the choice that makes it count, and the fields that go with it.
  const choice = typeof webhook === "object" ? webhook.option : undefined;
  const lastOfChoice = fields.findLast(
    (field) => choice && (field.name === choice || choice in (field.spec.when ?? {})),
  );
  const rows = (advanced: boolean) =>
    fields
      .filter((field) => field.advanced === advanced)
      .flatMap((field) => [
        fieldRow(field, definition),
        typeof webhook === "object" && field === lastOfChoice ? addressRow("webhook", webhook) : "",
      ]);
  return template(`redclaw-${definition.name}`, [
    definition.pages ? addressRow("page") : "",
    ...rows(false),
    webhook === true ? addressRow("webhook") : "",
    definition.pages ? "" : testRow(),
    `<details class="redclaw-more">\n<summary data-i18n="${SHARED}form.advanced"></summary>`,
    ...rows(true),
    textRow(`${CONFIG}name`, "name"),
    definition.pages ? "" : textRow(`${CONFIG}apiRoot`, "apiRoot", definition.apiRoot),
    textRow(`${CONFIG}limits`, "limits", limitsExample(definition)),
    definition.capabilities.idempotency === "none" ? onUnknownRow() : "",
    "</details>",
  ]);
}

export function inForm(definition: ChannelDefinition): string {
  const kinds = definition.events.map(
    (kind) =>
      `<label class="redclaw-chip"><input type="checkbox" name="redclaw-kind" value="${kind}"> <span data-i18n="${SHARED}kind.${kind}"></span></label>`,
  );
  return template(`redclaw-${definition.name}-in`, [
    accountRow(),
    nameRow("in"),
    `<details class="redclaw-more">\n<summary data-i18n="${SHARED}form.filters"></summary>`,
    `<fieldset class="form-row redclaw-row">
<legend data-i18n="${SHARED}form.kinds.label"></legend>
<div class="redclaw-hint" data-i18n="${SHARED}form.kinds.help"></div>
<div class="redclaw-chips">\n${kinds.join("\n")}\n</div>
</fieldset>`,
    row(
      "node-input-conversations",
      `${SHARED}form.conversations`,
      (attributes) => `<textarea rows="3" ${attributes}></textarea>`,
    ),
    "</details>",
  ]);
}

export function outForm(definition: ChannelDefinition): string {
  return template(`redclaw-${definition.name}-out`, [
    accountRow(),
    row(
      "node-input-to",
      `${SHARED}form.to`,
      (attributes) =>
        `<input type="text" style="width:100%" ${attributes}>\n<input type="hidden" id="node-input-toType">`,
    ),
    nameRow("out"),
  ]);
}

function template(type: string, parts: string[]): string {
  return `<script type="text/html" data-template-name="${type}">
<div class="redclaw-form">
${parts.filter(Boolean).join("\n")}
</div>
</script>
`;
}

/** A label, a hint and an input. The texts are `<key>.label`, `.help` and `.placeholder`. */
function row(
  id: string,
  key: string,
  input: (attributes: string) => string,
  parts: { hint?: boolean; placeholder?: string | false; when?: string; name?: string } = {},
): string {
  const placeholder =
    parts.placeholder === false
      ? ""
      : parts.placeholder === undefined
        ? ` data-i18n="[placeholder]${key}.placeholder"`
        : ` placeholder="${escapeHtml(parts.placeholder)}"`;
  const hint =
    parts.hint === false ? "" : `<div class="redclaw-hint" id="${id}-hint" data-i18n="${key}.help"></div>\n`;
  const describedBy = hint ? ` aria-describedby="${id}-hint"` : "";
  return `<div class="form-row redclaw-row"${parts.when ?? ""}>
<label for="${id}" data-i18n="${key}.label"></label>
${hint}${input(`id="${id}"${describedBy}${placeholder}`)}
</div>`;
}

function textRow(id: string, key: string, placeholder?: string): string {
  return row(id, `${SHARED}form.${key}`, (attributes) => `<input type="text" ${attributes}>`, {
    placeholder,
  });
}

function nameRow(side: "in" | "out"): string {
  const id = "node-input-name";
  return `<div class="form-row redclaw-row">
<label for="${id}" data-i18n="${SHARED}form.name.label"></label>
<input type="text" id="${id}" data-i18n="[placeholder]label.${side}">
</div>`;
}

function accountRow(): string {
  return row(
    "node-input-account",
    `${SHARED}form.account`,
    (attributes) => `<input type="text" style="width:100%" ${attributes}>`,
    {
      hint: false,
      placeholder: false,
    },
  );
}

function fieldRow(field: Field, definition: ChannelDefinition): string {
  const { spec, name } = field;
  const id = CONFIG + name;
  const key = `field.${name}`;
  const when = whenAttribute(spec.when, definition);
  if (field.input === "checkbox") {
    const hint = spec.help
      ? `\n<div class="redclaw-hint" id="${id}-hint" data-i18n="${key}.help"></div>`
      : "";
    return `<div class="form-row redclaw-row"${when}>
<label class="redclaw-check"><input type="checkbox" id="${id}"${spec.help ? ` aria-describedby="${id}-hint"` : ""}> <span data-i18n="${key}.label"></span></label>${hint}
</div>`;
  }
  const control = (attributes: string): string => {
    if (field.input === "select") {
      const options = choicesOf(spec).map(
        ({ value }, index) =>
          `<option value="${escapeHtml(value)}" data-i18n="${key}.choice.${index}"></option>`,
      );
      return `<select ${attributes}>\n${options.join("\n")}\n</select>`;
    }
    if (field.input === "textarea") return `<textarea rows="4" ${attributes}></textarea>`;
    return `<input type="${field.input}" ${attributes}>`;
  };
  return row(id, key, control, {
    hint: Boolean(spec.help),
    placeholder: spec.placeholder && field.input !== "select" ? undefined : false,
    when,
  });
}

function onUnknownRow(): string {
  const options = ["hold", "resend"].map(
    (value) => `<option value="${value}" data-i18n="${SHARED}form.onUnknown.${value}"></option>`,
  );
  return row(
    `${CONFIG}onUnknown`,
    `${SHARED}form.onUnknown`,
    (attributes) => `<select ${attributes}>\n${options.join("\n")}\n</select>`,
    {
      placeholder: false,
    },
  );
}

/** The exact address to enter at the platform, or the address of the account's own page, with a copy button. */
function addressRow(kind: "webhook" | "page", when?: { option: string; values: string[] }): string {
  const condition = when
    ? ` data-redclaw-when="${escapeHtml(JSON.stringify({ [when.option]: when.values }))}"`
    : "";
  const id = `redclaw-${kind}-address`;
  const open =
    kind === "page"
      ? `<a class="red-ui-button" data-redclaw="open" target="_blank" rel="noopener" data-i18n="${SHARED}form.open"></a>`
      : "";
  return `<div class="form-row redclaw-row" data-redclaw="address"${condition}>
<label for="${id}" data-i18n="${SHARED}form.${kind}Address.label"></label>
<div class="redclaw-hint" id="${id}-hint" data-i18n="${SHARED}form.${kind}Address.help"></div>
<div class="redclaw-copy"><input type="text" readonly id="${id}" aria-describedby="${id}-hint"><button type="button" class="red-ui-button" data-redclaw="copy" data-i18n="${SHARED}form.copy"></button>${open}</div>
</div>`;
}

function testRow(): string {
  return `<div class="form-row redclaw-row redclaw-test">
<button type="button" class="red-ui-button" data-redclaw="test"><i class="fa fa-plug" aria-hidden="true"></i> <span data-i18n="${SHARED}form.test"></span></button>
<div class="redclaw-result" role="status" aria-live="polite"></div>
</div>`;
}

function whenAttribute(when: Field["spec"]["when"], definition: ChannelDefinition): string {
  if (!when) return "";
  for (const option of Object.keys(when)) {
    if (!(option in definition.options)) {
      throw new TypeError(
        `Channel ${definition.name}: "when" names the option "${option}", which it does not have.`,
      );
    }
  }
  return ` data-redclaw-when="${escapeHtml(JSON.stringify(when))}"`;
}

function limitsExample(definition: ChannelDefinition): string {
  const { perChat, perAccount } = definition.limits;
  return JSON.stringify(
    perChat || perAccount ? { perChat, perAccount } : { perChat: "1/s", perAccount: "30/s" },
  );
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
