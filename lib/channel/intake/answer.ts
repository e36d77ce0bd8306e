/** Short plain answers to strangers. */
import type { IncomingMessage, ServerResponse } from "node:http";

/** How long, and how much of, a refused body is still taken off the wire and thrown away. */
const LINGER_MS = 1000;
const LINGER_BYTES = 4 * 1024 * 1024;

export function answer(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  if (response.headersSent) return;
  response.writeHead(status, { ...headersOf(text), ...headers });
  response.end(text);
}

/**
 * Answers a request whose body is not wanted, and closes the connection. Somebody who is still writing would not see
 * an answer on a connection that is cut at once, so what comes is swallowed for a moment; nothing of it is kept.
 */
export function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...headersOf(text), ...headers, Connection: "close" });
  if (request.complete) {
    response.end(text);
    return;
  }
  // The answer is whole with its length; `end` is what closes the connection.
  response.write(text);
  const end = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  let swallowed = 0;
  request.on("end", end).on("close", end).on("error", end);
  request.on("data", (chunk: Buffer) => {
    swallowed += chunk.length;
    if (swallowed > LINGER_BYTES) request.pause();
  });
  request.resume();
}

function headersOf(text: string): Record<string, string | number> {
  return { "Content-Type": "text/plain; charset=utf-8", "Content-Length": Buffer.byteLength(text) };
}
