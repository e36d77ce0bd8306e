/** The form of `redclaw-model`: which fields count for the chosen provider, and the list of models to choose from. */
import { type ProviderName, providerOf } from "../../lib/ai/providers";
import type { EditorNode, Query, Search } from "../editor/red";

interface Form {
  element: HTMLElement;
  value(field: string): unknown;
}

/** What the forms of all node sets share; `nodes/editor/index.ts`. */
declare const Redclaw: {
  openForm(node: EditorNode): Form;
  wireTest(form: Form, request: () => { url: string; body: object }): void;
};

const PREFIX = "node-config-input-";
const FIELDS = ["provider", "baseUrl", "model", "apiKey", "timeout", "temperature", "maxTokens", "headers"];
const LIST_FRESH_MS = 30_000;
const TYPING_PAUSE_MS = 200;

/** `oneditprepare`. */
function open(node: EditorNode): void {
  const form = Redclaw.openForm(node);
  const request = (action: "test" | "list") => ({
    url: `redclaw/api/models/${encodeURIComponent(node.id)}/${action}`,
    body: Object.fromEntries(FIELDS.map((field) => [field, form.value(field)])),
  });
  Redclaw.wireTest(form, () => request("test"));
  offerModels(form, () => request("list"));

  // Address and model of one provider mean nothing to another: each keeps its own while the form is open.
  const typed = new Map<string, { baseUrl: string; model: string }>();
  let before = String(form.value("provider") ?? "auto");
  show(form, node);
  input("provider").on("change", () => {
    const provider = String(form.value("provider"));
    if (provider !== before) {
      typed.set(before, { baseUrl: String(form.value("baseUrl")), model: String(form.value("model")) });
      const kept = typed.get(provider) ?? { baseUrl: "", model: "" };
      for (const field of ["baseUrl", "model"] as const) {
        const element = input(field)[0] as HTMLInputElement;
        element.value = kept[field];
        element.dispatchEvent(new Event("change", { bubbles: true }));
      }
      before = provider;
      // What was found out about the other one.
      form.element.querySelector(".redclaw-result")?.replaceChildren();
    }
    show(form, node);
  });
}

/** Rows, hints and examples for the chosen provider. */
function show({ element, value }: Form, node: EditorNode): void {
  const { name, provider } = providerOf(String(value("provider") ?? ""));
  const asks = name !== "auto" && name !== "demo";
  const row = (field: string) =>
    document.getElementById(`${PREFIX}${field}`)?.closest<HTMLElement>(".form-row");
  const toggle = (field: string, there: boolean) => row(field)?.classList.toggle("redclaw-hidden", !there);
  toggle("apiKey", asks);
  toggle("model", asks);
  toggle(
    "baseUrl",
    asks && (!provider.needsKey || name === "azure" || String(value("baseUrl") ?? "") !== ""),
  );
  element.querySelector("details")?.classList.toggle("redclaw-hidden", name === "demo");
  hint(element, "provider", name === "auto" || name === "demo" ? node._(`field.provider.${name}`) : "");
  hint(
    element,
    "apiKey",
    provider.needsKey
      ? node._("field.apiKey.get", { url: provider.keyUrl })
      : node._("field.apiKey.optional"),
  );
  hint(
    element,
    "baseUrl",
    node._(`field.baseUrl.${name === "azure" ? "azure" : provider.baseUrl ? "usual" : "custom"}`),
  );
  hint(
    element,
    "model",
    node._(`field.model.${name === "azure" ? "azure" : provider.model ? "usual" : "first"}`, {
      model: provider.model,
    }),
  );
  input("baseUrl").prop("placeholder", exampleAddress(name));
  input("model").prop("placeholder", provider.model || (name === "ollama" ? "llama3.2" : "my-model"));
}

function exampleAddress(name: ProviderName): string {
  if (name === "azure") return "https://my-resource.openai.azure.com";
  return providerOf(name).provider.baseUrl || "http://192.168.1.20:8080/v1";
}

/** Texts of ours with an address of ours: links are made, nothing else is markup. */
function hint(form: HTMLElement, field: string, text: string): void {
  const element = form.querySelector<HTMLElement>(`#${PREFIX}${field}-hint`);
  if (!element) return;
  element.replaceChildren();
  for (const part of text.split(/(https?:\/\/[^\s,]+[^\s,.])/)) {
    if (!/^https?:/.test(part)) {
      element.append(part);
      continue;
    }
    const link = document.createElement("a");
    link.href = part;
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = part;
    element.append(link);
  }
}

/** Offers the server's models while typing; without an answer the name can still be typed. */
function offerModels(form: Form, request: () => { url: string; body: object }): void {
  let listed: { for: string; at: number; models: string[] } | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const list = (then: (models: string[]) => void) => {
    const { url, body } = request();
    const data = JSON.stringify(body);
    const place = JSON.stringify(
      ["provider", "baseUrl", "apiKey", "headers"].map((field) => form.value(field)),
    );
    if (listed?.for === place && Date.now() - listed.at < LIST_FRESH_MS) return then(listed.models);
    $.ajax({
      url,
      type: "POST",
      contentType: "application/json",
      dataType: "json",
      data,
      timeout: 15_000,
    }).then(
      (answer) => {
        const { models } = answer as { models?: string[] };
        listed = { for: place, at: Date.now(), models: models ?? [] };
        then(listed.models);
      },
      () => then([]),
    );
  };
  const search: Search = (text, done) => {
    clearTimeout(timer);
    timer = setTimeout(
      () => list((models) => done(best(text, models).map((value) => ({ value, label: value })))),
      TYPING_PAUSE_MS,
    );
  };
  const field = input("model") as Query & { autoComplete(options: object): void };
  field.autoComplete({ search, minLength: 0 });
  // The list opens with the empty field, not only with the first letter.
  field.on("focus", () => {
    const element = field[0] as HTMLInputElement;
    if (element.value === "")
      element.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true, key: "ArrowDown" }));
  });
}

/** The Tab key takes the first of the list, so what was typed in full stands first. */
function best(text: string, models: readonly string[]): string[] {
  const typed = text.trim().toLowerCase();
  const rank = (model: string) => (model === typed ? 0 : model.startsWith(typed) ? 1 : 2);
  return models
    .filter((model) => model.toLowerCase().includes(typed))
    .sort((a, b) => rank(a.toLowerCase()) - rank(b.toLowerCase()))
    .slice(0, 100);
}

function input(field: string): Query {
  return $(`#${PREFIX}${field}`);
}

/** Validators: `true`, or the sentence below the field. */
function checkAddress(node: EditorNode, value: unknown): true | string {
  const text = String(value ?? "").trim();
  const { name, provider } = providerOf(String(formOr(node, "provider") ?? ""));
  if (/\$\{\w+\}/.test(text) || name === "auto" || name === "demo") return true;
  if (text === "") return provider.baseUrl === "" ? node._("field.baseUrl.missing") : true;
  return /^https?:\/\/[^\s/]/i.test(text) && URL.canParse(text) ? true : node._("field.baseUrl.mismatch");
}

/** A key that is needed. Without an open form it is not known whether one is saved. */
function checkKey(node: EditorNode, value: unknown): true | string {
  const { provider } = providerOf(String(formOr(node, "provider") ?? ""));
  const inForm = input("apiKey").length > 0;
  return provider.needsKey && inForm && !String(value ?? "").trim() ? node._("field.apiKey.missing") : true;
}

function formOr(node: EditorNode, field: string): unknown {
  const element = input(field);
  return element.length > 0 && element.val() ? element.val() : node[field];
}

Object.assign(window, { RedclawModel: { open, checkAddress, checkKey } });
