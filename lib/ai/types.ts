/** What goes into a model and what comes out, independent of the package that carries it. */
import type { ModelError } from "./errors";
import type { ProviderName } from "./providers";

export interface ModelSettings {
  /** Name in the table of providers; `auto` when empty. */
  provider?: string;
  /** Empty: the provider's own address. */
  baseUrl?: string;
  /** Empty: the provider's usual model, or the first that the server lists. */
  model?: string;
  apiKey?: string;
  /** For everything that belongs to one answer, retries included. Default 60 000. */
  timeoutMs?: number;
  temperature?: number;
  /** Longest answer. */
  maxTokens?: number;
  /** Further headers for every request. */
  headers?: Record<string, string>;
  /** Must be allowed to reach the local network. */
  fetch?: typeof fetch;
  env?: Readonly<Record<string, string | undefined>>;
}

export interface ToolCall {
  id: string;
  name: string;
  /** JSON, as the model wrote it. */
  arguments: string;
}

export type ChatMessage =
  | { role: "system" | "user"; content: string }
  | { role: "assistant"; content: string; toolCalls?: ToolCall[] }
  | { role: "tool"; content: string; toolCallId: string };

export interface ToolDefinition {
  name: string;
  description: string;
  /** JSON Schema of an object. */
  parameters: Record<string, unknown>;
}

export interface CompleteOptions {
  tools?: readonly ToolDefinition[];
  signal?: AbortSignal;
  /** Called before a wait, so that it can be shown. */
  onRetry?: (error: ModelError, waitMs: number) => void;
}

export interface Usage {
  inputTokens: number;
  outputTokens: number;
}

export interface Completion {
  /** Markdown; empty only when there are tool calls. */
  text: string;
  toolCalls: ToolCall[];
  usage: Usage;
  provider: ProviderName;
  /** Name of the model that answered. */
  model: string;
  finish: string;
}
