/** What is remembered, and how much of it the model is shown. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { History, newestTurns } from "../../lib/ai/history";
import { cutToTokens, estimateTokens } from "../../lib/ai/tokens";
import type { ChatMessage } from "../../lib/ai/types";
import { memoryStore } from "../../lib/store/memory";

const store = memoryStore();
const open = (messages = 20, tokens = 8000) => new History(async () => store, { messages, tokens });
const turn = (question: string, answer: string): ChatMessage[] => [
  { role: "user", content: question },
  { role: "assistant", content: answer },
];

describe("history", () => {
  it("remembers turns in order, for each conversation by itself", async () => {
    await open().add("web:a:1", turn("one", "1"));
    await open().add("web:a:2", turn("other", "x"));
    await open().add("web:a:1", turn("two", "2"));
    assert.deepEqual(await open().read("web:a:1"), [...turn("one", "1"), ...turn("two", "2")]);
    assert.deepEqual(await open().read("web:a:3"), []);
  });

  it("shows and keeps no more messages than the window holds", async () => {
    const history = open(4);
    for (let index = 0; index < 10; index++) await history.add("many", turn(`q${index}`, `a${index}`));
    assert.deepEqual(await history.read("many"), [...turn("q8", "a8"), ...turn("q9", "a9")]);
    const row = await store.get("history", "many");
    assert.equal((row?.body as { messages: unknown[] } | undefined)?.messages.length, 4);
  });

  it("remembers nothing when memory is 0", async () => {
    await open(0).add("none", turn("q", "a"));
    assert.deepEqual(await open().read("none"), []);
  });

  it("ignores a row that it cannot read", async () => {
    await store.commit([{ put: { space: "history", key: "odd", value: { v: 9, messages: "?" }, at: 1 } }]);
    assert.deepEqual(await open().read("odd"), []);
  });

  it("cuts one huge message instead of forgetting everything else", async () => {
    const history = open(20, 1000);
    await history.add("huge", turn("small", "ok"));
    await history.add("huge", turn("x".repeat(10_000_000), "I see"));
    const messages = await history.read("huge");
    assert.equal(messages.length, 4);
    assert.match(messages[2]?.content ?? "", /\(shortened\)$/);
    assert(messages.reduce((sum, message) => sum + estimateTokens(message.content), 0) < 1000);
  });

  const text = fc.string({ unit: "grapheme", maxLength: 300 });
  const anyTurn = fc
    .tuple(text, fc.array(fc.array(text, { minLength: 1, maxLength: 3 }), { maxLength: 2 }), text)
    .map(([question, rounds, answer]): ChatMessage[] => [
      { role: "user", content: question },
      ...rounds.flatMap((results, round): ChatMessage[] => [
        {
          role: "assistant",
          content: "",
          toolCalls: results.map((_, index) => ({ id: `${round}-${index}`, name: "t", arguments: "{}" })),
        },
        ...results.map(
          (content, index): ChatMessage => ({ role: "tool", toolCallId: `${round}-${index}`, content }),
        ),
      ]),
      { role: "assistant", content: answer },
    ]);

  it("stays within both limits, ends with the newest turn, and never parts a tool call from its result", () => {
    fc.assert(
      fc.property(
        fc.array(anyTurn, { maxLength: 12 }),
        fc.nat(20),
        fc.integer({ min: 0, max: 2000 }),
        (turns, messages, tokens) => {
          const all = turns.flat();
          const kept = newestTurns(all, { messages, tokens });
          const spoken = kept.filter(
            (message) => message.role === "user" || (message.role === "assistant" && !message.toolCalls),
          );
          assert(spoken.length <= messages);
          assert(kept.reduce((sum, message) => sum + estimateTokens(message.content), 0) <= tokens);
          if (kept.length > 0) {
            assert.equal(kept[0]?.role, "user");
            assert.equal(kept.at(-1)?.role, all.at(-1)?.role);
          }
          const waiting = new Set<string>();
          for (const message of kept) {
            if (message.role === "tool") assert(waiting.delete(message.toolCallId));
            else assert.equal(waiting.size, 0);
            if (message.role === "assistant")
              for (const call of message.toolCalls ?? []) waiting.add(call.id);
          }
          assert.equal(waiting.size, 0);
        },
      ),
    );
  });

  it("cuts text inside the limit and never inside a character", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 400 }),
        fc.integer({ min: 6, max: 100 }),
        (text, tokens) => {
          const cut = cutToTokens(text, tokens);
          assert(estimateTokens(cut) <= tokens);
          const kept = cut === text ? text : cut.replace(/ \[\.\.\.\] \(shortened\)$/, "");
          assert(text.startsWith(kept));
          assert(!/[\uD800-\uDBFF]$/.test(kept));
        },
      ),
    );
  });
});
