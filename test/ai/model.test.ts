/** Models against a server that speaks the protocol and fails in every way. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import type { ModelError } from "../../lib/ai/errors";
import { listModels, testModel } from "../../lib/ai/form";
import { openModel } from "../../lib/ai/model";
import { providers } from "../../lib/ai/providers";
import type { ChatMessage, ModelSettings } from "../../lib/ai/types";
import { createHttp } from "../../lib/http/client";
import { OpenAIServer, type Step } from "../platforms/openai";

const KEY = "sk-very-secret-0123456789";
const hello: ChatMessage[] = [{ role: "user", content: "hello" }];

describe("model", () => {
  let server: OpenAIServer;
  beforeEach(async () => {
    server = await new OpenAIServer().start();
  });
  afterEach(() => server.stop());

  const open = (settings: ModelSettings = {}) =>
    openModel({
      provider: "custom",
      baseUrl: server.url,
      model: "test-model",
      apiKey: KEY,
      env: {},
      ...settings,
    });

  /** The error of a question; fails when there is an answer. */
  async function failure(steps: Step[], settings: ModelSettings = {}): Promise<ModelError> {
    server.script(...steps);
    const error = await open(settings)
      .complete(hello)
      .then(
        () => assert.fail("answered"),
        (thrown) => thrown as ModelError,
      );
    const shown = JSON.stringify([error.message, error.short, String(error.stack), error.cause ?? null]);
    assert(!shown.includes(KEY) && !shown.includes(KEY.slice(0, 12)), `the key is in ${shown}`);
    assert.match(error.message, /[.!`]$/);
    return error;
  }

  it("serves the official package as a real server does, whole and streamed", async () => {
    const client = new OpenAI({ baseURL: server.url, apiKey: KEY, maxRetries: 0 });
    const whole = await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content: "hi" }],
    });
    assert.equal(whole.choices[0]?.message.content, "echo: hi");
    let text = "";
    const stream = await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content: "höllo 🦞" }],
      stream: true,
    });
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    assert.equal(text, "echo: höllo 🦞");
    assert.deepEqual(
      (await client.models.list()).data.map((model) => model.id),
      server.models,
    );
  });

  it("answers with text, tokens, the model's name, and sends what the settings say", async () => {
    const model = open({ temperature: 0.5, maxTokens: 100, headers: { "X-Team": "red" } });
    const completion = await model.complete([{ role: "system", content: "Be brief." }, ...hello]);
    assert.deepEqual(completion, {
      text: "echo: hello",
      toolCalls: [],
      usage: { inputTokens: 11, outputTokens: 7 },
      provider: "custom",
      model: "test-model",
      finish: "stop",
    });
    const [asked] = server.chats;
    assert.equal(asked?.headers.authorization, `Bearer ${KEY}`);
    assert.equal(asked?.headers["x-team"], "red");
    assert.deepEqual(asked?.body, {
      model: "test-model",
      messages: [{ role: "system", content: "Be brief." }, ...hello],
      temperature: 0.5,
      max_tokens: 100,
    });
  });

  it("hands over tools, reads tool calls, and gives results back", async () => {
    server.script({ toolCalls: [{ name: "lamp", arguments: { on: true } }] }, { text: "It is on." });
    const tools = [
      { name: "lamp", description: "Switches the lamp", parameters: { type: "object", properties: {} } },
    ];
    const first = await open().complete(hello, { tools });
    assert.deepEqual(first.toolCalls, [{ id: "call_0", name: "lamp", arguments: '{"on":true}' }]);
    const second = await open().complete(
      [
        ...hello,
        { role: "assistant", content: "", toolCalls: first.toolCalls },
        { role: "tool", toolCallId: "call_0", content: "ok" },
      ],
      { tools },
    );
    assert.equal(second.text, "It is on.");
    assert.deepEqual(server.chats[1]?.body.messages?.slice(1), [
      {
        role: "assistant",
        content: "",
        tool_calls: [
          { id: "call_0", type: "function", function: { name: "lamp", arguments: '{"on":true}' } },
        ],
      },
      { role: "tool", content: "ok", tool_call_id: "call_0" },
    ]);
  });

  it("sends no authorization when there is no key, and never variables of another account", async () => {
    process.env["OPENAI_ORG_ID"] = "org-secret";
    try {
      await open({ apiKey: "" }).complete(hello);
    } finally {
      delete process.env["OPENAI_ORG_ID"];
    }
    assert.equal(server.chats[0]?.headers.authorization, undefined);
    assert.equal(server.chats[0]?.headers["openai-organization"], undefined);
  });

  it("speaks to Azure with its own key header, and with api-version when the address has one", async () => {
    await open({ provider: "azure", maxTokens: 9 }).complete(hello);
    const [asked] = server.chats;
    assert.equal(asked?.headers["api-key"], KEY);
    assert.equal(asked?.headers.authorization, undefined);
    assert.equal(asked?.body["max_completion_tokens"], 9);
    const seen: string[] = [];
    const spy: typeof fetch = (input, init) => {
      seen.push(String(input));
      return fetch(input, init);
    };
    await open({ provider: "azure", fetch: spy, baseUrl: `${server.url}?api-version=2024-10-21` }).complete(
      hello,
    );
    await open({ provider: "azure", fetch: spy, baseUrl: new URL(server.url).origin }).complete(hello);
    assert.match(seen[0] as string, /\/v1\/chat\/completions\?api-version=2024-10-21$/);
    assert.match(seen[1] as string, /\/openai\/v1\/chat\/completions$/);
  });

  it("takes a bare host, and an address copied with /chat/completions", async () => {
    const { origin } = new URL(server.url);
    assert.equal((await open({ baseUrl: `${origin}/` }).complete(hello)).text, "echo: hello");
    assert.equal(
      (await open({ baseUrl: `${server.url}/chat/completions` }).complete(hello)).text,
      "echo: hello",
    );
    assert.deepEqual(
      server.chats.map((asked) => asked.path),
      ["/v1/chat/completions", "/v1/chat/completions"],
    );
  });

  it("uses the first model that can chat when none is named", async () => {
    server.models = ["nomic-embed-text", "llama3.2"];
    const model = open({ model: "" });
    assert.equal((await model.complete(hello)).model, "llama3.2");
    await model.complete(hello);
    assert.equal(server.journal.filter((asked) => asked.path.endsWith("/models")).length, 1);
  });

  it("removes what a reasoning model thought", async () => {
    const thoughts: [string, string][] = [
      ["<think>hm ```js\n1``` hm</think>\n\nYes.", "Yes."],
      ["hm hm</think>Yes.", "Yes."],
      ["<thinking>a</thinking><think>b</think> Yes", "Yes"],
      ["One. <think>x</think>Two.", "One. Two."],
      ["```\n<think>x</think>\n```", "```\n<think>x</think>\n```"],
      ["Use `</think>` to end.", "Use `</think>` to end."],
    ];
    for (const [text, shown] of thoughts) {
      server.script({ text });
      assert.equal((await open().complete(hello)).text, shown);
    }
    const only = await failure([{ text: "<think>endless", finish: "length" }]);
    assert.equal(only.code, "model-bad-answer");
    assert.match(only.message, /Raise the longest answer/);
  });

  it("takes a huge answer, and estimates tokens when the server does not count", async () => {
    const text = "word ".repeat(200_000).trim();
    server.script({ text, usage: false });
    const completion = await open().complete(hello);
    assert.equal(completion.text, text);
    assert.equal(completion.usage.outputTokens, 250_000);
  });

  it("sends lone surrogates and NUL in a form that every server can read", async () => {
    await open().complete([{ role: "user", content: "a\ud800b\0c" }]);
    assert.equal(server.chats[0]?.body.messages?.[0]?.content, "a\ufffdbc");
  });

  describe("retry", () => {
    it("tries again after 429, 5xx and a cut connection, at most twice, and shows it", async () => {
      for (const step of [
        { status: 429 },
        { status: 500 },
        { status: 503 },
        { status: 529 },
        { status: 408 },
        { status: 409 },
        { cut: "headers" },
        { cut: "body" },
      ] as Step[]) {
        server.journal.length = 0;
        const waits: number[] = [];
        server.script(step);
        const { text } = await open().complete(hello, { onRetry: (_, waitMs) => waits.push(waitMs) });
        assert.equal(text, "echo: hello", JSON.stringify(step));
        assert.equal(server.chats.length, 2, JSON.stringify(step));
        assert(waits[0] !== undefined && waits[0] >= 250 && waits[0] <= 500);
      }
      server.journal.length = 0;
      const error = await failure([{ status: 500 }, { status: 500 }, { status: 500 }, { status: 500 }]);
      assert.equal(error.code, "model-unreachable");
      assert.equal(server.chats.length, 3);
    });

    it("waits as long as the server says, in seconds or milliseconds", async () => {
      for (const [headers, wait] of [
        [{ "retry-after": "1" }, 1000],
        [{ "retry-after-ms": "120" }, 120],
      ] as const) {
        server.journal.length = 0;
        server.script({ status: 429, headers });
        await open().complete(hello);
        const [first, second] = server.chats;
        assert(first && second && second.at - first.at >= wait - 20, "too early");
      }
    });

    it("gives up at once when the wait would not fit into the timeout, and says how long", async () => {
      const start = Date.now();
      const error = await failure([{ status: 429, headers: { "retry-after": "90" } }]);
      assert.equal(error.code, "model-rate-limited");
      assert.match(error.message, /in 90 s/);
      assert(Date.now() - start < 1000);
    });

    it("never repeats what cannot succeed: 400, 401, 403, 404, no credit", async () => {
      const codes: [Step, string][] = [
        [{ status: 400, error: { message: "bad temperature" } }, "model-refused"],
        [{ status: 401 }, "model-key-refused"],
        [{ status: 403 }, "model-key-refused"],
        [{ status: 404, error: { code: "model_not_found", message: "no such model" } }, "model-not-found"],
        [{ status: 422 }, "model-refused"],
        [{ status: 429, error: { code: "insufficient_quota", message: "quota" } }, "model-rate-limited"],
        [
          { status: 400, error: { code: "context_length_exceeded", message: "too long" } },
          "model-context-too-long",
        ],
        [{ raw: "{}" }, "model-bad-answer"],
        [{ raw: '{"choices":[]}' }, "model-bad-answer"],
        [{ raw: '{"choices":[null]}' }, "model-bad-answer"],
        [{ raw: "not json" }, "model-bad-answer"],
        [{ raw: "<html>Welcome</html>", type: "text/html" }, "model-bad-answer"],
        [{ text: "" }, "model-bad-answer"],
        [{ text: "   " }, "model-bad-answer"],
        [{ text: "", finish: "content_filter" }, "model-refused"],
      ];
      for (const [step, code] of codes) {
        server.journal.length = 0;
        const error = await failure([step]);
        assert.equal(error.code, code, JSON.stringify(step));
        assert.equal(server.chats.length, 1, JSON.stringify(step));
      }
    });
  });

  it("never shows the key, even when the server repeats it", async () => {
    server.key = "another";
    const error = await failure([]);
    assert.equal(error.code, "model-key-refused");
    const echoed = await failureOf(400, `Your key ${KEY} or sk-proj-abcdefgh12345 is not for this`);
    assert(!echoed.message.includes("abcdefgh"));
    async function failureOf(status: number, message: string) {
      server.key = undefined;
      return failure([{ status, error: { message } }]);
    }
  });

  it("says what to do when nothing listens there", async () => {
    const error = await failure([], { provider: "ollama", baseUrl: "http://127.0.0.1:9", timeoutMs: 400 });
    assert.equal(error.code, "model-unreachable");
    assert.match(
      error.message,
      /No connection to 127.0.0.1:9.*Is Ollama running\? Start it with `ollama serve`\./,
    );
    assert.equal(error.short, "no connection to 127.0.0.1:9");
  });

  it("goes through the pack's own HTTP client, which reaches the local network and says what is wrong", async () => {
    const http = createHttp({ allowPrivate: true });
    try {
      assert.equal((await open({ fetch: http.fetch }).complete(hello)).text, "echo: hello");
      for (const raw of ["not json", "<html>Welcome</html>", "{}", ""]) {
        assert.equal((await failure([{ raw }], { fetch: http.fetch })).code, "model-bad-answer", raw);
      }
      const stalled = await failure([{ stall: "body" }], { fetch: http.fetch, timeoutMs: 200 });
      assert.equal(stalled.code, "model-timeout");
      const cut = await failure([{ cut: "body" }, { cut: "headers" }, { cut: "body" }], {
        fetch: http.fetch,
      });
      assert.match(cut.message, /^No connection to 127/);
      const { fetch } = http;
      const refused = await failure([], {
        fetch,
        provider: "lmstudio",
        baseUrl: "http://127.0.0.1:9",
        timeoutMs: 300,
      });
      assert.match(refused.message, /No connection to 127.0.0.1:9. Is LM Studio's server running\?/);
      const unknown = await failure([], { fetch, baseUrl: "http://no-such-host.invalid/v1", timeoutMs: 300 });
      assert.match(unknown.message, /There is no server named no-such-host.invalid|did not answer/);
    } finally {
      await http.close();
    }
  });

  it("ends in time when the server stalls, before or in the body", async () => {
    for (const stall of ["headers", "body"] as const) {
      const start = Date.now();
      const error = await failure([{ stall }], { timeoutMs: 300 });
      assert.equal(error.code, "model-timeout");
      assert.match(error.message, /did not answer within/);
      assert(Date.now() - start < 1000);
    }
  });

  it("stops at once when it is aborted: while asking, and while waiting to try again", async () => {
    for (const step of [
      { stall: "headers" },
      { stall: "body" },
      { status: 429, headers: { "retry-after": "20" } },
    ] as Step[]) {
      server.script(step);
      const closing = new AbortController();
      const asked = open().complete(hello, { signal: closing.signal });
      setTimeout(() => closing.abort(new Error("closed")), 100);
      const start = Date.now();
      await assert.rejects(asked, /closed/);
      assert(Date.now() - start < 500);
    }
    await assert.rejects(
      open().complete(hello, { signal: AbortSignal.abort(new Error("closed")) }),
      /closed/,
    );
  });

  it("asks for what is missing: key, base URL, an address", async () => {
    const missing: [ModelSettings, RegExp][] = [
      [{ provider: "groq", apiKey: "" }, /Groq needs a key. Get one at https:\/\/console.groq.com\/keys/],
      [{ provider: "custom", baseUrl: "" }, /The model needs a base URL. It looks like/],
      [{ provider: "custom", baseUrl: "my server" }, /is not an address/],
      [{ provider: "azure", baseUrl: "" }, /my-resource.openai.azure.com/],
    ];
    for (const [settings, sentence] of missing)
      await assert.rejects(open(settings).complete(hello), { message: sentence });
    assert.equal(server.journal.length, 0);
  });

  it("tests and lists with the values of an unsaved form, which are all text", async () => {
    const form = {
      provider: "custom",
      baseUrl: server.url,
      model: "test-model",
      apiKey: KEY,
      timeout: "5",
      temperature: "",
      maxTokens: "",
    };
    const good = await testModel(form);
    assert(good.ok);
    assert.match(good.sentence, /answered with test-model in \d/);
    assert.deepEqual(await listModels(form), { ok: true, models: ["other-model", "test-model"] });
    server.key = "another";
    const refused = await listModels(form);
    assert(!refused.ok);
    assert.equal(refused.code, "model-key-refused");
    const nowhere = await testModel({ ...form, baseUrl: "" });
    assert.equal(nowhere.ok, false);
    assert.match((await testModel({ provider: "demo" })).sentence, /demo model answers/);
  });

  it("has an address for every provider that has one, and says where to get each key", () => {
    for (const [name, provider] of Object.entries(providers)) {
      if (provider.baseUrl) assert(URL.canParse(provider.baseUrl) && !provider.baseUrl.endsWith("/"), name);
      if (provider.needsKey) assert(URL.canParse(provider.keyUrl ?? ""), name);
      if (provider.local) assert.match(provider.start ?? "", /`/);
    }
  });
});
