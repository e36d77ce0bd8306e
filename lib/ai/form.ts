/** What the buttons of the model's form ask for; works with values that were not saved yet. */
import { asError, RedclawError } from "../errors";
import { openModel } from "./model";
import type { ModelSettings } from "./types";

export type TestResult = { ok: true; sentence: string } | { ok: false; code: string; sentence: string };
export type ListResult = { ok: true; models: string[] } | { ok: false; code: string; sentence: string };

/** *Test*: asks the model for one word. */
export async function testModel(settings: ModelSettings, signal?: AbortSignal): Promise<TestResult> {
  return openModel(settings)
    .test(signal)
    .then((sentence) => ({ ok: true as const, sentence }), failure);
}

/** The models that the server offers, for the field's list. */
export async function listModels(settings: ModelSettings, signal?: AbortSignal): Promise<ListResult> {
  return openModel(settings)
    .listModels(signal)
    .then((models) => ({ ok: true as const, models: models.sort() }), failure);
}

function failure(thrown: unknown): { ok: false; code: string; sentence: string } {
  const code = thrown instanceof RedclawError ? thrown.code : "model-unreachable";
  return { ok: false, code, sentence: asError(thrown).message };
}
