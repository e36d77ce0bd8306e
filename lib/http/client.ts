/**
 * The one HTTP client of the pack: `fetch` and the lean `request` over the same pooled keep-alive connections, with
 * limits on time and size, a guard against private addresses and errors that say whether the request may have
 * arrived. SDKs get it as their `fetch`.
 */
import type { LookupFunction } from "node:net";
import type { Dispatcher } from "undici";
import { ChannelError } from "../errors";
import { type Answer, exchange, type Question } from "./exchange";
import { clientClosed, givenUp, timedOut } from "./faults";
import { createPools, type Pools } from "./pool";
import { type Asked, takeLogin, toQuestion, toUrl } from "./question";
import { exchangeWhole, type HttpAnswer, type HttpRequest } from "./request";
import { toResponse } from "./response";
import { Running } from "./running";
import { Stop } from "./stop";

export interface HttpOptions {
  /**
   * Hosts that may be in a private network: all, or those a predicate names (it gets `URL.hostname`). Only for
   * addresses that a user entered in a form, never for those in a message. Default: none.
   */
  allowPrivate?: boolean | ((hostname: string) => boolean);
  /** Largest answer, decoded. Default 50 MB. */
  maxBytes?: number;
  /** From the call to the last byte of the answer. Default 10 min. */
  timeoutMs?: number;
  /** From the end of the request to the first byte of the answer, and between two pieces of it. Default 75 s. */
  headersTimeoutMs?: number;
}

export interface Http {
  /** As the global `fetch`. Rejects with ChannelError, or with the reason of the abort. */
  fetch: typeof globalThis.fetch;
  /** A `fetch` with other rules over the same connections: a slow model needs more time, a picture less room. */
  fetchWith(options: HttpOptions): typeof globalThis.fetch;
  /**
   * One call of an API, its whole answer: a third of what `fetch` costs. Same connections, guards and limits.
   * Rejects only with ChannelError: `unreachable` when nothing has left this machine (also after an abort),
   * `interrupted` when it may have arrived.
   */
  request(request: HttpRequest): Promise<HttpAnswer>;
  /** Ends every request and connection. */
  close(): Promise<void>;
}

/** Longer than any long poll. */
const HEADERS_TIMEOUT_MS = 75_000;
const TIMEOUT_MS = 600_000;
const MAX_BYTES = 50 * 1024 * 1024;
const MAX_REDIRECTS = 3;

/**
 * Makes a client. Nothing is loaded and no connection made before the first call.
 * @param lookup replaces the system's name resolution (tests)
 */
