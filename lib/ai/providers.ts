/**
 * The model servers that Redclaw knows by name. All of them speak the OpenAI chat protocol; they differ in address,
 * key and default model. The form of `redclaw-model` shows the same table (a test keeps the two equal).
 */
export interface Provider {
  /** As the provider writes itself. */
  label: string;
  /** Address of the OpenAI-compatible API, without a slash at its end. Empty: the user must give one. */
  baseUrl: string;
  /** True when it does not work without a key. */
  needsKey: boolean;
  /** Page where a key is made. */
  keyUrl?: string;
  /** Used when no model is named, and shown as the example. Empty: the first one that the server lists. */
  model: string;
  /** Runs on the user's own machine or network. */
  local?: true;
  /** What to do when nothing listens at the address. */
  start?: string;
  /** Newer OpenAI models refuse `max_tokens`; most other servers know only that. */
  limitField?: "max_completion_tokens";
}

export type ProviderName = keyof typeof table;

const table = {
  auto: { label: "Automatic", baseUrl: "", needsKey: false, model: "" },
  demo: { label: "Demo model (built in)", baseUrl: "http://demo.invalid/v1", needsKey: false, model: "demo" },
  openai: {
    label: "OpenAI",
    baseUrl: "https://api.openai.com/v1",
    needsKey: true,
    keyUrl: "https://platform.openai.com/api-keys",
    model: "gpt-5-mini",
    limitField: "max_completion_tokens",
  },
  anthropic: {
    label: "Anthropic",
    baseUrl: "https://api.anthropic.com/v1",
    needsKey: true,
    keyUrl: "https://platform.claude.com/settings/keys",
    model: "claude-haiku-4-5",
  },
  gemini: {
    label: "Google Gemini",
    baseUrl: "https://generativelanguage.googleapis.com/v1beta/openai",
    needsKey: true,
    keyUrl: "https://aistudio.google.com/apikey",
    model: "gemini-flash-latest",
  },
  mistral: {
    label: "Mistral",
    baseUrl: "https://api.mistral.ai/v1",
    needsKey: true,
    keyUrl: "https://console.mistral.ai/api-keys",
    model: "mistral-small-latest",
  },
  groq: {
    label: "Groq",
    baseUrl: "https://api.groq.com/openai/v1",
    needsKey: true,
    keyUrl: "https://console.groq.com/keys",
    model: "openai/gpt-oss-20b",
  },
  deepseek: {
    label: "DeepSeek",
    baseUrl: "https://api.deepseek.com",
    needsKey: true,
    keyUrl: "https://platform.deepseek.com/api_keys",
    model: "deepseek-flash",
  },
  xai: {
    label: "xAI",
    baseUrl: "https://api.x.ai/v1",
    needsKey: true,
    keyUrl: "https://console.x.ai",
    model: "grok-4.3",
  },
  openrouter: {
    label: "OpenRouter",
    baseUrl: "https://openrouter.ai/api/v1",
    needsKey: true,
    keyUrl: "https://openrouter.ai/settings/keys",
    model: "openrouter/auto",
  },
  azure: {
    label: "Azure OpenAI",
    baseUrl: "",
    needsKey: true,
    keyUrl: "https://portal.azure.com",
    model: "",
    limitField: "max_completion_tokens",
  },
  ollama: {
    label: "Ollama",
    baseUrl: "http://127.0.0.1:11434/v1",
    needsKey: false,
    model: "",
    local: true,
    start: "Is Ollama running? Start it with `ollama serve`.",
  },
  lmstudio: {
    label: "LM Studio",
    baseUrl: "http://127.0.0.1:1234/v1",
    needsKey: false,
    model: "",
    local: true,
    start: "Is LM Studio's server running? Start it on its Developer tab, or with `lms server start`.",
  },
  llamacpp: {
    label: "llama.cpp",
    baseUrl: "http://127.0.0.1:8080/v1",
    needsKey: false,
    model: "",
    local: true,
    start: "Is llama.cpp running? Start it with `llama-server -m model.gguf`.",
  },
  vllm: {
    label: "vLLM",
    baseUrl: "http://127.0.0.1:8000/v1",
    needsKey: false,
    model: "",
    local: true,
    start: "Is vLLM running? Start it with `vllm serve MODEL`.",
  },
  localai: {
    label: "LocalAI",
    baseUrl: "http://127.0.0.1:8080/v1",
    needsKey: false,
    model: "",
    local: true,
    start: "Is LocalAI running? Start it with `local-ai run`.",
  },
  custom: { label: "Other (OpenAI-compatible)", baseUrl: "", needsKey: false, model: "" },
} as const satisfies Record<string, Provider>;

export const providers: Readonly<Record<ProviderName, Provider>> = table;

/** The provider by its saved name; one nobody knows is treated as a custom server. */
export function providerOf(name: string | undefined): { name: ProviderName; provider: Provider } {
  const known = name && Object.hasOwn(table, name) ? (name as ProviderName) : undefined;
  const chosen = known ?? (name ? "custom" : "auto");
  return { name: chosen, provider: providers[chosen] };
}
