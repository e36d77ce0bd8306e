/** A server that speaks the OpenAI chat protocol, and can fail in every way that real ones do. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface ScriptedToolCall {
  name: string;
  arguments: object | string;
  id?: string;
}

/** How one request is answered. */
export type Step =
  /** An answer; `finish` is `stop` unless it says otherwise. */
  | { text: string; finish?: string; delayMs?: number; usage?: false; model?: string }
  | { toolCalls: ScriptedToolCall[] }
  | { status: number; error?: unknown; headers?: Record<string, string> }
  /** Never goes on: before the headers, or in the middle of the body. */
  | { stall: "headers" | "body" }
  /** The connection is cut: before the headers, or in the middle of the body. */
  | { cut: "headers" | "body" }
  /** This body, as it is, with status 200. */
  | { raw: string; type?: string };

export interface Asked {
  path: string;
  headers: IncomingMessage["headers"];
  /** Parsed body; empty for GET. */
  body: {
    model?: string;
    messages?: { role: string; content: string; tool_calls?: unknown; tool_call_id?: string }[];
    stream?: boolean;
    [field: string]: unknown;
  };
  /** Milliseconds since 1970. */
  at: number;
}

export class OpenAIServer {
  /** Every request, oldest first. */
  readonly journal: Asked[] = [];
  /** What `/models` lists. */
  models = ["test-model", "other-model"];
  /** When set, any other key is refused. */
  key?: string;
  readonly #script: Step[] = [];
  #otherwise: (asked: Asked) => Step = (asked) => ({ text: `echo: ${asked.body.messages?.at(-1)?.content}` });
  readonly #server: Server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });

  /** Address to give as base URL. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The next chat requests are answered so, in this order. */
  script(...steps: Step[]): void {
    this.#script.push(...steps);
  }

  /** Requests beyond the script are answered so. The default repeats the last message. */
  otherwise(answer: (asked: Asked) => Step): void {
    this.#otherwise = answer;
  }

  /** Chat requests, oldest first. */
  get chats(): Asked[] {
    return this.journal.filter((asked) => asked.path.endsWith("/chat/completions"));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = (request.url ?? "").split("?")[0] as string;
    const asked: Asked = { path, headers: request.headers, body: {}, at: Date.now() };
    if (chunks.length > 0) asked.body = JSON.parse(Buffer.concat(chunks).toString());
    this.journal.push(asked);
    const given = request.headers.authorization?.replace(/^Bearer /, "") ?? request.headers["api-key"];
    if (this.key !== undefined && given !== this.key) {
      // OpenAI repeats (a part of) the key in its answer, others all of it.
      const message = `Incorrect API key provided: ${given}. You can find your API key at https://example.com.`;
      return reply(response, 401, {
        error: { message, type: "invalid_request_error", code: "invalid_api_key" },
      });
    }
    if (path.endsWith("/api/tags"))
      return reply(response, 200, { models: this.models.map((name) => ({ name })) });
    if (path.endsWith("/models")) {
      const data = this.models.map((id) => ({ id, object: "model", created: 1, owned_by: "test" }));
      return reply(response, 200, { object: "list", data });
    }
    if (!path.endsWith("/chat/completions")) return reply(response, 404, "404 page not found");
    await play(this.#script.shift() ?? this.#otherwise(asked), asked, response);
  }
}

async function play(step: Step, asked: Asked, response: ServerResponse): Promise<void> {
  if ("status" in step)
    return reply(response, step.status, { error: step.error ?? { message: "scripted" } }, step.headers);
  if ("raw" in step) {
    response.writeHead(200, { "content-type": step.type ?? "application/json" }).end(step.raw);
    return;
  }
  if ("stall" in step || "cut" in step) {
    const where = "stall" in step ? step.stall : step.cut;
    if (where === "body") {
      response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
      response.write(
        '{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":"half an ans',
      );
      await sleep(20);
    }
    if ("cut" in step) response.socket?.resetAndDestroy();
    return;
  }
  if ("text" in step && step.delayMs) await sleep(step.delayMs);
  const body = answerOf(step, asked);
  if (!asked.body.stream) return reply(response, 200, body);
  response.writeHead(200, { "content-type": "text/event-stream" });
  const { message, finish_reason } = body.choices[0] as (typeof body.choices)[0];
  const chunk = (delta: object, finish: string | null) => {
    const choices = [{ index: 0, delta, finish_reason: finish }];
    return `data: ${JSON.stringify({ id: body.id, object: "chat.completion.chunk", created: 1, model: body.model, choices })}\n\n`;
  };
  response.write(chunk({ role: "assistant", content: "" }, null));
  for (const piece of message.content?.match(/[\s\S]{1,5}/gu) ?? [])
    response.write(chunk({ content: piece }, null));
  message.tool_calls?.forEach((call, index) => {
    response.write(chunk({ tool_calls: [{ index, ...call }] }, null));
  });
  response.end(`${chunk({}, finish_reason)}data: [DONE]\n\n`);
}

function answerOf(step: Extract<Step, { text: string } | { toolCalls: unknown }>, asked: Asked) {
  const text = "text" in step ? step : undefined;
  const calls = "toolCalls" in step ? step.toolCalls : undefined;
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: text?.model ?? asked.body.model,
    choices: [
      {
        index: 0,
        finish_reason: text?.finish ?? (calls ? "tool_calls" : "stop"),
        message: {
          role: "assistant",
          content: text?.text ?? null,
          ...(calls && {
            tool_calls: calls.map((call, index) => ({
              id: call.id ?? `call_${index}`,
              type: "function",
              function: {
                name: call.name,
                arguments:
                  typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments),
              },
            })),
          }),
        },
      },
    ],
    ...(text?.usage !== false && { usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } }),
  };
}

function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const type = typeof body === "string" ? "text/plain" : "application/json";
  response.writeHead(status, { "content-type": type, ...headers }).end(text);
}
