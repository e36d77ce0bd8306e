/** Between our messages and those of the OpenAI chat protocol. */
import type OpenAI from "openai";
import { withoutThinking } from "./answer-text";
import { type Asked, badAnswer, ModelError } from "./errors";
import type { ProviderName } from "./providers";
import { estimateTokens } from "./tokens";
import type { ChatMessage, Completion } from "./types";

/** The server that is asked, with its name in the table of providers. */
export interface Server extends Asked {
  name: ProviderName;
  model: string;
}

export function toWire(message: ChatMessage): OpenAI.Chat.ChatCompletionMessageParam {
  // A lone surrogate or a NUL is refused by some servers.
  const content = message.content.replace(/\p{Surrogate}/gu, "\uFFFD").replaceAll("\0", "");
  if (message.role === "tool") return { role: "tool", content, tool_call_id: message.toolCallId };
  if (message.role !== "assistant" || !message.toolCalls?.length)
    return { role: message.role as "user", content };
  return {
    role: "assistant",
    content,
    tool_calls: message.toolCalls.map((call) => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    })),
  };
}

/** The first choice of an answer; whatever is not an answer becomes a ModelError. */
export function readAnswer(
  answer: OpenAI.Chat.ChatCompletion,
  server: Server,
  messages: readonly ChatMessage[],
): Completion {
  const choice = Array.isArray(answer?.choices) ? answer.choices[0] : undefined;
  const message = choice?.message;
  if (!choice || typeof message !== "object" || message === null) throw badAnswer(server);
  const said = typeof message.content === "string" ? message.content : "";
  const toolCalls = (Array.isArray(message.tool_calls) ? message.tool_calls : []).flatMap((call, index) =>
    call?.type === "custom" || typeof call?.function?.name !== "string"
      ? []
      : [
          {
            id: call.id || `call_${index}`,
            name: call.function.name,
            arguments: String(call.function.arguments ?? "{}"),
          },
        ],
  );
  const text = withoutThinking(said) || (typeof message.refusal === "string" ? message.refusal : "");
  const finish = choice.finish_reason ?? "stop";
  if (text === "" && toolCalls.length === 0) throw emptyAnswer(finish, said, server);
  const written = messages.map((each) => each.content).join("");
  return {
    text,
    toolCalls,
    usage: {
      inputTokens: answer.usage?.prompt_tokens ?? estimateTokens(written),
      outputTokens: answer.usage?.completion_tokens ?? estimateTokens(said),
    },
    provider: server.name,
    model:
      server.name === "demo" || typeof answer.model !== "string" || answer.model === ""
        ? server.model
        : answer.model,
    finish,
  };
}

function emptyAnswer(finish: string, said: string, server: Server): ModelError {
  const { label } = server.provider;
  if (finish === "content_filter") {
    return new ModelError(
      "model-refused",
      `${label} declined to answer this (content filter). Ask in other words.`,
      {
        short: "declined to answer",
      },
    );
  }
  if (finish === "length" || said !== "") {
    return new ModelError(
      "model-bad-answer",
      "The model used up its whole answer for thinking. Raise the longest answer in the model's settings, or choose another model.",
      { short: "only thoughts, no answer" },
    );
  }
  return new ModelError(
    "model-bad-answer",
    `${label} sent an empty answer. Try again, or choose another model.`,
    {
      short: "empty answer",
    },
  );
}
