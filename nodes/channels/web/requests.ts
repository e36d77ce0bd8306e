/** Reading requests and answering them: caps, JSON, and sentences that the page can show. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** A visitor who sends slower than this is cut off. */
const BODY_WITHIN_MS = 60_000;
const DRAIN_MS = 1_000;

/** An answer other than "done": `code` for the page, `sentence` for the person, `retryAfter` in seconds. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfter?: number;

  constructor(status: number, code: string, sentence: string, retryAfter?: number) {
    super(sentence);
    this.name = "Refusal";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** What a body parser in front of us may have left on the request (Express). */
interface ParsedRequest extends IncomingMessage {
  body?: unknown;
  _body?: boolean;
  rawBody?: unknown;
  originalUrl?: string;
}

/** The address as the client wrote it, also below an Express mount. */
export function originalUrl(request: IncomingMessage): string {
  return (request as ParsedRequest).originalUrl ?? request.url ?? "/";
}

export function queryOf(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams(originalUrl(request).split("?", 2)[1] ?? "");
}

/** Body as JSON object, from the parser in front of us or from the stream. */
export async function readJson(
  request: IncomingMessage,
  maxBytes: number,
  tooLong: () => Refusal,
): Promise<Record<string, unknown>> {
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
    throw new Refusal(415, "not-json", "Send this as application/json.");
  }
  const parsed = request as ParsedRequest;
  const value =
    wasParsed(parsed) && !Buffer.isBuffer(parsed.body)
      ? parsed.body
      : parseJson((await readBody(request, maxBytes, tooLong)).toString("utf8"));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(400, "malformed", "This is not a JSON object.");
  }
  return value as Record<string, unknown>;
}

/** Has a body parser in front of us read it already? That of Express 5 leaves no mark but the body. */
function wasParsed({ _body, body, readableEnded }: ParsedRequest): boolean {
  return _body === true || (readableEnded && body !== undefined);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, "malformed", "This is not valid JSON.");
  }
}

/** Raw bytes, at most `maxBytes`; more of them are never held in memory. */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  tooLong: () => Refusal,
): Promise<Buffer> {
  const { rawBody, body } = request as ParsedRequest;
  for (const read of [rawBody, body]) {
    if (!Buffer.isBuffer(read)) continue;
    if (read.length > maxBytes) throw tooLong();
    return read;
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLong();
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => request.destroy(), BODY_WITHIN_MS);
  try {
    // Leaving the loop must not end the connection: the answer still goes over it.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw tooLong();
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(value);
  response.writeHead(status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(text);
}

/** Answers a refusal, and any other failure as one that may be tried again. */
export function answerRefusal(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (refusal.retryAfter) response.setHeader("Retry-After", String(refusal.retryAfter));
  if (!request.complete) {
    // What is still on its way is thrown away for a moment, so that the answer arrives; then the connection ends.
    response.setHeader("Connection", "close");
    const timer = setTimeout(() => request.destroy(), DRAIN_MS);
    request.once("close", () => clearTimeout(timer));
    request.resume();
  }
  answerJson(response, refusal.status, {
    code: refusal.code,
    sentence: refusal.message,
    ...(refusal.retryAfter ? { retryAfter: refusal.retryAfter } : {}),
  });
}
