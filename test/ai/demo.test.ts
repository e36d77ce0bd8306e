/** The embedded demo model, through the official package. */
import assert from "node:assert/strict";
import fc from "fast-check";
import OpenAI from "openai";
import { workOut } from "../../lib/ai/arithmetic";
import { demoFetch } from "../../lib/ai/demo";

const noon = new Date(2026, 4, 4, 12, 30);

function client(): OpenAI {
  return new OpenAI({
    baseURL: "http://demo.invalid/v1",
    apiKey: "none",
    fetch: demoFetch(() => noon),
    maxRetries: 0,
  });
}

/** Talks to the demo model; gives its answer to each line. */
async function talk(lines: string[], system?: string): Promise<string[]> {
  const messages: OpenAI.ChatCompletionMessageParam[] = system ? [{ role: "system", content: system }] : [];
  const answers: string[] = [];
  for (const content of lines) {
    messages.push({ role: "user", content });
    const completion = await client().chat.completions.create({ model: "demo", messages });
    const answer = completion.choices[0]?.message.content ?? "";
    answers.push(answer);
    messages.push({ role: "assistant", content: answer });
  }
  return answers;
}

const last = async (...lines: string[]) => (await talk(lines)).at(-1) as string;

const weather: OpenAI.ChatCompletionTool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather of a city",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string" },
        days: { type: "integer" },
        unit: { enum: ["celsius", "fahrenheit"], default: "celsius" },
      },
      required: ["city"],
    },
  },
};

