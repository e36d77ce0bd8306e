/** Calls of the Bot API through grammY, with our own HTTP, time limits and errors. */
import { Api, GrammyError, HttpError, type InputFile, type RawApi } from "grammy";
import { ChannelError } from "../../../lib/errors";
import { faultOfAnswer, faultOfNetwork, faultOfPage } from "./faults";

export type Method = keyof RawApi & string;
export type Result<M extends Method> = Awaited<ReturnType<RawApi[M]>>;

interface CallOptions {
  /** Milliseconds. */
  withinMs: number;
  signal?: AbortSignal;
}

/** One bot's line to Telegram (or to a server of one's own). Throws only ChannelError, with no secret in it. */
export class BotApi {
  readonly #api: Api;
  readonly #secrets: readonly string[];
  readonly #signal?: AbortSignal;

  /** `signal` ends every call that has none of its own; `secrets` never stand in an error. */
  constructor(options: {
    token: string;
    apiRoot: string;
    secrets: readonly string[];
    fetch: typeof fetch;
    signal?: AbortSignal;
  }) {
    this.#secrets = options.secrets;
    this.#signal = options.signal;
    this.#api = new Api(options.token, {
      apiRoot: options.apiRoot,
      fetch: plainFetch(options.fetch, options.apiRoot),
    });
  }

  async call<M extends Method>(
    method: M,
    args: Record<string, unknown | InputFile>,
    options: CallOptions,
  ): Promise<Result<M>> {
    const limit = new AbortController();
    const end = () => limit.abort();
    const timer = setTimeout(end, options.withinMs);
    // A call with a signal of its own (a message on its way) may finish while the account closes.
    const signal = options.signal ?? this.#signal;
    const signals = signal ? [signal] : [];
    for (const one of signals) one.addEventListener("abort", end, { once: true });
    try {
      if (signals.some(({ aborted }) => aborted)) {
        throw new ChannelError("unreachable", "The account is closing, so nothing was sent to Telegram.", {
          code: "closing",
        });
      }
      // grammY's getMe takes no arguments, only the signal.
      const call = this.#api.raw[method] as unknown as (...args: unknown[]) => Promise<Result<M>>;
      return await (method === "getMe" ? call(limit.signal) : call(args, limit.signal));
    } catch (error) {
      if (error instanceof GrammyError) throw faultOfAnswer(error, this.#secrets);
      if (limit.signal.aborted) {
        throw new ChannelError(
          "interrupted",
          "Telegram did not answer in time, so it may or may not have done it.",
          {
            code: signals.some(({ aborted }) => aborted) ? "closing" : "timeout",
          },
        );
      }
      throw faultOfNetwork(error instanceof HttpError ? error.error : error, this.#secrets);
    } finally {
      clearTimeout(timer);
      for (const one of signals) one.removeEventListener("abort", end);
    }
  }
}

/**
 * grammY is written for node-fetch: its signal is of another class and its options name agents. This keeps what every
 * `fetch` knows, and reads answers that are no Bot API answers (a proxy's error page) as what they are.
 */
function plainFetch(fetch: typeof globalThis.fetch, apiRoot: string): typeof globalThis.fetch {
  return async (url, init) => {
    const body = init?.body;
    const controller = new AbortController();
    const signal = init?.signal;
    if (signal?.aborted) controller.abort();
    // Lives as long as the one call it was made for.
    else signal?.addEventListener("abort", () => controller.abort(), { once: true });
    const contentType =
      (init?.headers as Record<string, string> | undefined)?.["content-type"] ?? "application/json";
    const request: RequestInit & { duplex?: "half" } = {
      method: "POST",
      headers: { "content-type": contentType },
      signal: controller.signal,
      ...(body === undefined ? {} : { body }),
      ...(typeof body === "string" ? {} : { duplex: "half" }),
    };
    const response = await fetch(url, request);
    if (response.ok) return response;
    const answer = readAnswer(await response.text());
    if (answer === undefined) throw faultOfPage(response.status, apiRoot);
    return Response.json(answer);
  };
}

function readAnswer(text: string): unknown {
  try {
    const answer: unknown = JSON.parse(text);
    const isAnswer =
      typeof answer === "object" &&
      answer !== null &&
      "error_code" in answer &&
      typeof answer.error_code === "number";
    if (!isAnswer) return undefined;
    // A stranger's server may leave the words out.
    return { ok: false, description: "no reason given", ...answer };
  } catch {
    return undefined;
  }
}
