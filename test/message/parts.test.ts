import assert from "node:assert/strict";
import type { FilePart, TextPart } from "../../lib/channel/define";
import { type Action, toActions } from "../../lib/message/parts";
import type { Capabilities, Response } from "../../lib/message/types";
import { can, corpus } from "./corpus";

const text = (words: string, more: Partial<TextPart> = {}): Action => ({
  do: "send",
  part: { kind: "text", text: words, plain: words, ...more },
});
const without = (...names: (keyof Capabilities)[]): Capabilities => ({
  ...can,
  ...Object.fromEntries(names.map((name) => [name, false])),
});
const NO_FILES = without("images", "audio", "voice", "video", "files");
const yesNo = [
  [
    { label: "Yes", value: "yes" },
    { label: "No", value: "no" },
  ],
];

describe("what a channel is asked to do", () => {
  it("a text is one message", () => {
    assert.deepEqual(toActions({ text: "Hello" }, can), [text("Hello")]);
  });
  it("markdown comes in the dialect and without markup, for a second try", () => {
    assert.deepEqual(toActions({ text: "**Hi** [x](https://a.example)" }, can), [
      text('<b>Hi</b> <a href="https://a.example">x</a>', { plain: "Hi x (https://a.example)" }),
    ]);
  });
  it("plain text is never read as markdown", () => {
    assert.deepEqual(toActions({ text: "*no* <b> & _x_", format: "plain" }, can), [
      text("*no* &lt;b&gt; &amp; _x_", { plain: "*no* <b> & _x_" }),
    ]);
    assert.deepEqual(toActions({ text: "  *no*\n\n\n  x", format: "plain" }, { ...can, dialect: "plain" }), [
      text("  *no*\n\n\n  x"),
    ]);
  });
  it("a long text becomes several, the answer stands on the first and buttons on the last", () => {
    const actions = toActions(
      { text: "alpha beta gamma", buttons: yesNo, silent: true, replyTo: "auto" },
      { ...can, text: { max: 11, unit: "utf16" } },
      { replyTo: "7" },
    );
    assert.deepEqual(actions, [
      text("alpha beta", { silent: true, replyTo: "7" }),
      text("gamma", { silent: true, buttons: yesNo }),
    ]);
  });
  it("typing, delete and reaction are steps of their own", () => {
    assert.deepEqual(toActions({ typing: true }, can), [{ do: "typing" }]);
    assert.deepEqual(toActions({ delete: "5" }, can), [{ do: "delete", messageId: "5" }]);
    assert.deepEqual(toActions({ reaction: "👍", text: "ok" }, can), [
      { do: "react", emoji: "👍" },
      text("ok"),
    ]);
    assert.deepEqual(toActions({ reaction: "" }, can), [{ do: "react", emoji: "" }]);
  });
  it("an edit replaces the message, what does not fit follows", () => {
    const small: Capabilities = { ...can, text: { max: 5, unit: "utf16" } };
    assert.deepEqual(toActions({ edit: "9", text: "alpha beta" }, small), [
      { do: "edit", messageId: "9", part: { kind: "text", text: "alpha", plain: "alpha" } },
      text("beta"),
    ]);
  });
  it("an answer to auto is one only when the caller knows to what", () => {
    assert.deepEqual(toActions({ text: "a", replyTo: "auto" }, can), [text("a")]);
    assert.deepEqual(toActions({ text: "a", replyTo: "3" }, can), [text("a", { replyTo: "3" })]);
    assert.deepEqual(toActions({ text: "a" }, without("replyTo"), { replyTo: "3" }), [text("a")]);
  });
});

