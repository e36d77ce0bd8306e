/** A model that thinks for a while and then repeats the question, in the OpenAI chat protocol. */
import type { ServerResponse } from "node:http";

export function answerAsModel(body: string, response: ServerResponse, delayMs: number): void {
  const { messages = [], stream = false } = JSON.parse(body) as {
    messages?: { content: unknown }[];
    stream?: boolean;
  };
  const content = String(messages.at(-1)?.content ?? "");
  setTimeout(() => {
    if (response.destroyed) return;
    if (stream) streamAnswer(content, response);
    else wholeAnswer(content, response);
  }, delayMs);
}

function wholeAnswer(content: string, response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "application/json" }).end(
    JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model: "bench",
      choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content } }],
      usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
    }),
  );
}

function streamAnswer(content: string, response: ServerResponse): void {
  const piece = (delta: object, finish_reason: string | null) =>
    `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "bench", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.end(`${piece({ role: "assistant", content }, null)}${piece({}, "stop")}data: [DONE]\n\n`);
}
