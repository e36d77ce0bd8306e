/** Stands between a bot and our Telegram server, keeps its own journal, and does to each call what a rule says. */
import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { sleep } from "./wait";

export interface FrontCall {
  method: string;
  token: string;
  /** `chat_id` of the call; empty when it has none. */
  chat: string;
  /** Milliseconds since 1970, when it arrived. */
  at: number;
  /** What became of it: an HTTP status, or 0 when the connection was cut. */
  status?: number;
}

export type Treatment =
  | undefined
  /** As usual, but later. */
  | { do: "wait"; ms: number }
  /** Telegram never hears of it. */
  | { do: "answer"; status: number; body: object | string }
  /** The connection is reset when the request is there; Telegram never hears of it. */
  | { do: "reset" }
  /** Telegram does it; the connection is reset instead of the answer. */
  | { do: "lose" }
  /** Telegram never hears of it, and there is no answer. */
  | { do: "hang" }
  /** Telegram does it; the answer comes a byte at a time, one per `everyMs`. */
  | { do: "drip"; everyMs: number };

export type Rule = (call: FrontCall) => Treatment;

export const tooMany = (seconds: number): Treatment => ({
  do: "answer",
  status: 429,
  body: {
    ok: false,
    error_code: 429,
    description: `Too Many Requests: retry after ${seconds}`,
    parameters: { retry_after: seconds },
  },
});

export class Front {
  readonly calls: FrontCall[] = [];
  rule: Rule = () => undefined;
  /** The token that the server behind it knows; a call with any other is passed on with this one. */
  token?: string;
  readonly #target: () => string;
  readonly #agent = new Agent({ keepAlive: true });
  #server?: Server;
  #port = 0;

  /** `target`: address of the server behind it. */
  constructor(target: () => string) {
    this.#target = target;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Again on the same port after a `stop`. */
  async start(): Promise<this> {
    const server = createServer((incoming, response) => {
      this.#treat(incoming, response).catch(() => incoming.socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** From now on connections are refused. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  of(method: string): FrontCall[] {
    return this.calls.filter((call) => call.method === method);
  }

  async #treat(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const call: FrontCall = {
      method: /\/(\w+)(\?|$)/.exec(incoming.url ?? "")?.[1] ?? "",
      token: /^\/bot([^/]+)/.exec(incoming.url ?? "")?.[1] ?? "",
      chat: /"?chat_id"?\s*[:=]\s*"?(-?\d+)/.exec(body.toString())?.[1] ?? "",
      at: Date.now(),
    };
    this.calls.push(call);
    const treatment = this.rule(call);
    const cut = () => {
      call.status = 0;
      incoming.socket.resetAndDestroy();
    };
    switch (treatment?.do) {
      case "reset":
        return cut();
      case "hang":
        return;
      case "answer": {
        call.status = treatment.status;
        const text = typeof treatment.body === "string" ? treatment.body : JSON.stringify(treatment.body);
        response.writeHead(treatment.status, { "content-type": "application/json" }).end(text);
        return;
      }
      case "wait":
        await sleep(treatment.ms);
    }
    const answer = await this.#forward(incoming, response, body);
    call.status = answer.status;
    if (treatment?.do === "lose") return cut();
    if (treatment?.do === "drip") return drip(response, answer, treatment.everyMs);
    if (!response.destroyed)
      response.writeHead(answer.status, { "content-type": "application/json" }).end(answer.body);
  }

  #forward(
    incoming: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
  ): Promise<{ status: number; body: Buffer }> {
    const place = (incoming.url ?? "/").replace(/^\/bot[^/]+/, (own) =>
      this.token === undefined ? own : `/bot${this.token}`,
    );
    return new Promise((resolve, reject) => {
      const { host: _, ...headers } = incoming.headers;
      const outgoing = request(
        this.#target() + place,
        {
          method: incoming.method,
          headers: { ...headers, "content-length": body.length },
          agent: this.#agent,
        },
        async (answer) => {
          const chunks: Buffer[] = [];
          try {
            for await (const chunk of answer) chunks.push(chunk as Buffer);
            resolve({ status: answer.statusCode ?? 502, body: Buffer.concat(chunks) });
          } catch (error) {
            reject(error);
          }
        },
      );
      outgoing.on("error", reject);
      // A poll that nobody waits for any more must not take the next update with it.
      response.once("close", () => outgoing.destroy());
      outgoing.end(body);
    });
  }
}

async function drip(
  response: ServerResponse,
  answer: { status: number; body: Buffer },
  everyMs: number,
): Promise<void> {
  response.writeHead(answer.status, {
    "content-type": "application/json",
    "content-length": answer.body.length,
  });
  for (const byte of answer.body) {
    if (response.destroyed) return;
    response.write(Buffer.from([byte]));
    await sleep(everyMs);
  }
  response.end();
}
