/** The automatic choice: a key, else Ollama, else the demo model. */
import assert from "node:assert/strict";
import { AutoChoice, ollamaHost } from "../../lib/ai/auto";
import { openModel } from "../../lib/ai/model";
import type { ChatMessage } from "../../lib/ai/types";
import { OpenAIServer } from "../platforms/openai";

const hello: ChatMessage[] = [{ role: "user", content: "hello" }];

describe("automatic model", () => {
  let server: OpenAIServer;
  beforeEach(async () => {
    server = await new OpenAIServer().start();
  });
  afterEach(() => server.stop());

  const nowhere = { OLLAMA_HOST: "127.0.0.1:9" };

  it("takes the demo model when there is nothing else, and says so", async () => {
    const model = openModel({ provider: "auto", env: nowhere });
    const completion = await model.complete(hello);
    assert.equal(completion.provider, "demo");
    assert.match(completion.text, /demo model/);
    assert.equal(
      (await model.describe()).sentence,
      "demo model - set OPENAI_API_KEY or start Ollama for a real one",
    );
  });

  it("takes OpenAI when a key is set, at the address that is set", async () => {
    const env = { ...nowhere, OPENAI_API_KEY: "sk-test-key", OPENAI_BASE_URL: server.url };
    const model = openModel({ provider: "auto", env });
    const completion = await model.complete(hello);
    assert.equal(completion.provider, "openai");
    assert.equal(completion.model, "test-model");
    assert.equal(server.chats[0]?.headers.authorization, "Bearer sk-test-key");
    await openModel({ provider: "auto", env: { ...env, OPENAI_MODEL: "other-model" } }).complete(hello);
    assert.equal(server.chats[1]?.body.model, "other-model");
  });

  it("takes the first model of Ollama that can chat", async () => {
    server.models = ["nomic-embed-text:latest", "llama3.2:latest"];
    const model = openModel({ provider: "auto", env: { OLLAMA_HOST: new URL(server.url).host } });
    const completion = await model.complete(hello);
    assert.equal(completion.provider, "ollama");
    assert.equal(completion.model, "llama3.2:latest");
    assert.match((await model.describe()).sentence, /^llama3.2:latest \(Ollama, 127/);
  });

  it("notices Ollama that is started later, and does not ask at every turn", async () => {
    let time = 0;
    let probes = 0;
    let running = false;
    const env = { OLLAMA_HOST: new URL(server.url).host };
    const counting: typeof fetch = (input, init) => {
      probes += 1;
      return running ? fetch(input, init) : Promise.reject(new Error("refused"));
    };
    const auto = new AutoChoice({ env, fetch: counting, now: () => time });
    const choices = await Promise.all([auto.choose(), auto.choose(), auto.choose()]);
    assert.deepEqual(
      choices.map((choice) => choice.provider),
      ["demo", "demo", "demo"],
    );
    assert.equal(probes, 1);
    running = true;
    time = 6_000;
    assert.equal((await auto.choose()).provider, "ollama");
    time = 20_000;
    assert.equal((await auto.choose()).provider, "ollama");
    assert.equal(probes, 2);
  });

  it("looks again after the found server did not answer", async () => {
    const model = openModel({
      provider: "auto",
      env: { OLLAMA_HOST: new URL(server.url).host },
      timeoutMs: 400,
    });
    assert.equal((await model.complete(hello)).provider, "ollama");
    await server.stop();
    await assert.rejects(model.complete(hello), { code: "model-unreachable" });
    assert.equal((await model.complete(hello)).provider, "demo");
    await server.start();
  });

  it("does not wait for a server that never answers", async () => {
    const silent: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const start = performance.now();
    const auto = new AutoChoice({ env: {}, fetch: silent, now: () => performance.now() });
    assert.equal((await auto.choose()).provider, "demo");
    assert(performance.now() - start < 600);
  });

  it("understands Ollama's own variable in all its forms", () => {
    const forms: [string | undefined, string][] = [
      [undefined, "http://127.0.0.1:11434"],
      ["", "http://127.0.0.1:11434"],
      ["0.0.0.0", "http://127.0.0.1:11434"],
      ["0.0.0.0:8000", "http://127.0.0.1:8000"],
      [":8000", "http://127.0.0.1:8000"],
      ["nas.local", "http://nas.local:11434"],
      ["nas.local:80", "http://nas.local"],
      ["http://192.168.1.2:9999/", "http://192.168.1.2:9999"],
      ["https://ollama.example.com/api", "https://ollama.example.com/api"],
      ["http://[::]:11434", "http://127.0.0.1:11434"],
      ["not a host", "http://127.0.0.1:11434"],
    ];
    for (const [variable, host] of forms) assert.equal(ollamaHost(variable), host, variable);
  });
});
