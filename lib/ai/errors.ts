/**
 * What can go wrong with a model, as sentences with the next step. Nothing of the SDK's own errors is passed on:
 * servers like to repeat the key in them.
 */
import { ChannelError, RedclawError } from "../errors";
import { redact } from "../http/redact";
import type { Provider } from "./providers";

export type ModelErrorCode =
  | "model-key-refused"
  | "model-not-found"
  | "model-unreachable"
  | "model-rate-limited"
  | "model-timeout"
  | "model-refused"
  | "model-context-too-long"
  | "model-bad-answer";

export class ModelError extends RedclawError {
  declare readonly code: ModelErrorCode;
  /** A few words for the node's status, for example `no connection to 127.0.0.1:11434`. */
  readonly short: string;
  /** True when the same request may succeed a little later. */
  readonly retryable: boolean;
  /** Milliseconds to wait, when the server says so. */
  readonly retryAfterMs?: number;
  constructor(
    code: ModelErrorCode,
    sentence: string,
    options: { short: string; retryable?: boolean; retryAfterMs?: number },
  ) {
    super(code, sentence);
    this.name = "ModelError";
    this.short = options.short;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Who was asked: what a sentence may say about it, and what it must never say. */
export interface Asked {
  provider: Provider;
  baseUrl: string;
  model?: string;
  /** The key and other values that must not appear in a text. */
  secrets: readonly string[];
}

/** Host and port of the server, without a user name or password that somebody put into the address. */
export function hostOf(baseUrl: string): string {
  try {
    return new URL(baseUrl).host;
  } catch {
    return "the address in the model's settings";
  }
}

/** Any error thrown while a model was asked. Errors of ours pass through. */
export function toModelError(thrown: unknown, asked: Asked): ModelError {
  if (thrown instanceof ModelError) return thrown;
  const status = read(thrown, "status");
  if (typeof status === "number") return fromStatus(status, thrown, asked);
  return fromConnection(thrown, asked);
}

function fromStatus(status: number, thrown: unknown, asked: Asked): ModelError {
  const { label } = asked.provider;
  const said = whatServerSaid(thrown, asked.secrets);
  const words = `${read(thrown, "code") ?? ""} ${read(thrown, "type") ?? ""} ${said}`;
  if (status === 401 || status === 403) {
    const where = asked.provider.keyUrl ? ` Copy it again from ${asked.provider.keyUrl}.` : " Check the key.";
    return new ModelError("model-key-refused", `${label} refused this key.${where}`, {
      short: "key refused",
    });
  }
  if (status === 429 && /insufficient_quota|billing|credit/i.test(words)) {
    return new ModelError(
      "model-rate-limited",
      `${label} says that there is no credit left. Add credit to the account.`,
      {
        short: "no credit left",
      },
    );
  }
  if (status === 429) {
    const retryAfterMs = retryAfter(read(thrown, "headers"));
    const when = retryAfterMs === undefined ? "in a minute" : `in ${Math.ceil(retryAfterMs / 1000)} s`;
    return new ModelError(
      "model-rate-limited",
      `${label} has too many requests from this key. Try again ${when}.`,
      {
        short: "too fast",
        retryable: true,
        retryAfterMs,
      },
    );
  }
  const tooLong =
    /context_length|context length|context window|maximum context|too many tokens|prompt is too long/i;
  if (status === 413 || ((status === 400 || status === 422) && tooLong.test(words))) {
    return new ModelError(
      "model-context-too-long",
      `The conversation is too long for the model ${asked.model ?? ""}. Let the ai node remember fewer messages.`,
      { short: "chat too long" },
    );
  }
  if (status === 404) {
    const aboutModel = /model/i.test(words) || said === "";
    const pull =
      asked.provider.label === "Ollama" && asked.model ? ` Get it with \`ollama pull ${asked.model}\`.` : "";
    return new ModelError(
      "model-not-found",
      aboutModel && asked.model
        ? `${label} has no model called "${asked.model}".${pull || " Choose one from the list in the model's settings."}`
        : `${hostOf(asked.baseUrl)} has no models at this address. The base URL usually ends in /v1.`,
      { short: "model not found" },
    );
  }
  if (status === 408 || status === 409 || status >= 500) {
    return new ModelError(
      "model-unreachable",
      `${label} could not answer just now (${status}${said ? `: ${said}` : ""}). Try again in a minute.`,
      { short: `server error ${status}`, retryable: true, retryAfterMs: retryAfter(read(thrown, "headers")) },
    );
  }
  return new ModelError(
    "model-refused",
    `${label} refused the request (${status}${said ? `: ${said}` : ""}). Check the model's settings.`,
    { short: `refused (${status})` },
  );
}

/** Faults of the network that have a better next step than "try again": their own sentence says it. */
const plainFaults = [
  "dns",
  "tls",
  "bad-request",
  "private-address",
  "too-large",
  "too-many-redirects",
  "redirect-downgrade",
];

function fromConnection(thrown: unknown, asked: Asked): ModelError {
  const host = hostOf(asked.baseUrl);
  const chain = causes(thrown);
  const fault = chain.find((cause) => cause instanceof ChannelError);
  if (fault && plainFaults.includes(fault.code)) {
    return new ModelError("model-unreachable", redact(fault.message, asked.secrets), {
      short: fault.code === "dns" ? `no server named ${host}` : `no connection to ${host}`,
      // A name that cannot be looked up just now may be there in a second.
      retryable: fault.code === "dns",
    });
  }
  if (fault?.code === "not-json" || chain.some((cause) => cause instanceof SyntaxError))
    return badAnswer(asked);
  const next = asked.provider.start ?? "Check the base URL and the network.";
  return new ModelError("model-unreachable", `No connection to ${host}. ${next}`, {
    short: `no connection to ${host}`,
    retryable: true,
  });
}

/** The server answered, but not in a form that we understand. */
export function badAnswer(asked: Asked): ModelError {
  return new ModelError(
    "model-bad-answer",
    `${hostOf(asked.baseUrl)} answered, but not like a model server. The base URL usually ends in /v1.`,
    { short: "answer not readable" },
  );
}

/** The server's own words, short, on one line and without secrets. */
function whatServerSaid(thrown: unknown, secrets: readonly string[]): string {
  const body = read(thrown, "error");
  const said = typeof body === "string" ? body : (read(body, "message") ?? read(body, "detail"));
  if (typeof said !== "string") return "";
  // An HTML page of a proxy is no sentence.
  if (/<[a-z!][^>]*>/i.test(said)) return "";
  const line = redact(said, secrets)
    .replace(/\b(sk|gsk|xai|key)-[\w-]{6,}[\w*.-]*/gi, "***")
    .replace(/\s+/g, " ")
    .trim();
  return line.length > 200
    ? `${line.slice(0, 199).replace(/[\uD800-\uDBFF]$/, "")}…`
    : line.replace(/\.$/, "");
}

/** Milliseconds from `retry-after-ms` or `retry-after` (seconds or a date). */
function retryAfter(headers: unknown): number | undefined {
  if (!(headers instanceof Headers)) return undefined;
  const ms = Number.parseFloat(headers.get("retry-after-ms") ?? "");
  if (ms >= 0) return ms;
  const value = headers.get("retry-after");
  if (!value) return undefined;
  const seconds = Number(value);
  const wait = Number.isNaN(seconds) ? Date.parse(value) - Date.now() : seconds * 1000;
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

function causes(thrown: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let at = thrown; at && chain.length < 8; at = read(at, "cause")) chain.push(at);
  return chain;
}

function read(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
