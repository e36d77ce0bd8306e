/** A turn: history, tools, and a thousand conversations at once. */
import assert from "node:assert/strict";
import { History } from "../../lib/ai/history";
import { type Model, openModel } from "../../lib/ai/model";
import { type Tool, takeTurn } from "../../lib/ai/turn";
import { Turns } from "../../lib/ai/turns";
import { memoryStore } from "../../lib/store/memory";
import { type Asked, OpenAIServer } from "../platforms/openai";

describe("a turn", () => {
  let server: OpenAIServer;
  let history: History;
  let model: Model;
  beforeEach(async () => {
    server = await new OpenAIServer().start();
    const store = memoryStore();
    history = new History(async () => store, { messages: 20, tokens: 8000 });
    model = openModel({ provider: "custom", baseUrl: server.url, model: "m", timeoutMs: 2000 });
  });
  afterEach(() => server.stop());

  const signal = new AbortController().signal;
  const take = (text: string, more: { conversation?: string; tools?: Tool[]; instructions?: string } = {}) =>
    takeTurn({ model, history, conversation: "chat", instructions: "", text, signal, ...more });
  const texts = (asked?: Asked) =>
    asked?.body.messages?.map((message) => `${message.role}: ${message.content}`);

  it("gives the model the instructions, what was said before, and the question", async () => {
    await take("one", { instructions: "Be kind." });
    const answer = await take("two", { instructions: "Be kind." });
    assert.deepEqual(texts(server.chats[1]), [
      "system: Be kind.",
      "user: one",
      "assistant: echo: one",
      "user: two",
    ]);
    assert.equal(answer.text, "echo: two");
    assert.deepEqual(answer.usage, { inputTokens: 11, outputTokens: 7 });
    assert.equal(answer.model, "m");
    assert(answer.durationMs >= 0);
  });

  it("remembers nothing of a turn that failed", async () => {
    server.script({ status: 400 });
    await assert.rejects(take("broken"), { code: "model-refused" });
    await take("whole");
    assert.deepEqual(texts(server.chats[1]), ["user: whole"]);
  });

  const lamp = (run: Tool["run"]): Tool => ({
    name: "lamp",
    description: "Switches the lamp",
    parameters: { type: "object", properties: { on: { type: "boolean" } } },
    run,
  });

  it("runs the tools that the model calls, and remembers calls with their results", async () => {
    const calls: unknown[] = [];
    const tools = [lamp(async (input) => `done ${calls.push(input)}`)];
    server.script(
      {
        toolCalls: [
          { name: "lamp", arguments: { on: true } },
          { name: "nothing", arguments: {} },
        ],
      },
      { text: "It is on." },
    );
    const answer = await take("light please", { tools });
    assert.equal(answer.text, "It is on.");
    assert.deepEqual(answer.usage, { inputTokens: 22, outputTokens: 14 });
    assert.deepEqual(calls, [{ on: true }]);
    const results = server.chats[1]?.body.messages?.filter((message) => message.role === "tool");
    assert.deepEqual(
      results?.map((message) => message.content),
      ["done 1", "There is no tool called nothing."],
    );
    await take("thanks", { tools });
    assert.deepEqual(
      server.chats[2]?.body.messages?.map((message) => message.role),
      ["user", "assistant", "tool", "tool", "assistant", "user"],
    );
  });

  it("tells the model when a tool fails or is called wrongly, and stops one that never ends", async () => {
    const tools = [lamp(() => Promise.reject(new Error("the bulb is broken")))];
    server.script(
      { toolCalls: [{ name: "lamp", arguments: {} }] },
      { toolCalls: [{ name: "lamp", arguments: "[not json" }] },
      { text: "Sorry." },
    );
    await take("light", { tools });
    assert.match(server.chats[2]?.body.messages?.at(-3)?.content ?? "", /the bulb is broken/);
    assert.match(server.chats[2]?.body.messages?.at(-1)?.content ?? "", /The tool failed/);
    server.journal.length = 0;
    server.otherwise((asked) =>
      asked.body["tools"] ? { toolCalls: [{ name: "lamp", arguments: {} }] } : { text: "Enough." },
    );
    assert.equal((await take("again", { tools })).text, "Enough.");
    assert.equal(server.chats.length, 5);
  });

  it("works with the demo model's tools, end to end", async () => {
    const demo = openModel({ provider: "demo" });
    const tools = [lamp(async (input) => JSON.stringify({ lamp: input["on"] ? "on" : "off" }))];
    const answer = await takeTurn({
      model: demo,
      history,
      conversation: "demo",
      instructions: "",
      text: "Switch the lamp on",
      tools,
      signal,
    });
    assert.match(answer.text, /lamp: on/);
  });

  it("cuts a question of megabytes instead of failing", async () => {
    await take("x".repeat(10_000_000));
    assert((server.chats[0]?.body.messages?.[0]?.content.length ?? 0) < 130_000);
  });

  it("keeps a thousand interleaved conversations apart and each in order", async () => {
    model = openModel({ provider: "custom", baseUrl: server.url, model: "m" });
    server.otherwise((asked) => {
      const said = asked.body.messages
        ?.filter((message) => message.role === "user")
        .map((message) => message.content);
      return { text: `heard ${said?.join(",")}`, delayMs: Math.random() * 5 };
    });
    const turns = new Turns();
    const heard = new Map<string, string[]>();
    const work: Promise<void>[] = [];
    for (let round = 1; round <= 3; round++) {
      for (let chat = 0; chat < 1000; chat++) {
        const conversation = `web:a:${chat}`;
        work.push(
          turns.run(conversation, async () => {
            const { text } = await take(`${chat}-${round}`, { conversation });
            heard.set(conversation, [...(heard.get(conversation) ?? []), text]);
          }),
        );
      }
    }
    await Promise.all(work);
    for (let chat = 0; chat < 1000; chat++) {
      const said = [1, 2, 3].map((round) => `${chat}-${round}`);
      assert.deepEqual(
        heard.get(`web:a:${chat}`),
        said.map((_, index) => `heard ${said.slice(0, index + 1).join(",")}`),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(turns.size, 0);
  }).timeout(60_000);
});
