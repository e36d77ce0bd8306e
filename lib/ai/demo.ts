/**
 * The embedded demo model: a `fetch` that answers the OpenAI protocol without a network, so that the same path is
 * used as with a real server. It serves `/models` and `/chat/completions` (also as a stream, also with tools).
 */
import { type DemoMessage, demoAnswer } from "./demo-answer";
import { chooseTool, type DemoTool, fillParameters } from "./demo-tools";
import { estimateTokens } from "./tokens";

export const DEMO_MODEL = "demo";

/** A `fetch` that answers by itself. `now` is the clock, for tests. */
export function demoFetch(now: () => Date = () => new Date()): typeof fetch {
  return async (input, init) => {
    const request = input instanceof Request ? input : undefined;
    const signal = init?.signal ?? request?.signal;
    signal?.throwIfAborted();
    const path = new URL(request?.url ?? String(input)).pathname;
    const seconds = Math.floor(now().getTime() / 1000);
    if (path.endsWith("/models")) {
      return json({
        object: "list",
        data: [{ id: DEMO_MODEL, object: "model", created: seconds, owned_by: "redclaw" }],
      });
    }
    if (!path.endsWith("/chat/completions"))
      return refuse(404, "The demo model serves /models and /chat/completions.");
    const body = parse(request ? await request.text() : init?.body);
    if (!body) return refuse(400, "The request is not JSON with a list of messages.");
    return answer(body, now(), seconds);
  };
}

interface Body {
  messages: Record<string, unknown>[];
  tools: DemoTool[];
  toolChoice: unknown;
  stream: boolean;
  usage: boolean;
  size: number;
}

function parse(text: unknown): Body | undefined {
  try {
    const body = JSON.parse(String(text));
    if (!Array.isArray(body.messages) || body.messages.length === 0) return undefined;
    const offered: { function?: Partial<DemoTool> }[] = Array.isArray(body.tools) ? body.tools : [];
    return {
      messages: body.messages,
      tools: offered.map(({ function: tool }) => ({
        name: String(tool?.name ?? ""),
        description: String(tool?.description ?? ""),
        parameters: tool?.parameters ?? {},
      })),
      toolChoice: body.tool_choice,
      stream: body.stream === true,
      usage: body.stream_options?.include_usage === true,
      size: estimateTokens(JSON.stringify(body.messages)),
    };
  } catch {
    return undefined;
  }
}

function answer(body: Body, now: Date, seconds: number): Response {
  const messages = body.messages.map(plain);
  const call = toolCall(body, messages);
  const content = call ? null : demoAnswer(messages, now);
  const completionTokens = estimateTokens(content ?? JSON.stringify(call));
  const head = { id: `chatcmpl-demo-${seconds}`, created: seconds, model: DEMO_MODEL };
  const usage = {
    prompt_tokens: body.size,
    completion_tokens: completionTokens,
    total_tokens: body.size + completionTokens,
  };
  const finish = call ? "tool_calls" : "stop";
  if (!body.stream) {
    const message = { role: "assistant", content, refusal: null, ...(call && { tool_calls: [call] }) };
    return json({
      ...head,
      object: "chat.completion",
      choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
      usage,
    });
  }
  const deltas: object[] = [{ role: "assistant", content: "" }];
  if (call) deltas.push({ tool_calls: [{ index: 0, ...call }] });
  else for (const word of content?.match(/\S+\s*|\s+/g) ?? []) deltas.push({ content: word });
  const chunk = (choices: object[], extra?: object) => ({
    ...head,
    object: "chat.completion.chunk",
    choices,
    ...extra,
  });
  const chunks = deltas.map((delta) => chunk([{ index: 0, delta, finish_reason: null }]));
  chunks.push(chunk([{ index: 0, delta: {}, finish_reason: finish }]));
  if (body.usage) chunks.push(chunk([], { usage }));
  const lines = [...chunks.map((each) => JSON.stringify(each)), "[DONE]"].map((data) => `data: ${data}\n\n`);
  const stream = new ReadableStream({
    start(controller) {
      for (const line of lines) controller.enqueue(new TextEncoder().encode(line));
      controller.close();
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

/** A tool is called at most once for what the person said: after its result there is an answer. */
function toolCall(body: Body, messages: readonly DemoMessage[]): object | undefined {
  const last = messages.at(-1);
  if (last?.role !== "user" || body.tools.length === 0 || body.toolChoice === "none") return undefined;
  const forced = (body.toolChoice as { function?: { name?: string } } | undefined)?.function?.name;
  const tool = forced
    ? body.tools.find((each) => each.name === forced)
    : (chooseTool(last.content, body.tools) ?? (body.toolChoice === "required" ? body.tools[0] : undefined));
  if (!tool) return undefined;
  const asked = messages.filter((message) => message.role === "user").length;
  return {
    id: `call_demo_${asked}`,
    type: "function",
    function: { name: tool.name, arguments: JSON.stringify(fillParameters(last.content, tool)) },
  };
}

/** Content is a string, or a list of parts of which the texts count. */
function plain(message: Record<string, unknown>): DemoMessage {
  const { role, content } = message;
  const parts = Array.isArray(content)
    ? content.map((part) => (typeof part?.text === "string" ? part.text : ""))
    : [];
  const text = typeof content === "string" ? content : parts.join("\n");
  const known = role === "assistant" || role === "tool" || role === "user" ? role : "system";
  return { role: known, content: text };
}

function json(body: object, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

function refuse(status: number, message: string): Response {
  return json({ error: { message, type: "invalid_request_error", param: null, code: null } }, status);
}
