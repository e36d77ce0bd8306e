/** grammY and openai, unchanged, with our client as their `fetch`. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { Api, GrammyError, HttpError, InputFile } from "grammy";
import OpenAI, { APIConnectionError, APIUserAbortError, AuthenticationError, toFile } from "openai";
import { ChannelError } from "../../lib/errors";
import { createHttp, type Http } from "../../lib/http/client";
import { bodyOf, serve, serveTcp, stopServers, type TestServer } from "./servers";

const TOKEN = "123456:ABCDEF-secret-token";

describe("http client as fetch of", () => {
  let http: Http;
  beforeEach(() => {
    http = createHttp({ allowPrivate: true });
  });
  afterEach(async () => {
    await http.close();
    await stopServers();
  });

  describe("grammY", () => {
    const api = (server: TestServer): Api =>
      new Api(TOKEN, { apiRoot: server.url, fetch: http.fetch as never });
    const telegram = () =>
      serve(async (request, response) => {
        const body = (await bodyOf(request)).toString("latin1");
        const method = (request.url ?? "").split("/").at(-1);
        if (method === "sendMessage" && body.includes("flood")) {
          response.writeHead(429).end(
            JSON.stringify({
              ok: false,
              error_code: 429,
              description: "Too Many Requests",
              parameters: { retry_after: 3 },
            }),
          );
        } else if (method === "getUpdates") {
          // A long poll: answers only when it is aborted.
        } else
          response.end(
            JSON.stringify({ ok: true, result: { method, type: request.headers["content-type"], body } }),
          );
      });

    it("calls a method with JSON", async () => {
      const result = (await api(await telegram()).sendMessage(1, "h\u00e9llo")) as unknown as Record<
        string,
        string
      >;
      assert.equal(result["type"], "application/json");
      assert.deepEqual(JSON.parse(Buffer.from(result["body"] ?? "", "latin1").toString()), {
        chat_id: 1,
        text: "h\u00e9llo",
      });
    });

    it("uploads a Buffer, a stream and an iterable as multipart", async () => {
      const bot = api(await telegram());
      async function* pieces() {
        yield Buffer.from("con");
        yield Buffer.from("tent");
      }
      for (const source of [Buffer.from("content"), Readable.from([Buffer.from("content")]), pieces]) {
        const file = new InputFile(source as never, "name.txt");
        const result = (await bot.sendDocument(1, file, { caption: "cap" })) as unknown as Record<
          string,
          string
        >;
        assert.match(result["type"] ?? "", /^multipart\/form-data; boundary=/);
        assert.match(
          result["body"] ?? "",
          /name="caption"\r\n\r\ncap\r\n[\s\S]*filename=name\.txt[\s\S]*\r\ncontent\r\n/,
        );
      }
    });

    it("gets the platform's refusal as it is", async () => {
      await assert.rejects(api(await telegram()).sendMessage(1, "flood"), (error) => {
        assert.ok(error instanceof GrammyError);
        assert.equal(error.parameters.retry_after, 3);
        return true;
      });
    });

    it("ends a long poll by its signal", async () => {
      const abort = new AbortController();
      const poll = api(await telegram()).getUpdates({ timeout: 30 }, abort.signal as never);
      setTimeout(() => abort.abort(), 30);
      await assert.rejects(poll, HttpError);
    });

    it("wraps our error with its fault, and shows the token nowhere", async () => {
      const gone = await serve();
      await stopServers();
      const reset = await serveTcp((socket) => socket.once("data", () => socket.resetAndDestroy()));
      for (const [server, fault] of [
        [gone, "unreachable"],
        [reset, "interrupted"],
      ] as const) {
        await assert.rejects(api(server).getMe(), (error) => {
          assert.ok(error instanceof HttpError && error.error instanceof ChannelError);
          assert.equal(error.error.fault, fault);
          assert.doesNotMatch(`${error.message} ${error.error.stack}`, /secret-token/);
          return true;
        });
      }
    });
  });

  describe("openai", () => {
    const openai = (server: TestServer): OpenAI =>
      new OpenAI({ apiKey: "sk-secret", baseURL: `${server.url}/v1`, fetch: http.fetch, maxRetries: 0 });
    const ask = { model: "m", messages: [{ role: "user" as const, content: "hi" }] };
    const delta = (content: string) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;

    it("asks for an answer", async () => {
      const server = await serve(async (request, response) => {
        const body = JSON.parse(String(await bodyOf(request)));
        response.setHeader("content-type", "application/json");
        const content = `${request.headers.authorization} ${body.messages[0].content}`;
        response.end(JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", content } }] }));
      });
      const answer = await openai(server).chat.completions.create(ask);
      assert.equal(answer.choices[0]?.message.content, "Bearer sk-secret hi");
    });

    it("streams an answer piece by piece, as it comes", async () => {
      let next: (() => void) | undefined;
      const server = await serve((_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        const pieces = ["one ", "t\u00fcwo ", "three"];
        next = () => {
          const piece = pieces.shift();
          if (piece === undefined) response.end("data: [DONE]\n\n");
          else response.write(delta(piece));
        };
        next();
      });
      const got: string[] = [];
      for await (const chunk of await openai(server).chat.completions.create({ ...ask, stream: true })) {
        got.push(chunk.choices[0]?.delta.content ?? "");
        // The server says the next piece only when this one has arrived.
        next?.();
      }
      assert.deepEqual(got, ["one ", "t\u00fcwo ", "three"]);
    });

    it("stops a stream that the caller leaves, or aborts", async () => {
      let closed = 0;
      const server = await serve((_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write(delta("one"));
        response.once("close", () => closed++);
      });
      for await (const _ of await openai(server).chat.completions.create({ ...ask, stream: true })) break;
      const abort = new AbortController();
      const stream = await openai(server).chat.completions.create(
        { ...ask, stream: true },
        { signal: abort.signal },
      );
      const reading = (async () => {
        for await (const _ of stream) abort.abort();
      })();
      await reading.catch((error) => assert.ok(error instanceof APIUserAbortError, String(error)));
      for (const end = performance.now() + 2000; closed < 2; ) {
        assert.ok(performance.now() < end, "the server still streams");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });

    it("says so when a stream is cut off", async () => {
      const server = await serve((_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write(delta("half"));
        setTimeout(() => response.destroy(), 20);
      });
      const read = async (): Promise<void> => {
        for await (const _ of await openai(server).chat.completions.create({ ...ask, stream: true }));
      };
      await assert.rejects(read(), (error) => {
        assert.ok(error instanceof ChannelError, String(error));
        assert.equal(error.fault, "interrupted");
        return true;
      });
    });

    it("gets refusals as they are, and our error as the cause when nobody answers", async () => {
      const server = await serve((_, response) => {
        response
          .writeHead(401, { "content-type": "application/json" })
          .end('{"error":{"message":"bad key"}}');
      });
      await assert.rejects(openai(server).models.list(), AuthenticationError);
      await stopServers();
      await assert.rejects(openai(server).models.list(), (error) => {
        assert.ok(error instanceof APIConnectionError && error.cause instanceof ChannelError);
        assert.equal(error.cause.code, "connection-refused");
        return true;
      });
    });

    it("uploads a file", async () => {
      const server = await serve(async (request, response) => {
        const body = String(await bodyOf(request));
        response
          .setHeader("content-type", "application/json")
          .end(JSON.stringify({ text: /hello audio/.exec(body)?.[0] }));
      });
      const file = await toFile(Buffer.from("hello audio"), "a.ogg");
      assert.equal(
        (await openai(server).audio.transcriptions.create({ model: "w", file })).text,
        "hello audio",
      );
    });
  });
});
