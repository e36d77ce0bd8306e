/** One turn: the question with what was said before goes to the model, tools are run, the answer is remembered. */
import { asError } from "../errors";
import type { History } from "./history";
import type { Model } from "./model";
import { cutToTokens } from "./tokens";
import type { ChatMessage, CompleteOptions, ToolCall, ToolDefinition, Usage } from "./types";

/** Something that the model may do. */
export interface Tool extends ToolDefinition {
  /** Gets what the model asked with; its text is the result. A rejection is told to the model. */
  run(input: Record<string, unknown>, signal: AbortSignal): Promise<string>;
}

export interface TurnRequest {
  model: Model;
  history: History;
  conversation: string;
  instructions: string;
  text: string;
  tools?: readonly Tool[];
  signal: AbortSignal;
  onRetry?: CompleteOptions["onRetry"];
}

export interface Answer {
  text: string;
  provider: string;
  model: string;
  usage: Usage;
  durationMs: number;
}

/** A model that keeps calling tools is stopped here: the last round has none to offer. */
const MOST_ROUNDS = 5;
/** Longest question, in estimated tokens: a pasted file of megabytes is cut, and the model is told. */
const LONGEST_QUESTION = 32_000;

/** Takes a turn. Rejects with a ModelError, or with the signal's reason; then nothing is remembered. */
export async function takeTurn(request: TurnRequest): Promise<Answer> {
  const { model, history, conversation, instructions, tools = [], signal, onRetry } = request;
  const start = performance.now();
  const usage: Usage = { inputTokens: 0, outputTokens: 0 };
  const turn: ChatMessage[] = [{ role: "user", content: cutToTokens(request.text, LONGEST_QUESTION) }];
  const before = await history.read(conversation);
  const system: ChatMessage[] = instructions.trim() === "" ? [] : [{ role: "system", content: instructions }];
  for (let round = 1; ; round++) {
    const offered = round < MOST_ROUNDS ? tools : [];
    const completion = await model.complete([...system, ...before, ...turn], {
      tools: offered,
      signal,
      onRetry,
    });
    usage.inputTokens += completion.usage.inputTokens;
    usage.outputTokens += completion.usage.outputTokens;
    const calls = offered.length > 0 ? completion.toolCalls : [];
    turn.push({ role: "assistant", content: completion.text, ...(calls.length > 0 && { toolCalls: calls }) });
    if (calls.length === 0) {
      await history.add(conversation, turn);
      const { text, provider, model: name } = completion;
      return { text, provider, model: name, usage, durationMs: Math.round(performance.now() - start) };
    }
    for (const call of calls)
      turn.push({ role: "tool", toolCallId: call.id, content: await resultOf(call, tools, signal) });
  }
}

async function resultOf(call: ToolCall, tools: readonly Tool[], signal: AbortSignal): Promise<string> {
  const tool = tools.find((each) => each.name === call.name);
  if (!tool) return `There is no tool called ${call.name}.`;
  try {
    const input: unknown = JSON.parse(call.arguments || "{}");
    if (typeof input !== "object" || input === null || Array.isArray(input))
      return "The arguments must be a JSON object.";
    return await tool.run(input as Record<string, unknown>, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    return `The tool failed: ${asError(thrown).message}`;
  }
}
