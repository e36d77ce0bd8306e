/** Methods with a file's bytes, through grammY, which knows how Telegram wants them. Loaded with the first upload. */
import { Api, GrammyError, HttpError, InputFile } from "grammy";
import type { OpenedFile } from "../../../lib/channel/define";
import { ChannelError } from "../../../lib/errors";
import { notJson } from "../../../lib/http/faults";
import { type Line, type Method, readAnswer, type Said } from "./api";
import { faultOfPage } from "./faults";

/** `name` in a multipart header that grammY writes without quotes. */
const NAME_BREAKERS = /[";\\\p{Cc}]/gu;

/** Sends the file. Rejects with what went wrong on the way: ChannelError `aborted` or `timeout`, or of the network. */
export async function uploadFile(
  { token, apiRoot, fetch }: Line,
  method: Method,
  args: Record<string, unknown>,
  { field, file }: { field: string; file: OpenedFile },
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<Said> {
  if (signal?.aborted) throw ended("unreachable", "aborted");
  const limit = new AbortController();
  const end = (): void => limit.abort();
  const timer = setTimeout(end, withinMs);
  signal?.addEventListener("abort", end, { once: true });
  try {
    const { raw } = new Api(token, { apiRoot, fetch: plainFetch(fetch, apiRoot) });
    const call = raw[method] as unknown as (...args: unknown[]) => Promise<unknown>;
    const input = new InputFile(file.data, file.name.replace(NAME_BREAKERS, "_"));
    return { ok: true, result: await call({ ...args, [field]: input }, limit.signal) };
  } catch (error) {
    if (error instanceof GrammyError) {
      const { error_code, description, parameters } = error;
      return { ok: false, error_code, description, parameters };
    }
    if (limit.signal.aborted) throw ended("interrupted", signal?.aborted ? "aborted" : "timeout");
    throw error instanceof HttpError ? error.error : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

function ended(fault: "unreachable" | "interrupted", code: "aborted" | "timeout"): ChannelError {
  return new ChannelError(fault, "The upload was ended.", { code });
}

/**
 * grammY is written for node-fetch: its signal is of another class and its options name agents. This keeps what every
 * `fetch` knows, and reads answers that are no Bot API answers (a proxy's error page) as what they are.
 */
function plainFetch(fetch: typeof globalThis.fetch, apiRoot: string): typeof globalThis.fetch {
  return async (url, init) => {
    const controller = new AbortController();
    const signal = init?.signal;
    if (signal?.aborted) controller.abort();
    // Lives as long as the one call it was made for.
    else signal?.addEventListener("abort", () => controller.abort(), { once: true });
    const { "content-type": type = "application/json" } = (init?.headers ?? {}) as Record<string, string>;
    const request: RequestInit & { duplex: "half" } = {
      method: "POST",
      headers: { "content-type": type },
      signal: controller.signal,
      body: init?.body ?? null,
      duplex: "half",
    };
    const response = await fetch(url, request);
    const { status, headers } = response;
    const text = await response.text();
    const answer = readAnswer({ status, json: () => parsed(text, apiRoot, status) });
    if (answer === undefined)
      throw faultOfPage({ status, header: (name) => headers.get(name) ?? undefined }, apiRoot);
    return Response.json(answer);
  };
}

function parsed(text: string, apiRoot: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson(URL.canParse(apiRoot) ? new URL(apiRoot).host : "Telegram", status);
  }
}
