/**
 * A model that answers conversations: any server that speaks the OpenAI chat protocol, through the `openai` package,
 * which is loaded when the first answer is asked for.
 */
import type OpenAI from "openai";
import { AutoChoice, firstChatModel } from "./auto";
import { demoFetch } from "./demo";
import { badAnswer, hostOf, ModelError, toModelError } from "./errors";
import { type ProviderName, providerOf, providers } from "./providers";
import { withRetry } from "./retry";
import type { ChatMessage, CompleteOptions, Completion, ModelSettings } from "./types";
import { readAnswer, type Server, toWire } from "./wire";

export interface Model {
  /** Asks for the next message of a conversation. Rejects with ModelError, or with the signal's reason. */
  complete(messages: readonly ChatMessage[], options?: CompleteOptions): Promise<Completion>;
  /** Names of the models that the server offers. */
  listModels(signal?: AbortSignal): Promise<string[]>;
  /** Asks for a short answer; one sentence about how it went. */
  test(signal?: AbortSignal): Promise<string>;
  /** Which model would answer now: a label for a status, and a sentence. */
  describe(): Promise<{ provider: ProviderName; label: string; sentence: string }>;
}

interface Place extends Server {
  apiKey: string;
  fetch: typeof fetch;
}

const TIMEOUT_MS = 60_000;
const LIST_TIMEOUT_MS = 10_000;
const RETRIES = 2;

/** Opens a model. Nothing is loaded or asked before the first call. */
export function openModel(settings: ModelSettings): Model {
  return new OpenModel(settings);
}

class OpenModel implements Model {
  readonly #settings: ModelSettings;
  readonly #auto?: AutoChoice;
  #client?: { for: string; client: OpenAI };
  #firstListed?: { for: string; model: string };

