/** What every form of Redclaw does: hints with links, secrets that say "saved", sentences below wrong fields, folds. */
import { matches } from "./checks";
import type { EditorNode } from "./red";
import { word } from "./words";

export interface Form {
  element: HTMLElement;
  /** `node-input-` or `node-config-input-`. */
  prefix: string;
  /** Value of a field as it stands in the form. */
  value(field: string): unknown;
}

type Check = (this: EditorNode, value: unknown, options: object) => unknown;

/** Call it first in `oneditprepare`: it makes the form of `node` ready and answers it. */
export function openForm(node: EditorNode): Form {
  const prefix = node._def.category === "config" ? "node-config-input-" : "node-input-";
  // The form that was opened last: a config form may lie above the form of a node of ours.
  const element = [...document.querySelectorAll<HTMLElement>(".redclaw-form")].at(-1) as HTMLElement;
  const form: Form = { element, prefix, value: (field) => readField(prefix, field) };
  fillDefaults(node, prefix);
  if (node._def.credentials) fillCredentials(node);
  showHints(element);
  showSaved(form, node);
  showWhen(form);
  showErrors(form, node);
  openFold(form, node);
  return form;
}

function readField(prefix: string, field: string): unknown {
  const input = $(`#${prefix}${field}`);
  const element = input[0];
  if (!element) return undefined;
  return element instanceof HTMLInputElement && element.type === "checkbox" ? element.checked : input.val();
}

/** A flow that was not made in the editor may lack properties: it shows the defaults, and looking changes nothing. */
function fillDefaults(node: EditorNode, prefix: string): void {
  for (const [name, { value }] of Object.entries(node._def.defaults)) {
    if (node[name] !== undefined) continue;
    node[name] = structuredClone(value);
    const input = $(`#${prefix}${name}`);
    if (input.length === 0) continue;
    if (typeof value === "boolean") input.prop("checked", value);
    else if (typeof value !== "object") input.val(value);
  }
}

/** Node-RED takes an empty field for a change when it does not know that there is no such credential. */
function fillCredentials(node: EditorNode): void {
  node.credentials ??= {};
  for (const [name, { type }] of Object.entries(node._def.credentials ?? {})) {
    if (type === "password") node.credentials[`has_${name}`] ??= Boolean(node.credentials[name]);
    else node.credentials[name] ??= "";
  }
}

/** Hints are Markdown. Node-RED fills texts in after `oneditprepare`, and as plain text: here they are filled in before. */
function showHints(element: HTMLElement): void {
  for (const hint of element.querySelectorAll<HTMLElement>(".redclaw-hint[data-i18n]")) {
    hint.innerHTML = RED.utils.renderMarkdown(RED._(hint.dataset["i18n"] ?? ""));
    delete hint.dataset["i18n"];
    for (const link of hint.querySelectorAll("a")) {
      link.target = "_blank";
      link.rel = "noopener";
    }
  }
}

/** Node-RED fills a stored secret as `__PWRD__`: eight dots that look like a very short token. */
function showSaved(form: Form, node: EditorNode): void {
  for (const [name, { type }] of Object.entries(node._def.credentials ?? {})) {
    const input = document.getElementById(form.prefix + name);
    if (type !== "password" || !(input instanceof HTMLInputElement)) continue;
    const holder = document.createElement("div");
    holder.className = "redclaw-secret";
    input.replaceWith(holder);
    const saved = document.createElement("span");
    saved.className = "redclaw-saved";
    saved.textContent = word("form.saved");
    holder.append(input, saved);
    input.autocomplete = "new-password";
    const show = () => saved.classList.toggle("redclaw-hidden", input.value !== "__PWRD__");
    show();
    input.addEventListener("input", show);
    // The first key replaces the dots as a whole.
    input.addEventListener("focus", () => input.value === "__PWRD__" && input.select());
  }
}

/** Fields that only count for a choice are there only with that choice. */
function showWhen({ element, prefix, value }: Form): void {
  const rows = [...element.querySelectorAll<HTMLElement>("[data-redclaw-when]")];
  const conditions = rows.map(
    (row) => JSON.parse(row.dataset["redclawWhen"] ?? "{}") as Record<string, string[]>,
  );
  const show = () => {
    rows.forEach((row, index) => {
      row.classList.toggle(
        "redclaw-hidden",
        !matches(conditions[index] ?? {}, (option) => String(value(option) ?? "")),
      );
    });
  };
  for (const option of new Set(conditions.flatMap((condition) => Object.keys(condition)))) {
    $(`#${prefix}${option}`).on("change", show);
  }
  show();
}

/** The sentence of a field's validator, below the field: at once for what is wrong, when it was touched for what is empty. */
function showErrors({ element, prefix, value }: Form, node: EditorNode): void {
  const touched = new Set<string>();
  const checks = { ...node._def.defaults, ...node._def.credentials } as Record<string, { validate?: Check }>;
  const all = Object.entries(checks).flatMap(([name, { validate }]) => {
    const input = document.getElementById(prefix + name);
    const row = input?.closest<HTMLElement>(".form-row");
    if (!validate || !input || !row) return [];
    const sentence = document.createElement("div");
    sentence.className = "redclaw-error";
    sentence.id = `${prefix}${name}-error`;
    row.append(sentence);
    return [{ name, validate, sentence, row }];
  });
  const show = () => {
    for (const { name, validate, sentence } of all) {
      const current = value(name);
      const answer = validate.call(node, current, {});
      const empty = current === "" || current === "_ADD_" || current === undefined || current === null;
      const shown = typeof answer === "string" && (!empty || touched.has(name));
      sentence.textContent = shown ? answer : "";
      const input = document.getElementById(prefix + name);
      if (shown) input?.setAttribute("aria-errormessage", sentence.id);
      input?.setAttribute("aria-invalid", String(shown));
    }
  };
  element.addEventListener("focusout", (event) => {
    const id = (event.target as HTMLElement).id;
    if (id.startsWith(prefix)) touched.add(id.slice(prefix.length));
    show();
  });
  element.addEventListener("input", show);
  for (const { name } of all) $(`#${prefix}${name}`).on("change", show);
  show();
}

/** The fold stands open when something in it is wrong or was changed. */
function openFold({ element, prefix, value }: Form, node: EditorNode): void {
  for (const fold of element.querySelectorAll<HTMLDetailsElement>("details.redclaw-more")) {
    const changed = Object.entries(node._def.defaults).some(([name, { value: standard }]) => {
      const input = document.getElementById(prefix + name);
      return (
        name !== "name" &&
        input &&
        fold.contains(input) &&
        String(value(name) ?? "") !== String(standard ?? "")
      );
    });
    const wrong = [...fold.querySelectorAll(".redclaw-error")].some((sentence) => sentence.textContent);
    fold.open = changed || wrong;
  }
}
