/** What a caller gave to `fetch`, in the few forms that we send. */
import type { Readable } from "node:stream";
import { ChannelError, RedclawError } from "../errors";
import type { Question } from "./exchange";
import type { Signal } from "./stop";

export interface Asked extends Question {
  redirect: "follow" | "manual" | "error";
  signal?: Signal;
  /** Lets go of a body that is not going to be read. */
  dropBody(): void;
}

type Body = Question["body"];
type HeaderSource = Iterable<readonly [string, string]> | Record<string, unknown>;

/** Headers that belong to the connection, which is ours. */
const OURS = ["connection", "keep-alive", "transfer-encoding", "upgrade", "host", "expect", "te"];

/** Reads the arguments of `fetch`. Throws ChannelError `bad-address` for what is no http(s) address. */
export async function toQuestion(input: RequestInfo | URL, init: RequestInit = {}): Promise<Asked> {
  const request = typeof input === "object" && !(input instanceof URL) ? input : undefined;
  const url = toUrl(request ? request.url : String(input));
  const given = init.body ?? request?.body ?? undefined;
  const { body, type } = await toBody(given);
  const headers = toHeaders((init.headers ?? request?.headers ?? {}) as HeaderSource);
  if (typeof body === "string" || Buffer.isBuffer(body)) delete headers["content-length"];
  if (type) headers["content-type"] ??= type;
  headers["accept"] ??= "*/*";
  headers["user-agent"] ??= "Redclaw";
  takeLogin(url, headers);
  url.hash = "";
  return {
    url,
    method: (init.method ?? request?.method ?? "GET").toUpperCase(),
    headers,
    body,
    redirect: init.redirect ?? request?.redirect ?? "follow",
    signal: (init.signal ?? request?.signal ?? undefined) as Signal | undefined,
    dropBody: () => drop(given),
  };
}

/** Moves the name and password of an address into a header: cameras and routers are often addressed like this. */
export function takeLogin(url: URL, headers: Record<string, string>): void {
  if (!url.username && !url.password) return;
  const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  headers["authorization"] ??= `Basic ${Buffer.from(login).toString("base64")}`;
  url.username = "";
  url.password = "";
}

/** An address, also one relative to `base`. The text itself is not repeated in the error: it may hold a token. */
export function toUrl(address: string | URL, base?: URL): URL {
  const url = URL.parse(String(address), base);
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new ChannelError("refused", "This is not a web address. It must begin with https:// or http://.", {
    code: "bad-address",
  });
}

function toHeaders(source: HeaderSource): Record<string, string> {
  const headers: Record<string, string> = {};
  const entries =
    Symbol.iterator in source ? (source as Iterable<readonly [string, string]>) : Object.entries(source);
  for (const [name, value] of entries) {
    const key = String(name).toLowerCase();
    if (value === undefined || value === null || OURS.includes(key)) continue;
    headers[key] = key in headers ? `${headers[key]}, ${value}` : String(value);
  }
  return headers;
}

/** The body as we send it, and the content type that goes with it. */
async function toBody(given: unknown): Promise<{ body?: Body; type?: string }> {
  if (given === undefined || given === null) return {};
  if (typeof given === "string") return { body: given, type: "text/plain;charset=UTF-8" };
  if (Buffer.isBuffer(given)) return { body: given };
  if (ArrayBuffer.isView(given))
    return { body: Buffer.from(given.buffer, given.byteOffset, given.byteLength) };
  if (given instanceof ArrayBuffer) return { body: Buffer.from(given) };
  if (given instanceof URLSearchParams) {
    return { body: String(given), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  const tag = Object.prototype.toString.call(given);
  if (tag === "[object FormData]" || tag === "[object Blob]" || tag === "[object File]") {
    // As a whole: many servers do not take an upload without a length.
    const form = new Response(given as BodyInit);
    return {
      body: Buffer.from(await form.arrayBuffer()),
      type: form.headers.get("content-type") ?? undefined,
    };
  }
  if (typeof given === "object" && Symbol.asyncIterator in given) {
    return { body: readable(given as AsyncIterable<Uint8Array | string>) };
  }
  return { body: String(given), type: "text/plain;charset=UTF-8" };
}

/** Passes a stream on; names its own failure, which would look like a cut connection otherwise. */
async function* readable(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  } catch (cause) {
    if (cause instanceof RedclawError) throw cause;
    throw new ChannelError("interrupted", "The file could not be read while it was being sent.", {
      code: "body-failed",
      cause,
    });
  }
}

function drop(given: unknown): void {
  const stream = given as Partial<Readable & ReadableStream> | undefined;
  if (typeof stream !== "object" || stream === null) return;
  if (typeof stream.destroy === "function") stream.destroy();
  else if (typeof stream.cancel === "function" && !stream.locked) stream.cancel().catch(() => {});
}
