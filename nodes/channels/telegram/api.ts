/** Calls of the Bot API over our own HTTP, with time limits and errors that delivery can act on. */
import type { RawApi } from "grammy";
import type { ConnectContext, OpenedFile } from "../../../lib/channel/define";
import { ChannelError } from "../../../lib/errors";
import type { HttpAnswer } from "../../../lib/http/request";
import { type ApiAnswer, faultOfAnswer, faultOfNetwork, faultOfPage } from "./faults";
import { Slowed } from "./slowed";
import { isRecord } from "./untrusted";

export type Method = keyof RawApi & string;
export type Result<M extends Method> = Awaited<ReturnType<RawApi[M]>>;

interface CallOptions {
  /** Milliseconds. */
  withinMs: number;
  signal?: AbortSignal;
}

export interface Line {
  token: string;
  apiRoot: string;
  /** They never stand in an error. */
  secrets: readonly string[];
  request: ConnectContext["request"];
  /** Only for uploads. */
  fetch: typeof fetch;
  /** Ends every call that has none of its own: a message on its way may finish while the account closes. */
  signal?: AbortSignal;
}

const JSON_HEADERS = { "content-type": "application/json" };

/** One bot's line to Telegram (or to a server of one's own). Throws only ChannelError, with no secret in it. */
export class BotApi {
  readonly #line: Line;
  readonly #slowed = new Slowed();

  constructor(line: Line) {
    this.#line = line;
  }

  /** A method without a file of ours. */
  async call<M extends Method>(
    method: M,
    args: Record<string, unknown>,
    { withinMs, signal = this.#line.signal }: CallOptions,
  ): Promise<Result<M>> {
    const { apiRoot, token, request } = this.#line;
    let answer: HttpAnswer;
    try {
      answer = await request({
        url: `${apiRoot}/bot${token}/${method}`,
        headers: JSON_HEADERS,
        body: JSON.stringify(args),
        timeoutMs: withinMs,
        ...(signal ? { signal } : {}),
      });
    } catch (thrown) {
      throw this.#noAnswer(thrown);
    }
    const said = readAnswer(answer);
    if (said === undefined) throw faultOfPage(answer, apiRoot);
    if (said.ok) return said.result as Result<M>;
    throw this.#refusal({ ...said, method }, args);
  }

  /** A method with a file's bytes. */
  async upload<M extends Method>(
    method: M,
    args: Record<string, unknown>,
    upload: { field: string; file: OpenedFile },
    { withinMs, signal = this.#line.signal }: CallOptions,
  ): Promise<Result<M>> {
    // grammY costs 18 MB and most bots never send a file.
    const { uploadFile } = await import("./upload.js");
    const said = await uploadFile(this.#line, method, args, upload, withinMs, signal).catch((thrown) => {
      throw this.#noAnswer(thrown);
    });
    if (said.ok) return said.result as Result<M>;
    throw this.#refusal({ ...said, method }, args);
  }

  #refusal(answer: ApiAnswer, args: Record<string, unknown>): ChannelError {
    return faultOfAnswer(answer, this.#line.secrets, (forMs) => this.#slowed.scope(args["chat_id"], forMs));
  }

  #noAnswer(thrown: unknown): ChannelError {
    const ended = thrown instanceof ChannelError ? thrown.code : "";
    if (ended !== "aborted" && ended !== "timeout") return faultOfNetwork(thrown, this.#line.secrets);
    const { fault } = thrown as ChannelError;
    const code = ended === "aborted" ? "closing" : "timeout";
    if (fault === "interrupted") {
      return new ChannelError(fault, "Telegram did not answer in time, so it may or may not have done it.", {
        code,
      });
    }
    return code === "timeout"
      ? faultOfNetwork(thrown, this.#line.secrets)
      : new ChannelError(fault, "The account is closing, so nothing was sent to Telegram.", { code });
  }
}

/** `{"ok":true,...}` or `{"ok":false,...}`; undefined for anything that is no answer of the Bot API. */
export type Said = { ok: true; result: unknown } | ({ ok: false } & ApiAnswer);

export function readAnswer(answer: Pick<HttpAnswer, "status" | "json">): Said | undefined {
  let said: unknown;
  try {
    said = answer.json();
  } catch (thrown) {
    // A success that cannot be read is one all the same: it may have been done.
    if (answer.status < 300) throw thrown;
    return undefined;
  }
  if (!isRecord(said)) return undefined;
  if (said["ok"] === true) return answer.status < 300 ? (said as Said) : undefined;
  const { error_code, description } = said;
  if (typeof error_code !== "number") return undefined;
  // A stranger's server may leave the words out.
  return {
    ...said,
    ok: false,
    error_code,
    description: typeof description === "string" ? description : "no reason given",
  };
}
