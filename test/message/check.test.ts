import assert from "node:assert/strict";
import fc from "fast-check";
import { RedclawError } from "../../lib/errors";
import { checkContext, checkEvent, checkResponse, toResponse } from "../../lib/message/check";
import type { ChatContext, MessageEvent } from "../../lib/message/types";
import { can } from "./corpus";

const event: MessageEvent = {
  v: 1,
  id: "telegram:a1:7",
  kind: "message",
  channel: "telegram",
  account: "a1",
  conversation: { id: "42", kind: "direct" },
  sender: { id: "42", name: "Ann", isBot: false },
  text: "Hello",
  mentionsMe: true,
  attachments: [],
  timestamp: "2026-01-31T12:00:00Z",
  trusted: false,
};
const chat: ChatContext = {
  v: 1,
  eventId: event.id,
  channel: "telegram",
  account: "a1",
  conversation: event.conversation,
  sender: event.sender,
  can,
};

/** Fails unless `run` is refused with this code and sentence. */
function refused(run: () => unknown, code: string, sentence?: string | RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof RedclawError, String(error));
    assert.equal(error.code, code, error.message);
    if (typeof sentence === "string") assert.equal(error.message, sentence);
    else if (sentence) assert.match(error.message, sentence);
    return true;
  });
}

describe("an event or msg.chat", () => {
  it("passes unharmed and keeps fields of later versions", () => {
    assert.deepEqual(checkEvent(event), event);
    assert.deepEqual(checkContext(chat), chat);
    assert.deepEqual(checkEvent({ ...event, mood: "good", sender: { ...event.sender, age: 3 } }), {
      ...event,
      mood: "good",
      sender: { ...event.sender, age: 3 },
    });
  });
  it("with a wrong type is refused with the name of the property", () => {
    refused(
      () => checkEvent({ ...event, sender: { id: 42, isBot: false } }),
      "bad-event",
      "The event.sender.id must be text.",
    );
    refused(() => checkEvent({ ...event, id: "" }), "bad-event", "The event.id must not be empty.");
    refused(
      () => checkEvent({ ...event, kind: "poll" }),
      "bad-event",
      /^The event\.kind must be one of "message", /,
    );
    refused(
      () => checkContext({ ...chat, conversation: undefined }),
      "bad-chat",
      "msg.chat.conversation is missing.",
    );
    refused(
      () => checkContext({ ...chat, can: { ...can, text: { max: "9", unit: "utf16" } } }),
      "bad-chat",
      "msg.chat.can.text.max must be a number.",
    );
    for (const value of [undefined, null, 1, "x", [], () => 1]) {
      refused(() => checkEvent(value), "bad-event");
      refused(() => checkContext(value), "bad-chat", "msg.chat must be an object.");
    }
  });
  it("loses NUL, control characters, lone surrogates and keys that reach a prototype", () => {
    const dirty = JSON.parse(
      JSON.stringify({ ...event, raw: {} }).replace(
        '"raw":{}',
        '"raw":{"__proto__":{"x":1},"constructor":{"y":2},"ok":1}',
      ),
    );
    dirty.text = "a\u0000b\ud800c\r\nd\te\u001bf";
    const clean = checkEvent(dirty);
    assert.equal(clean.text, "ab\ufffdc\nd\tef");
    assert.deepEqual(Object.keys(clean.raw as object), ["ok"]);
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });
  it("of 10 MB keeps its first million characters, and what is nested without end is cut", () => {
    assert.equal(checkEvent({ ...event, text: "x".repeat(10_000_000) }).text.length, 1_000_001);
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    assert.ok(JSON.stringify(checkEvent({ ...event, raw: { deep, circle } })).includes("[too deep]"));
  });
});

