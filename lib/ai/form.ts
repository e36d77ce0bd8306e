/** What the buttons of the model's form ask for; works with values that were not saved yet. */
import { asError, RedclawError } from "../errors";
import { openModel } from "./model";
import { type ModelForm, modelSettings } from "./settings";
import type { ModelSettings } from "./types";

export type TestResult = { ok: true; sentence: string } | { ok: false; code: string; sentence: string };
export type ListResult = { ok: true; models: string[] } | { ok: false; code: string; sentence: string };

/** Fields of the form, the key among them, and the `fetch` that may reach the local network. */
export type FormValues = ModelForm & { apiKey?: string; fetch?: typeof fetch };

/** The editor waits half a minute for an answer. */
const TEST_TIMEOUT_MS = 25_000;

/** *Test*: asks the model for one word. */
export async function testModel(form: FormValues, signal?: AbortSignal): Promise<TestResult> {
  const settings = settingsOf(form);
  const timeoutMs = Math.min(settings.timeoutMs ?? TEST_TIMEOUT_MS, TEST_TIMEOUT_MS);
  return openModel({ ...settings, timeoutMs })
    .test(signal)
    .then((sentence) => ({ ok: true as const, sentence }), failure);
}

/** The models that the server offers, for the field's list. */
export async function listModels(form: FormValues, signal?: AbortSignal): Promise<ListResult> {
  return openModel(settingsOf(form))
    .listModels(signal)
    .then((models) => ({ ok: true as const, models: models.sort() }), failure);
}

function settingsOf({ apiKey, fetch, ...form }: FormValues): ModelSettings {
  return modelSettings(form, { ...(apiKey && { apiKey }), ...(fetch && { fetch }) });
}

function failure(thrown: unknown): { ok: false; code: string; sentence: string } {
  const code = thrown instanceof RedclawError ? thrown.code : "model-unreachable";
  return { ok: false, code, sentence: asError(thrown).message };
}