export function createHttp(options: HttpOptions = {}, lookup?: LookupFunction): Http {
  let pools: Pools | undefined;
  let closed = false;
  const running = new Running();

  function poolFor(guarded: boolean): Dispatcher {
    pools ??= createPools(lookup);
    return guarded ? pools.guarded : pools.open;
  }

  async function request(asked: HttpRequest): Promise<HttpAnswer> {
    if (closed) throw clientClosed(false);
    const { body, method = body === undefined ? "GET" : "POST", signal } = asked;
    const url = toUrl(asked.url);
    const headers: Record<string, string> = { accept: "*/*", "user-agent": "Redclaw", ...asked.headers };
    takeLogin(url, headers);
    const { origin } = url;
    const timeoutMs = asked.timeoutMs ?? options.timeoutMs ?? TIMEOUT_MS;
    const headersTimeoutMs = options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS;
    const stop = new Stop({
      signal,
      timeoutMs,
      running,
      onTime: (left) => timedOut({ origin, left }),
      onAbort: (cause, left) => givenUp({ origin, left }, cause),
    });
    try {
      const question = {
        url,
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        maxBytes: asked.maxBytes ?? options.maxBytes ?? MAX_BYTES,
        headersTimeoutMs: timeoutMs <= headersTimeoutMs ? 0 : headersTimeoutMs,
      };
      return await exchangeWhole(poolFor(!allowed(options, url.hostname)), question, stop);
    } finally {
      stop.release();
    }
  }

  function fetchWith(rules: HttpOptions): typeof globalThis.fetch {
    const limits = {
      maxBytes: rules.maxBytes ?? MAX_BYTES,
      headersTimeoutMs: rules.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    };

    async function fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
      if (closed) throw clientClosed(false);
      const asked = await toQuestion(input, init);
      const { origin } = asked.url;
      const stop = new Stop({
        signal: asked.signal,
        timeoutMs: rules.timeoutMs ?? TIMEOUT_MS,
        running,
        onTime: (left) => timedOut({ origin, left }),
      });
      try {
        return await follow(asked, stop);
      } catch (error) {
        stop.release();
        asked.dropBody();
        throw error;
      }
    }

    async function follow(asked: Asked, stop: Stop): Promise<Response> {
      let question: Question = asked;
      let guarded = false;
      for (let hop = 0; ; hop++) {
        // Once a strange server leads the way, it cannot lead into the private network.
        guarded ||= !allowed(rules, question.url.hostname);
        const isRedirect = (status: number): boolean =>
          asked.redirect !== "manual" && [301, 302, 303, 307, 308].includes(status);
        const answer = await exchange(poolFor(guarded), question, limits, stop, (status) => {
          if (status === undefined || !isRedirect(status)) stop.release();
        });
        const location = answer.headers.find(([name]) => name === "location")?.[1];
        if (!isRedirect(answer.status) || location === undefined) {
          if (isRedirect(answer.status)) stop.release();
          return toResponse(answer, question.method, question.url, hop > 0);
        }
        answer.body.discard();
        if (hop === MAX_REDIRECTS || asked.redirect === "error") {
          throw redirectRefused(
            "too-many-redirects",
            `${question.url.host} sends us on and on to other addresses. Check the address.`,
          );
        }
        question = redirected(question, answer, location);
      }
    }

    return fetch as typeof globalThis.fetch;
  }

  return {
    fetch: fetchWith(options),
    request,
    fetchWith: (rules) => fetchWith({ ...options, ...rules }),
    async close() {
      closed = true;
      for (const stop of running.all) stop.stop(clientClosed);
      await pools?.destroy();
    },
  };
}

/** May this host be in a private network? */
function allowed({ allowPrivate = false }: HttpOptions, hostname: string): boolean {
  return typeof allowPrivate === "function" ? allowPrivate(hostname) : allowPrivate;
}

/** The next request, by the rules of the fetch standard and stricter ones of ours. */
function redirected(from: Question, answer: Answer, location: string): Question {
  const url = toUrl(location, from.url);
  url.hash = "";
  if (from.url.protocol === "https:" && url.protocol === "http:") {
    throw redirectRefused(
      "redirect-downgrade",
      `${from.url.host} sends us on to an address without encryption, which Redclaw does not follow.`,
    );
  }
  const headers = { ...from.headers };
  if (url.username || url.password) {
    url.username = "";
    url.password = "";
  }
  if (url.origin !== from.url.origin) {
    for (const name of Object.keys(headers)) {
      if (/auth|cookie|token|secret|api-?key/.test(name)) delete headers[name];
    }
  }
  const toGet =
    (answer.status === 303 && from.method !== "HEAD") ||
    ([301, 302].includes(answer.status) && from.method === "POST");
  if (toGet) {
    for (const name of Object.keys(headers)) if (name.startsWith("content-")) delete headers[name];
    return { url, method: "GET", headers };
  }
  if (from.body !== undefined && typeof from.body !== "string" && !Buffer.isBuffer(from.body)) {
    throw redirectRefused(
      "redirect-body",
      `${from.url.host} sends us on to another address, but the file cannot be sent twice. Enter the final address.`,
    );
  }
  return { ...from, url, headers };
}

function redirectRefused(code: string, sentence: string): ChannelError {
  return new ChannelError("refused", sentence, { code });
}