  constructor(settings: ModelSettings) {
    this.#settings = settings;
    if (providerOf(settings.provider).name === "auto") {
      this.#auto = new AutoChoice({
        env: settings.env ?? process.env,
        fetch: settings.fetch ?? fetch,
        now: () => performance.now(),
      });
    }
  }

  async complete(messages: readonly ChatMessage[], options: CompleteOptions = {}): Promise<Completion> {
    const server = await this.#server();
    return this.#within(this.#settings.timeoutMs ?? TIMEOUT_MS, server, options, async (signal) => {
      const asked = { ...server, model: await this.#modelOf(server, signal) };
      return this.#ask(asked, messages, options, signal);
    });
  }

  async listModels(signal?: AbortSignal): Promise<string[]> {
    const server = await this.#server();
    return this.#within(LIST_TIMEOUT_MS, server, { signal }, (limit) => this.#list(server, limit));
  }

  async test(signal?: AbortSignal): Promise<string> {
    const start = performance.now();
    const completion = await this.complete([{ role: "user", content: "Answer with one word: ready" }], {
      signal,
    });
    if (completion.provider === "demo") {
      return "The built-in demo model answers. Set OPENAI_API_KEY, start Ollama, or choose a provider for a real one.";
    }
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const { provider } = await this.#server();
    return `${provider.label} answered with ${completion.model} in ${seconds} s.`;
  }

  async describe(): Promise<{ provider: ProviderName; label: string; sentence: string }> {
    const server = await this.#server();
    if (server.name === "demo") {
      const sentence = "demo model - set OPENAI_API_KEY or start Ollama for a real one";
      return { provider: "demo", label: "demo model", sentence };
    }
    const label = server.model || server.provider.model || server.provider.label;
    return {
      provider: server.name,
      label,
      sentence: `${label} (${server.provider.label}, ${hostOf(server.baseUrl)})`,
    };
  }

  /** Where to ask, as settings (or the automatic choice) say. */
  async #server(): Promise<Place> {
    const { headers, fetch: given = fetch, env = process.env } = this.#settings;
    const chosen = (await this.#auto?.choose()) ?? this.#settings;
    const { name, provider: known } = providerOf(chosen.provider);
    const apiKey = chosen.apiKey?.trim() ?? "";
    const typed = name === "demo" ? "" : (chosen.baseUrl?.trim() ?? "");
    // The variable OPENAI_BASE_URL is taken to the letter, as OpenAI's own tools do.
    const baseUrl = this.#auto ? typed || known.baseUrl : toBaseUrl(typed, name) || known.baseUrl;
    // A server without a name of its own goes by its address.
    const provider = name === "custom" && baseUrl ? { ...known, label: hostOf(baseUrl) } : known;
    const server = {
      name,
      provider,
      apiKey,
      baseUrl,
      model: chosen.model?.trim() ?? "",
      secrets: [apiKey, ...Object.values(headers ?? {}), env["OPENAI_API_KEY"] ?? ""].filter(
        (value) => value.length > 3,
      ),
      fetch: name === "demo" ? demoFetch() : given,
    };
    if (provider.needsKey && !apiKey) {
      throw new ModelError(
        "model-key-refused",
        `${provider.label} needs a key. Get one at ${provider.keyUrl} and put it into the model's settings.`,
        {
          short: "key missing",
        },
      );
    }
    if (!baseUrl) {
      const example =
        name === "azure" ? "https://my-resource.openai.azure.com" : "http://192.168.1.20:8080/v1";
      throw new ModelError("model-unreachable", `The model needs a base URL. It looks like ${example}.`, {
        short: "base URL missing",
      });
    }
    if (!/^https?:/i.test(baseUrl) || !URL.canParse(baseUrl)) {
      throw new ModelError(
        "model-unreachable",
        "The base URL is not an address. It looks like http://192.168.1.20:11434/v1.",
        {
          short: "base URL not valid",
        },
      );
    }
    return server;
  }

  async #modelOf(server: Place, signal: AbortSignal): Promise<string> {
    if (server.model) return server.model;
    const ownServer = server.baseUrl !== server.provider.baseUrl;
    if (!ownServer && server.provider.model) return server.provider.model;
    const place = `${server.baseUrl} ${server.apiKey}`;
    if (this.#firstListed?.for === place) return this.#firstListed.model;
    let model: string | undefined;
    try {
      model = firstChatModel(await this.#list(server, signal));
    } catch (error) {
      // Some gateways list nothing but serve the usual name.
      if (!server.provider.model || !(error instanceof ModelError) || error.code === "model-key-refused")
        throw error;
    }
    model ??= server.provider.model;
    if (!model) {
      const hint =
        server.name === "ollama"
          ? "Get one with `ollama pull llama3.2`."
          : "Load one, or name one in the model's settings.";
      throw new ModelError("model-not-found", `${server.provider.label} has no model yet. ${hint}`, {
        short: "no model",
      });
    }
    this.#firstListed = { for: place, model };
    return model;
  }

  async #list(server: Place, signal: AbortSignal): Promise<string[]> {
    const client = await this.#openai(server);
    const page = await client.models.list({ signal }).catch((error: unknown) => {
      throw toModelError(error, server);
    });
    if (!Array.isArray(page.data)) throw badAnswer(server);
    return page.data
      .map((model) => model?.id)
      .filter((id) => typeof id === "string" && id !== "")
      .map((id) => id.replace(/^models\//, ""));
  }

  async #ask(
    server: Place,
    messages: readonly ChatMessage[],
    options: CompleteOptions,
    signal: AbortSignal,
  ): Promise<Completion> {
    const client = await this.#openai(server);
    const { temperature, maxTokens, timeoutMs = TIMEOUT_MS } = this.#settings;
    const request: OpenAI.Chat.ChatCompletionCreateParamsNonStreaming = {
      model: server.model,
      messages: messages.map(toWire),
      ...(temperature !== undefined && { temperature }),
      ...(maxTokens !== undefined && { [server.provider.limitField ?? "max_tokens"]: maxTokens }),
      ...(options.tools?.length && {
        tools: options.tools.map((tool) => ({ type: "function" as const, function: { ...tool } })),
      }),
    };
    const attempt = async () => {
      try {
        return readAnswer(await client.chat.completions.create(request, { signal }), server, messages);
      } catch (error) {
        throw signal.aborted ? signal.reason : toModelError(error, server);
      }
    };
    const now = () => performance.now();
    return withRetry(attempt, {
      retries: RETRIES,
      deadline: now() + timeoutMs,
      now,
      signal,
      onRetry: options.onRetry,
    });
  }

  /** Runs `work` with a time limit; a caller's abort rejects with its own reason. */
  async #within<T>(
    limitMs: number,
    server: Place,
    options: { signal?: AbortSignal },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    options.signal?.throwIfAborted();
    const limit = new AbortController();
    const stop = () => limit.abort(options.signal?.reason);
    options.signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(() => {
      const seconds = Math.max(1, Math.round(limitMs / 1000));
      const slow = server.provider.local ? " A local model may need longer to load: raise the timeout." : "";
      limit.abort(
        new ModelError(
          "model-timeout",
          `${server.provider.label} did not answer within ${seconds} s.${slow || " Try again."}`,
          {
            short: `no answer in ${seconds} s`,
          },
        ),
      );
    }, limitMs);
    const aborted = new Promise<never>((_, reject) => {
      limit.signal.addEventListener("abort", () => reject(limit.signal.reason), { once: true });
    });
    try {
      return await Promise.race([work(limit.signal), aborted]);
    } catch (error) {
      if (error instanceof ModelError && /unreachable|timeout|not-found/.test(error.code)) {
        this.#auto?.forget();
        this.#firstListed = undefined;
      }
      throw error;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", stop);
    }
  }

  async #openai(server: Place): Promise<OpenAI> {
    const place = `${server.baseUrl} ${server.apiKey}`;
    if (this.#client?.for === place) return this.#client.client;
    // Loaded here and not above: it takes 30 MB, and only who asks a model needs it.
    const { OpenAI: Client } = require("openai") as typeof import("openai");
    const azure = server.name === "azure";
    const version = azure ? new URL(server.baseUrl).searchParams.get("api-version") : null;
    const client = new Client({
      baseURL: server.baseUrl.replace(/\?.*$/, ""),
      apiKey: server.apiKey || "none",
      // Never the variables of another account (OPENAI_ORG_ID ...) for a server that is not OpenAI.
      ...(server.name !== "openai" && { organization: null, project: null }),
      adminAPIKey: null,
      webhookSecret: null,
      fetch: server.fetch,
      maxRetries: 0,
      timeout: 24 * 3_600_000,
      logLevel: "off",
      defaultHeaders: {
        ...(azure && { "api-key": server.apiKey }),
        ...((azure || !server.apiKey) && { Authorization: null }),
        ...this.#settings.headers,
      },
      ...(version && { defaultQuery: { "api-version": version } }),
    });
    this.#client = { for: place, client };
    return client;
  }
}

/** What a person types, made whole: a bare host gets the usual path. */
function toBaseUrl(typed: string, name: ProviderName): string {
  const url = typed.replace(/\/+$/, "").replace(/\/chat\/completions$/, "");
  const bare = /^https?:\/\/[^/?#]+$/i.test(url);
  if (!bare || url === providers[name].baseUrl) return url;
  // Azure's v1 API lives below the resource's address.
  return name === "azure" ? `${url}/openai/v1` : `${url}/v1`;
}