describe("files", () => {
  const image = { kind: "image", url: "https://a.example/p.png" } as const;

  it("the text is the caption of the only one", () => {
    const [action] = toActions({ text: "**Look**", attachments: [image], buttons: yesNo, replyTo: "3" }, can);
    const part: FilePart = {
      kind: "file",
      file: image,
      caption: "<b>Look</b>",
      captionPlain: "Look",
      buttons: yesNo,
      replyTo: "3",
    };
    assert.deepEqual(action, { do: "send", part });
  });
  it("a text too long for a caption goes before", () => {
    const small: Capabilities = { ...can, text: { max: 100, unit: "utf16", caption: 5 } };
    assert.deepEqual(toActions({ text: "Look at this", attachments: [image] }, small), [
      text("Look at this"),
      { do: "send", part: { kind: "file", file: image } },
    ]);
  });
  it("so does one on a channel without captions, and one for several files", () => {
    const plainCan: Capabilities = { ...can, text: { max: 100, unit: "utf16" } };
    assert.equal(toActions({ text: "Look", attachments: [image] }, plainCan).length, 2);
    assert.equal(toActions({ text: "Look", attachments: [image, image] }, can).length, 3);
  });
  it("each keeps its own caption", () => {
    const actions = toActions(
      {
        text: "Two:",
        attachments: [
          { ...image, caption: "_a_" },
          { ...image, caption: "b" },
        ],
      },
      can,
    );
    assert.deepEqual(
      actions.map(
        (action) =>
          action.do === "send" && (action.part.kind === "file" ? action.part.caption : action.part.text),
      ),
      ["Two:", "<i>a</i>", "b"],
    );
  });
  it("go as a plain file where their kind is unknown", () => {
    const [action] = toActions(
      { attachments: [{ kind: "voice", path: "/v.ogg" }] },
      without("voice", "audio"),
    );
    assert.deepEqual(action, { do: "send", part: { kind: "file", file: { kind: "file", path: "/v.ogg" } } });
  });
  it("become a link where there are none", () => {
    assert.deepEqual(toActions({ text: "Look", attachments: [{ ...image, name: "p.png" }] }, NO_FILES), [
      text('Look\n\n<a href="https://a.example/p.png">p.png</a>', {
        plain: "Look\n\np.png (https://a.example/p.png)",
      }),
    ]);
  });
  it("without an address become the fallback, or at least their name", () => {
    const attachments: Response["attachments"] = [{ kind: "file", data: "aGk=", name: "a.txt" }];
    assert.deepEqual(toActions({ attachments, fallback: "See the web page" }, NO_FILES), [
      text("See the web page"),
    ]);
    assert.deepEqual(toActions({ attachments }, NO_FILES), [text("📎 a.txt")]);
  });
});

describe("what a channel has not", () => {
  it("buttons become a numbered list", () => {
    const buttons = [[{ label: "*Yes*", value: "yes" }], [{ label: "Site", url: "https://a.example" }]];
    assert.deepEqual(toActions({ text: "Sure?", buttons }, without("buttons")), [
      text('Sure?\n\n1. *Yes*\n2. <a href="https://a.example">Site</a>', {
        plain: "Sure?\n\n1. *Yes*\n2. Site (https://a.example)",
      }),
    ]);
    const [action] = toActions(
      { text: "**Sure?**", buttons },
      { ...without("buttons"), dialect: "markdown" },
    );
    assert.deepEqual(
      action,
      text("**Sure?**\n\n1. \\*Yes\\*\n2. [Site](https://a.example)", {
        plain: "Sure?\n\n1. *Yes*\n2. Site (https://a.example)",
      }),
    );
  });
  it("too many buttons wrap, and the last ones are listed", () => {
    const buttons = Array.from({ length: 15 }, (_, row) => [{ label: `b${row + 1}`, value: "x" }]);
    const [action] = toActions({ text: "Choose", buttons }, can);
    assert.ok(action?.do === "send");
    assert.equal(action.part.buttons?.length, 12);
    assert.equal(action.part.kind === "text" && action.part.text, "Choose\n\n13. b13\n14. b14\n15. b15");
    const [wide] = toActions({ text: "Choose", buttons: [buttons.flat()] }, can);
    assert.deepEqual(wide?.do === "send" && wide.part.buttons?.map((row) => row.length), [8, 7]);
  });
  it("buttons alone come with a sign to hang on", () => {
    assert.deepEqual(toActions({ buttons: yesNo }, can), [text("👇", { buttons: yesNo })]);
  });
  it("an edit becomes a new message", () => {
    assert.deepEqual(toActions({ edit: "9", text: "new" }, without("edit")), [text("new")]);
  });
  it("typing, reaction and delete become nothing, or the fallback", () => {
    const poor = without("typing", "reactions", "delete", "silent");
    assert.deepEqual(toActions({ typing: true, reaction: "👍", delete: "1" }, poor), []);
    assert.deepEqual(toActions({ reaction: "👍", fallback: "Thank you", silent: true }, poor), [
      text("Thank you"),
    ]);
    assert.deepEqual(toActions({ reaction: "👍", fallback: "Thank you" }, can), [
      { do: "react", emoji: "👍" },
    ]);
  });
  it("words are shown, even when they are markup around nothing", () => {
    for (const words of ["```\n```", "#", "[a]: /x", "[](https://a.example)", "- ", ">", ...corpus]) {
      if (words.trim() === "") continue;
      for (const dialect of ["html", "plain", "markdown"] as const) {
        assert.notDeepEqual(toActions({ text: words }, { ...can, dialect }), [], words);
      }
    }
  });
});

describe("the time a short text takes", () => {
  const cost = (words: string): number => {
    for (let i = 0; i < 5000; i++) toActions({ text: words }, can);
    const start = process.cpuUsage().user;
    for (let i = 0; i < 5000; i++) toActions({ text: words }, can);
    return (process.cpuUsage().user - start) / 5000;
  };
  it("is a few microseconds without markup", () => {
    assert.ok(cost("Hello, how are you today?") < 20);
  });
});
