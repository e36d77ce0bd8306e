/**
 * The automatic choice of a model: OpenAI when `OPENAI_API_KEY` is set, else an Ollama server on this machine, else
 * the embedded demo model. Looked up again at every turn, so that starting Ollama later just works.
 */
import { DEMO_MODEL } from "./demo";
import type { ProviderName } from "./providers";

export interface Choice {
  provider: ProviderName;
  baseUrl?: string;
  model?: string;
  apiKey?: string;
}

export interface AutoOptions {
  env: Readonly<Record<string, string | undefined>>;
  fetch: typeof fetch;
  now: () => number;
}

const PROBE_MS = 300;
const FOUND_FOR_MS = 30_000;
const ABSENT_FOR_MS = 5_000;

/** Finds the model that answers. One for each `auto` model; it remembers the last look at Ollama for a while. */
export class AutoChoice {
  readonly #options: AutoOptions;
  #probe?: { until: number; model: Promise<string | undefined> };

  constructor(options: AutoOptions) {
    this.#options = options;
  }

  async choose(): Promise<Choice> {
    const { env } = this.#options;
    const apiKey = env["OPENAI_API_KEY"]?.trim();
    if (apiKey) {
      const choice: Choice = { provider: "openai", apiKey };
      const baseUrl = env["OPENAI_BASE_URL"]?.trim();
      if (baseUrl) choice.baseUrl = baseUrl;
      const model = env["OPENAI_MODEL"]?.trim();
      if (model) choice.model = model;
      return choice;
    }
    const model = await this.#ollama();
    if (model) return { provider: "ollama", baseUrl: `${ollamaHost(env["OLLAMA_HOST"])}/v1`, model };
    return { provider: "demo", model: DEMO_MODEL };
  }

  /** The chosen server did not answer: look again at the next turn. */
  forget(): void {
    this.#probe = undefined;
  }

  #ollama(): Promise<string | undefined> {
    const { now } = this.#options;
    if (!this.#probe || now() >= this.#probe.until) {
      const probe = { until: Number.POSITIVE_INFINITY, model: this.#look() };
      this.#probe = probe;
      probe.model.then((model) => {
        probe.until = now() + (model ? FOUND_FOR_MS : ABSENT_FOR_MS);
      });
    }
    return this.#probe.model;
  }

  /** Never rejects: no answer in time means that there is no Ollama. */
  async #look(): Promise<string | undefined> {
    const { env, fetch } = this.#options;
    const host = ollamaHost(env["OLLAMA_HOST"]);
    const signal = AbortSignal.timeout(PROBE_MS);
    const ask = async (path: string): Promise<{ name?: unknown; id?: unknown }[]> => {
      const response = await fetch(`${host}${path}`, { signal });
      const body = response.ok ? await response.json() : await response.body?.cancel();
      const list = body?.models ?? body?.data;
      return Array.isArray(list) ? list : [];
    };
    try {
      const listed = await ask("/api/tags");
      const models = listed.length > 0 ? listed : await ask("/v1/models");
      return firstChatModel(models.map((model) => String(model.name ?? model.id ?? "")));
    } catch {
      return undefined;
    }
  }
}

/** The first model that can chat: embedding models cannot. */
export function firstChatModel(names: readonly string[]): string | undefined {
  const chat = names.filter(
    (name) => name !== "" && !/embed|whisper|tts|dall-e|moderation|rerank|bge-/i.test(name),
  );
  return chat[0] ?? names.find((name) => name !== "");
}

/** Ollama's own variable: `host`, `host:port`, `:port`, or an address. 0.0.0.0 means: on this machine. */
export function ollamaHost(variable: string | undefined): string {
  const text = variable?.trim().replace(/\/+$/, "");
  if (!text) return "http://127.0.0.1:11434";
  try {
    const url = new URL(
      /^https?:\/\//i.test(text) ? text : `http://${text.startsWith(":") ? "127.0.0.1" : ""}${text}`,
    );
    if (url.hostname === "0.0.0.0" || url.hostname === "[::]") url.hostname = "127.0.0.1";
    const port = url.port || /:\d+$/.test(text) || url.protocol === "https:" ? "" : ":11434";
    return `${url.protocol}//${url.host}${port}${url.pathname.replace(/\/+$/, "")}`;
  } catch {
    return "http://127.0.0.1:11434";
  }
}
