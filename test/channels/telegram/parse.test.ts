/** Telegram's updates become events; whatever comes, parsing neither throws nor invents. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { MessageEvent } from "../../../lib/message/types";
import { parse } from "../../../nodes/channels/telegram/parse";

const updates = JSON.parse(
  readFileSync(join(__dirname, "../../fixtures/telegram/updates.json"), "utf8"),
) as Record<string, { update_id: number }>;
const me = { id: 123456789, username: "crayfish_test_bot" };

const read = (name: string): MessageEvent[] => {
  assert.ok(updates[name], `no fixture ${name}`);
  return parse(updates[name], me, "acc1");
};
const one = (name: string): MessageEvent => {
  const events = read(name);
  assert.equal(events.length, 1, `${name} gives one event`);
  return events[0] as MessageEvent;
};

describe("telegram parse: messages", () => {
  it("a text becomes a message event with who, where and when", () => {
    assert.deepEqual(one("text"), {
      v: 1,
      id: `telegram:acc1:${updates["text"]?.update_id}`,
      kind: "message",
      channel: "telegram",
      account: "acc1",
      conversation: { id: "4242", kind: "direct", name: "Ada Lovelace" },
      sender: { id: "4242", name: "Ada Lovelace", handle: "ada_l", isBot: false, locale: "pt-br" },
      text: "Hello there",
      mentionsMe: false,
      attachments: [],
      messageId: "11",
      timestamp: "2025-10-09T08:53:20.000Z",
      trusted: false,
    });
  });

  it("the platform's own update is kept only when the account asks for it", () => {
    const [event] = parse(updates["text"], me, "acc1", { raw: true });
    assert.deepEqual(event?.raw, updates["text"]);
    assert.equal("raw" in one("text"), false);
  });

  it("formatting becomes markdown, and code keeps its language and its stars", () => {
    assert.equal(
      one("formatted").text,
      "**bold** _italic_ **_both_** `code` ~~strike~~ ||secret|| [link](https://example.com/x?a=1&b=2) Bob #tag https://example.com/a_b",
    );
    assert.equal(one("pre").text, 'Look:\n```python\nprint("*hi*")\n```\nDone');
  });

  it("every kind of file comes as an attachment of its kind", () => {
    const [photo] = one("photo").attachments;
    assert.deepEqual(photo, { kind: "image", mime: "image/jpeg", size: 81234, ref: "AgACAgIAAxkBAAIBlarge" });
    assert.equal(one("photo").text, "my **cat** 🐈");
    const kinds = ["voice", "audio", "video", "video_note", "animation", "document", "sticker"].map(
      (name) => {
        const { attachments } = one(name);
        assert.equal(attachments.length, 1, name);
        return [name, attachments[0]?.kind, attachments[0]?.mime];
      },
    );
    assert.deepEqual(kinds, [
      ["voice", "voice", "audio/ogg"],
      ["audio", "audio", "audio/mpeg"],
      ["video", "video", "video/mp4"],
      ["video_note", "video", "video/mp4"],
      ["animation", "video", "video/mp4"],
      ["document", "file", "application/pdf"],
      ["sticker", "sticker", "image/webp"],
    ]);
    assert.equal(one("document").attachments[0]?.name, "Rechnung März.pdf");
    assert.equal(one("voice").attachments[0]?.duration, 3);
    assert.equal(one("sticker").text, "😀");
  });

  it("places and contacts are attachments with their details, dice and polls are told in words", () => {
    assert.deepEqual(one("location").attachments, [
      { kind: "location", ref: "geo:38.7223,-9.1393", latitude: 38.7223, longitude: -9.1393 },
    ]);
    assert.equal(one("venue").attachments[0]?.name, "Café A_B");
    assert.equal(one("venue").text, "Café A_B, Rua 1");
    assert.deepEqual(one("contact").attachments, [
      { kind: "contact", name: "Grace Hopper", ref: "tel:+351900000000", phone: "+351900000000" },
    ]);
    assert.equal(one("dice").text, "🎲 5");
    assert.equal(one("poll").text, "Pizza?\n- Yes\n- No");
  });

  it("an edit says edit, with the time of the edit", () => {
    const event = one("edited");
    assert.equal(event.kind, "edit");
    assert.equal(event.messageId, "11");
    assert.equal(event.timestamp, "2025-10-09T08:54:20.000Z");
  });

  it("a channel's post has the channel as its sender", () => {
    const event = one("channel_post");
    assert.deepEqual(event.conversation, { id: "-1001555555555", kind: "channel", name: "Garden news" });
    assert.equal(event.sender.id, "-1001555555555");
    assert.equal(one("edited_channel_post").kind, "edit");
    assert.equal(one("anonymous_admin").sender.id, "-1001234567890");
    assert.equal(one("anonymous_admin").sender.isBot, false);
  });

  it("a topic is a thread, and its opening message is nothing to reply to", () => {
    const event = one("topic");
    assert.equal(event.conversation.thread, "5");
    assert.equal(event.replyTo, undefined);
    assert.equal(one("topic_reply").replyTo, "35");
    assert.equal(one("topic_reply").mentionsMe, true);
    assert.equal(one("thread_without_topic").conversation.thread, undefined);
  });

  it("own messages, pins, migrations and kinds nobody knows give nothing", () => {
    for (const name of [
      "own_message",
      "own_channel_post_signed",
      "pinned",
      "migrated",
      "poll_answer",
      "unknown_kind",
      "bot_promoted",
      "chat_member_restricted",
    ]) {
      assert.deepEqual(read(name), [], name);
    }
  });
});

describe("telegram parse: who is meant", () => {
  it("a command has a name and its arguments", () => {
    const event = one("command");
    assert.equal(event.kind, "command");
    assert.deepEqual(event.command, { name: "start", args: "deep_link 7" });
    assert.equal(event.text, "/start deep_link 7");
    assert.equal(event.mentionsMe, false);
  });

  it("a command with the bot's name is for the bot, in any case of letters", () => {
    const event = one("command_for_us");
    assert.equal(event.kind, "command");
    assert.deepEqual(event.command, { name: "light", args: "on please" });
    assert.equal(event.text, "/Light on please");
    assert.equal(event.mentionsMe, true);
  });

  it("a command for another bot is an ordinary message", () => {
    const event = one("command_for_another");
    assert.equal(event.kind, "message");
    assert.equal(event.command, undefined);
    assert.equal(event.mentionsMe, false);
  });

  it("a mention behind emoji is found by UTF-16 offsets and taken out with its space", () => {
    const event = one("mention_after_emoji");
    assert.equal(event.mentionsMe, true);
    assert.equal(event.text, "🦞👩‍👩‍👧 hey, is it on?");
    assert.equal(one("mention_first").text, "turn it off");
  });

  it("a mention without a user name counts, somebody else's mention stays", () => {
    const event = one("text_mention");
    assert.equal(event.mentionsMe, true);
    assert.equal(event.text, "and @someone_else");
  });

  it("an answer to the bot is meant for it, an answer to somebody else is not", () => {
    assert.equal(one("reply_to_bot").mentionsMe, true);
    assert.equal(one("reply_to_bot").replyTo, "9");
    assert.equal(one("reply_to_other").mentionsMe, false);
  });

  it("only a mention still is a message: somebody called", () => {
    const update = {
      update_id: 1,
      message: {
        message_id: 1,
        from: { id: 5, is_bot: false, first_name: "A" },
        chat: { id: -5, type: "group", title: "G" },
        date: 1,
        text: "@crayfish_test_bot",
        entities: [{ type: "mention", offset: 0, length: 18 }],
      },
    };
    const [event] = parse(update, me, "acc1");
    assert.equal(event?.text, "");
    assert.equal(event?.mentionsMe, true);
  });
});

describe("telegram parse: buttons, reactions, coming and going", () => {
  it("a button brings its value, its label and the message it stands on", () => {
    const event = one("callback");
    assert.equal(event.kind, "button");
    assert.deepEqual(event.button, { value: "off", label: "Lights off", messageId: "42" });
    assert.equal(event.sender.id, "4242");
    assert.deepEqual(one("callback_inaccessible").button, { value: "on", messageId: "43" });
  });

  it("a long button value comes back whole", () => {
    const [event] = parse(updates["callback"], me, "acc1", { buttonValue: () => "the whole story" });
    assert.equal(event?.button?.value, "the whole story");
  });

  it("a changed reaction is one added and one removed, with ids of their own", () => {
    assert.deepEqual(one("reaction_added").reaction, { emoji: "👍", added: true, messageId: "9" });
    const changed = read("reaction_changed");
    assert.deepEqual(
      changed.map(({ reaction }) => [reaction?.emoji, reaction?.added]),
      [
        ["🔥", true],
        ["👍", false],
      ],
    );
    assert.notEqual(changed[0]?.id, changed[1]?.id);
    assert.equal(one("reaction_removed").reaction?.added, false);
    assert.equal(one("reaction_removed").sender.id, "-1001234567890");
  });

  it("three people who come at once are as many events, without the bot itself", () => {
    const events = read("new_members");
    assert.deepEqual(
      events.map(({ kind, sender }) => [kind, sender.id]),
      [
        ["join", "777001"],
        ["join", "777002"],
      ],
    );
  });

  it("the two updates that tell of one person's coming have one id, so the ledger keeps one", () => {
    assert.equal(one("chat_member_joined").id, read("new_members")[0]?.id);
    assert.equal(one("left_member").kind, "leave");
    assert.equal(one("chat_member_kicked").kind, "leave");
    assert.equal(one("chat_member_kicked").sender.id, "777001");
  });

  it("the bot's own coming and going is told by the person who did it", () => {
    const added = one("bot_added");
    assert.deepEqual([added.kind, added.sender.id, added.mentionsMe], ["join", "4242", true]);
    const blocked = one("bot_blocked");
    assert.deepEqual([blocked.kind, blocked.conversation.kind], ["leave", "direct"]);
  });
});

describe("telegram parse: bad input", () => {
  const message = (extra: object) => ({
    update_id: 1,
    message: { message_id: 1, from: { id: 5 }, chat: { id: 5, type: "private" }, date: 1, ...extra },
  });

  it("what is no update gives nothing", () => {
    for (const bad of [
      null,
      undefined,
      7,
      "x",
      [],
      {},
      { update_id: "1" },
      { update_id: 1, message: null },
    ]) {
      assert.deepEqual(parse(bad, me, "acc1"), []);
    }
    assert.deepEqual(parse(message({ chat: { id: "5" } }), me, "acc1"), []);
    assert.deepEqual(parse(message({ from: null, text: "hi" }), me, "acc1"), []);
  });

  it("fields of the wrong type are as good as absent", () => {
    const bad = {
      photo: [null],
      voice: 5,
      document: "x",
      location: { latitude: "1" },
      entities: 7,
      text: 42,
    };
    assert.deepEqual(parse(message(bad), me, "acc1"), []);
    const [event] = parse(message({ text: "hi", date: "soon", entities: [null, { type: 1 }] }), me, "acc1");
    assert.equal(event?.text, "hi");
    assert.ok(!Number.isNaN(Date.parse(event?.timestamp ?? "")));
  });

  it("entities that lie about the text change nothing in it", () => {
    const entities = [
      { type: "bold", offset: -3, length: 5 },
      { type: "bold", offset: 1, length: 1e9 },
      { type: "italic", offset: 99, length: 3 },
      { type: "code", offset: 1.5, length: 2 },
    ];
    const [event] = parse(message({ text: "abc", entities }), me, "acc1");
    assert.equal(event?.text.replaceAll("*", ""), "abc");
  });

  it("half characters and NUL become the replacement sign", () => {
    const [event] = parse(message({ text: "a\ud83dz\0b" }), me, "acc1");
    assert.equal(event?.text, "a\uFFFDz\uFFFDb");
    assert.equal(JSON.stringify(event).includes("\\u0000"), false);
  });

  it("a __proto__ in an update reaches nobody's prototype", () => {
    const update = JSON.parse(
      '{"update_id":1,"__proto__":{"polluted":1},"message":{"message_id":1,"from":{"id":5,"__proto__":{"isBot":true}},"chat":{"id":5,"type":"private"},"date":1,"text":"hi","entities":[{"type":"__proto__","offset":0,"length":2},{"type":"constructor","offset":0,"length":1}]}}',
    ) as unknown;
    const [event] = parse(update, me, "acc1");
    assert.equal(event?.text, "hi");
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  it("10 MB of text with ten thousand entities is read in a few seconds", () => {
    const text = "_*~`[x](y) 🦞\n".repeat(700_000);
    const entities = Array.from({ length: 10_000 }, (_, index) => ({
      type: "bold",
      offset: index * 10,
      length: 5,
    }));
    const started = Date.now();
    const [event] = parse(message({ text, entities }), me, "acc1");
    assert.ok((event?.text.length ?? 0) > text.length);
    assert.ok(Date.now() - started < 8000, `took ${Date.now() - started} ms`);
  });

  it("whatever JSON stands in an update, parsing does not throw and what it gives is plain JSON", () => {
    const keys = [...new Set(JSON.stringify(updates).match(/(?<=")\w+(?=":)/g))];
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "medium" },
        fc.constantFrom(null, true, 0, -1, 5, 1.5, 1e300, "", "x", "@crayfish_test_bot", "private", "\ud800"),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys, "__proto__"), tie("any"), { maxKeys: 8 }),
      ),
    })).any;
    const broken = fc.tuple(
      fc.constantFrom(...Object.values(updates)),
      fc.array(fc.tuple(fc.nat(), value), { maxLength: 4 }),
    );
    fc.assert(
      fc.property(broken, ([update, changes]) => {
        const copy = structuredClone(update) as unknown;
        for (const [where, what] of changes) replaceSomewhere(copy, where, what);
        for (const event of parse(copy, me, "acc1")) {
          assert.deepEqual(JSON.parse(JSON.stringify(event)), event);
          assert.equal(typeof event.text, "string");
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** Puts `what` in the place of the `where`-th value inside. */
function replaceSomewhere(root: unknown, where: number, what: unknown): void {
  const places: [Record<string, unknown>, string][] = [];
  const walk = (value: unknown) => {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      if (key !== "update_id") places.push([value as Record<string, unknown>, key]);
      walk((value as Record<string, unknown>)[key]);
    }
  };
  walk(root);
  const place = places[where % places.length];
  if (place) place[0][place[1]] = structuredClone(what);
}