describe("msg.payload for a reply", () => {
  it("may be a string, a number, true or false", () => {
    assert.deepEqual(toResponse("Hello"), { text: "Hello" });
    assert.deepEqual(toResponse(21.5), { text: "21.5" });
    assert.deepEqual(toResponse(false), { text: "false" });
  });
  it("may be a Buffer: text if it is text, else a picture or file", () => {
    assert.deepEqual(toResponse(Buffer.from("Grüße")), { text: "Grüße" });
    assert.deepEqual(toResponse(Buffer.from("89504e470d0a1a0a00", "hex")), {
      attachments: [{ kind: "image", data: "iVBORw0KGgoA" }],
    });
    assert.deepEqual(toResponse(Buffer.from([0, 255])), { attachments: [{ kind: "file", data: "AP8=" }] });
  });
  it("may be the event itself: its text, and its files by reference", () => {
    assert.deepEqual(toResponse(event), { text: "Hello" });
    const attachments = [{ kind: "image", ref: "r1", size: 3 }, { kind: "location", ref: "r2" }, null];
    assert.deepEqual(toResponse({ ...event, text: "", attachments }), {
      text: "",
      attachments: [{ kind: "image", ref: "r1" }],
    });
  });
  it("may be a whole Response; unknown fields are left out", () => {
    const response = { text: "a", format: "plain", buttons: [[{ label: "x", value: "y" }]], silent: true };
    assert.deepEqual(toResponse({ ...response, usage: { tokens: 3 }, topic: 1 }), response);
    assert.deepEqual(toResponse({ text: "a", buttons: null, edit: undefined }), { text: "a" });
  });
  it("with nothing in it says where to put the answer", () => {
    const sentence = 'There is no text to send. Put the answer into msg.payload, for example "Hello".';
    const nothing = [
      "",
      " \n",
      "\u0000",
      null,
      undefined,
      {},
      { temperature: 21 },
      { text: "" },
      { silent: true, replyTo: "3" },
      { typing: false },
      { edit: "5" },
      { buttons: [[]] },
      Buffer.alloc(0),
      () => 1,
    ];
    for (const value of nothing) refused(() => toResponse(value), "no-text", sentence);
  });
  it("with a mistake says which property and shows a right one", () => {
    const cases: [unknown, string][] = [
      [{ text: 5 }, 'msg.payload.text must be text, for example "Hello".'],
      [{ buttons: [[{ label: 5 }]] }, 'msg.payload.buttons[0][0].label must be text, for example "Yes".'],
      [{ buttons: [[{}]] }, 'msg.payload.buttons[0][0].label is missing: set it, for example to "Yes".'],
      [
        { buttons: [{ label: "x" }] },
        'msg.payload.buttons[0] must be a list, for example [{ "label": "Yes", "value": "yes" }] (one row of buttons).',
      ],
      [
        { buttons: [[3]] },
        'msg.payload.buttons[0][0] must be an object, for example { "label": "Yes", "value": "yes" }.',
      ],
      [{ text: "a", format: "html" }, 'msg.payload.format must be one of "markdown", "plain".'],
      [{ text: "a", v: 2 }, "msg.payload.v must be 1."],
      [[1, 2], 'msg.payload is a list. Put one answer into it, for example "Hello".'],
    ];
    for (const [value, sentence] of cases) refused(() => toResponse(value), "bad-response", sentence);
  });
  it("a file has exactly one source, a Buffer becomes base64", () => {
    refused(
      () => checkResponse({ attachments: [{ kind: "image" }] }),
      "bad-response",
      /attachments\[0\] must have exactly one of url, path, data or ref, but it has none/,
    );
    refused(
      () => checkResponse({ attachments: [{ kind: "image", url: "https://a.example", path: "/x" }] }),
      "bad-response",
      /has several/,
    );
    for (const data of [Buffer.from("hi"), JSON.parse(JSON.stringify(Buffer.from("hi"))), "aGk="]) {
      assert.deepEqual(checkResponse({ attachments: [{ kind: "file", data }] }), {
        attachments: [{ kind: "file", data: "aGk=" }],
      });
    }
  });
  it("a button has a value or an address; a label alone is its value", () => {
    assert.deepEqual(checkResponse({ buttons: [[{ label: "Yes" }]] }).buttons, [
      [{ label: "Yes", value: "Yes" }],
    ]);
    refused(
      () => checkResponse({ buttons: [[{ label: "a", value: "b", url: "https://c.example" }]] }),
      "bad-response",
      /buttons\[0\]\[0\] must have either value/,
    );
  });
  it("of absurd size is refused clearly", () => {
    for (const value of [
      "x".repeat(10_000_000),
      { text: "x".repeat(10_000_000) },
      Buffer.alloc(2_000_000, "x"),
    ]) {
      refused(() => toResponse(value), "too-long", /has \d+\.0 million characters; at most 1 million/);
    }
    refused(
      () => toResponse({ buttons: [Array.from({ length: 5000 }, () => ({ label: "x" }))] }),
      "too-many",
    );
    refused(
      () => toResponse({ attachments: Array.from({ length: 5000 }, () => ({ kind: "file", path: "/x" })) }),
      "too-many",
    );
  });
  it("loses what could do harm", () => {
    const response = toResponse(
      JSON.parse(
        '{"text":"a\\u0000\\udc00","__proto__":{"polluted":1},"buttons":[[{"label":"x\\u0007","__proto__":{"url":"y"}}]]}',
      ),
    );
    assert.deepEqual(response, { text: "a\ufffd", buttons: [[{ label: "x", value: "x" }]] });
    assert.equal(Object.getPrototypeOf(response), Object.prototype);
  });
  it("is a Response or a sentence, whatever it is", () => {
    const anything = fc.oneof(
      fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withNullPrototype: true }),
      fc.record(
        {
          text: fc.anything(),
          buttons: fc.anything(),
          attachments: fc.array(fc.anything()),
          replyTo: fc.anything(),
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(anything, (value) => {
        try {
          const response = toResponse(value);
          assert.deepEqual(JSON.parse(JSON.stringify(response)), response);
          assert.deepEqual(checkResponse(response), response);
        } catch (error) {
          if (!(error instanceof RedclawError)) throw error;
          assert.match(error.message, /\.$/);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