describe("demo model", () => {
  it("says honestly that it is not a real AI, and how to get one", async () => {
    for (const line of ["hello", "who are you?", "Are you a real AI?", "/start", "Explain quantum gravity"]) {
      assert.match(await last(line), /demo model, not a real AI/);
    }
    assert.match(await last("Explain quantum gravity"), /OPENAI_API_KEY or start Ollama/);
  });

  it("remembers a name, also after other talk", async () => {
    assert.match(await last("My name is Ann", "What is 2 + 2?", "what is my name?"), /Your name is Ann/);
    assert.match(await last("hi, call me Zoë", "What's my name?"), /Zoë/);
    assert.match(await last("I am Bob", "who am I?"), /Bob/);
    assert.match(await last("what is my name?"), /not told me/);
    assert.match(await last("my name is Ann", "my name is Eve now", "What is my name?"), /Eve/);
  });

  it("remembers facts it was told and gives them back", async () => {
    assert.match(await last("Remember that the key is under the mat.", "Where is the key?"), /under the mat/);
    assert.match(await last("My favorite color is blue", "what's my favourite color?"), /blue/);
    assert.match(await last("my dog's name is Rex", "What is my dog's name?"), /Rex/);
    assert.match(await last("I like pizza", "what do I like?"), /pizza/);
    assert.match(await last("I live in Lisbon.", "Where do I live?"), /Lisbon/);
    assert.match(await last("The meeting is on Tuesday at 9", "When is the meeting?"), /Tuesday at 9/);
    const all = await last("my name is Ann", "remember that tea is at five", "what do you know about me?");
    assert.match(all, /Ann/);
    assert.match(all, /tea is at five/);
  });

  it("repeats what was said before", async () => {
    assert.match(await last("The cat sleeps", "What did I just say?"), /The cat sleeps/);
    assert.match(await last("what did I say?"), /first thing/);
    assert.equal(await last('say "good evening"'), "good evening");
  });

  it("tells time and date by the clock it is given", async () => {
    assert.equal(await last("What time is it?"), "It is 12:30.");
    assert.match(await last("what's the date today?"), /4 May 2026/);
  });

  it("does sums without running code", async () => {
    assert.equal(await last("What is 12 * (3 + 4)?"), "That is 84.");
    const sums: [string, string | undefined][] = [
      ["2+2", "4"],
      ["what is 20% of 80", "16"],
      ["how much is 7 times 6?", "42"],
      ["1,000 + 1", "1001"],
      ["0.1 + 0.2", "0.3"],
      ["2 ^ 10", "1024"],
      ["-3 - -4", "1"],
      ["10 divided by 4", "2.5"],
      ["3 x 4", "12"],
      ["2026-05-04", undefined],
      ["process.exit(1)", undefined],
      ["1 +", undefined],
      ["(1 + 2", undefined],
      ["hello", undefined],
      ["5", undefined],
    ];
    for (const [sum, result] of sums) assert.equal(workOut(sum), result, sum);
    assert.match(workOut("1/0") ?? "", /division by zero/);
    assert.equal(workOut(`${"(".repeat(140)}1+1${")".repeat(140)}`), undefined);
  });

  it("tells another joke when asked again", async () => {
    const [first, second] = await talk(["tell me a joke", "another one"]);
    assert.notEqual(first, second);
  });

  it("plays the part that its instructions give, and still says what it is", async () => {
    const [answer] = await talk(["who are you?"], "You are Bob, a pirate. Today is Monday.");
    assert.match(answer as string, /I am Bob, played by Redclaw's built-in demo model, not a real AI/);
    const [plain] = await talk(["who are you?"], "You are a helpful assistant.");
    assert.match(plain as string, /^I am Redclaw's/);
  });

  it("calls the tool that fits the words, with parameters from the text, then answers from its result", async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: "user", content: "How is the weather in Lisbon today?" },
    ];
    const first = await client().chat.completions.create({ model: "demo", messages, tools: [weather] });
    const call = first.choices[0]?.message.tool_calls?.[0];
    assert.equal(first.choices[0]?.finish_reason, "tool_calls");
    assert(call?.type === "function");
    assert.equal(call.function.name, "get_weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Lisbon", unit: "celsius" });
    messages.push(first.choices[0]?.message as OpenAI.ChatCompletionMessage);
    messages.push({ role: "tool", tool_call_id: call.id, content: '{"temperature":21,"sky":"clear"}' });
    const second = await client().chat.completions.create({ model: "demo", messages, tools: [weather] });
    assert.match(second.choices[0]?.message.content ?? "", /temperature: 21, sky: clear/);
  });

  it("leaves tools alone that do not fit, and obeys tool_choice", async () => {
    const ask = (content: string, choice?: OpenAI.ChatCompletionToolChoiceOption) =>
      client()
        .chat.completions.create({
          model: "demo",
          messages: [{ role: "user", content }],
          tools: [weather],
          ...(choice && { tool_choice: choice }),
        })
        .then((completion) => completion.choices[0]?.message.tool_calls?.length ?? 0);
    assert.equal(await ask("tell me a joke"), 0);
    assert.equal(await ask("weather in Rome?", "none"), 0);
    assert.equal(await ask("tell me a joke", "required"), 1);
  });

  it("streams the same answer that it gives in one piece", async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "hello" }];
    const whole = await client().chat.completions.create({ model: "demo", messages });
    const stream = await client().chat.completions.create({
      model: "demo",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let pieces = 0;
    let tokens = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.delta.content) pieces += 1;
      tokens = chunk.usage?.total_tokens ?? tokens;
    }
    assert.equal(text, whole.choices[0]?.message.content);
    assert(pieces > 3);
    assert.equal(tokens, whole.usage?.total_tokens);
  });

  it("lists itself as the one model, and refuses what is no request", async () => {
    const page = await client().models.list();
    assert.deepEqual(
      page.data.map((model) => model.id),
      ["demo"],
    );
    const raw = demoFetch();
    assert.equal(
      (await raw("http://demo.invalid/v1/chat/completions", { method: "POST", body: "{" })).status,
      400,
    );
    assert.equal((await raw("http://demo.invalid/v1/audio")).status, 404);
  });

  it("gives the same answer to the same conversation, in milliseconds, whatever the text", async () => {
    const say = demoFetch(() => noon);
    const ask = async (content: string) => {
      const body = JSON.stringify({ messages: [{ role: "user", content }] });
      return (await (
        await say("http://demo.invalid/v1/chat/completions", { method: "POST", body })
      ).json()) as OpenAI.ChatCompletion;
    };
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 200 }), async (text) => {
        const once = await ask(text);
        assert((once.choices[0]?.message.content?.length ?? 0) > 0);
        assert.deepEqual(await ask(text), once);
      }),
    );
    for (const text of [
      "what is my ".repeat(50_000),
      "1+".repeat(200_000),
      "my a is ".repeat(50_000),
      " ".repeat(1_000_000),
    ]) {
      const start = performance.now();
      await ask(text);
      assert(performance.now() - start < 500, `${text.slice(0, 12)} took ${performance.now() - start} ms`);
    }
  });
});
