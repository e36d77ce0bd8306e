import assert from "node:assert/strict";
import fc from "fast-check";
import { toDialect, toPlain } from "../../lib/message/markdown";
import { documentOf, render } from "../../lib/message/render";
import type { Dialect, TextUnit } from "../../lib/message/types";
import { measure } from "../../lib/message/units";
import { answer, corpus, cpuMs, essence } from "./corpus";
import { parseTelegramHtml } from "./telegram-html";

const UNITS: TextUnit[] = ["utf16", "codepoints", "bytes", "graphemes"];
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

const graphemes = (text: string): string[] => [...segmenter.segment(text)].map(({ segment }) => segment);

function parts(markdown: string, max: number, dialect: Dialect = "html", unit: TextUnit = "utf16"): string[] {
  return render(documentOf(markdown), dialect, { max, unit }).map(({ text }) => text);
}

describe("where a text is cut", () => {
  it("between paragraphs, if it can", () => {
    assert.deepEqual(parts("One two.\nThree.\n\nFour five six seven.", 30), [
      "One two.\nThree.",
      "Four five six seven.",
    ]);
  });
  it("else between lines and list items", () => {
    assert.deepEqual(parts("- apples and pears\n- bread. And butter\n- milk", 42), [
      "• apples and pears\n• bread. And butter",
      "• milk",
    ]);
  });
  it("else between sentences", () => {
    assert.deepEqual(parts("It rains. The sun comes. We go out now", 30), [
      "It rains. The sun comes.",
      "We go out now",
    ]);
    assert.deepEqual(parts("今天下雨。明天晴天。我们去公园玩吧", 12), [
      "今天下雨。明天晴天。",
      "我们去公园玩吧",
    ]);
  });
  it("else between words", () => {
    assert.deepEqual(parts("alpha beta gamma delta", 12), ["alpha beta", "gamma delta"]);
  });
  it("else between graphemes", () => {
    assert.deepEqual(parts("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert.deepEqual(parts("👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 25), ["👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"]);
  });
  it("never in an address that fits a message", () => {
    assert.deepEqual(parts("go https://a.example/very/long/path/of/40", 40), [
      "go",
      "https://a.example/very/long/path/of/40",
    ]);
  });
  it("never in a link", () => {
    assert.deepEqual(parts("see now [the long label](https://a.example) please", 20), [
      "see now",
      '<a href="https://a.example">the long label</a>',
      "please",
    ]);
  });
  it("before a code block that fits a message, not inside it", () => {
    assert.deepEqual(parts("Some words first, then code:\n\n```js\na = 1;\nb = 2;\n```", 32), [
      "Some words first, then code:",
      '<pre><code class="language-js">a = 1;\nb = 2;</code></pre>',
    ]);
  });
});

describe("what is open at a cut", () => {
  it("is closed and opened again", () => {
    assert.deepEqual(parts("**alpha _beta gamma_ delta**", 11), [
      "<b>alpha <i>beta</i></b>",
      "<b><i>gamma</i> delta</b>",
    ]);
  });
  it("a code block goes on with its language and its indentation", () => {
    assert.deepEqual(parts("```python\ndef f():\n    return 1\n```", 16), [
      '<pre><code class="language-python">def f():</code></pre>',
      '<pre><code class="language-python">    return 1</code></pre>',
    ]);
    assert.deepEqual(parts("```python\ndef f():\n    return 1\n```", 30, "markdown"), [
      "```python\ndef f():\n```",
      "```python\n    return 1\n```",
    ]);
  });
  it("a long link is cut into links", () => {
    assert.deepEqual(parts("[alpha beta](https://a.example)", 6), [
      '<a href="https://a.example">alpha</a>',
      '<a href="https://a.example">beta</a>',
    ]);
  });
});

describe("markdown sent as markdown", () => {
  it("goes out as its author wrote it, block by block", () => {
    const source = "# Title\n\n* one\n* two\n\n```js\nx\n```\n\n[a]( https://a.example )";
    assert.deepEqual(parts(source, 1000, "markdown"), [source]);
    assert.deepEqual(parts(source, 30, "markdown"), [
      "# Title\n\n* one\n* two",
      "```js\nx\n```",
      "[a]( https://a.example )",
    ]);
  });
  it("is escaped when it was plain text", () => {
    const text = "# no *title*\n1. [x] <b>\n    code? &amp; a_b";
    const [part] = render(documentOf(text, "plain"), "markdown", { max: 1000, unit: "utf16" });
    assert.equal(toPlain(part?.text ?? "").replaceAll("\u00a0", " "), text);
  });
});

describe("every part, for every unit and dialect", () => {
  const limits = [1, 2, 7, 20, 64, 400, 4096];

  function check(text: string, max: number, unit: TextUnit): void {
    const limit = { max, unit };
    const where = () => `${JSON.stringify(text)} at ${max} ${unit}`;
    const html = render(documentOf(text), "html", limit).map((part) => {
      const { text: seen } = parseTelegramHtml(part.text);
      assert.ok(fits(seen, max, unit), `visible: ${where()}`);
      assert.ok(fits(part.plain, max, unit), `second try: ${where()}`);
      assert.notEqual(seen.trim(), "", where());
      assert.ok(seen.isWellFormed(), where());
      return seen;
    });
    const whole = parseTelegramHtml(toDialect(text, "html")).text;
    if (whole.trim() !== "") assert.equal(essence(html.join("")), essence(whole), where());
    const plain = render(documentOf(text), "plain", limit).map((part) => {
      assert.ok(fits(part.text, max, unit), `plain: ${where()}`);
      assert.notEqual(part.text.trim(), "", where());
      return part.text;
    });
    if (toPlain(text).trim() !== "") assert.equal(essence(plain.join("")), essence(toPlain(text)), where());
    for (const part of render(documentOf(text), "markdown", limit)) {
      assert.ok(fits(part.text, max, unit), `markdown: ${where()} ${part.text}`);
      assert.notEqual(part.text.trim(), "", where());
    }
  }

  /** One code point alone may be longer than a message of one unit. */
  function fits(text: string, max: number, unit: TextUnit): boolean {
    return measure(text, unit) <= max || [...text].length === 1;
  }

  for (const unit of UNITS) {
    it(`is within the limit in ${unit}, none is empty, nothing is lost: specification, naughty strings`, () => {
      for (const text of corpus) for (const max of limits) check(text.toWellFormed(), max, unit);
    });
    it(`... and for anything else in ${unit}`, () => {
      const text = fc.oneof(
        fc.string({ unit: "grapheme", maxLength: 200 }),
        fc.lorem({ maxCount: 60 }),
        fc
          .array(
            fc.constantFrom(
              ..."*_`#>-[]()|~<&\n \\!1.a".split(""),
              "é",
              "🇩🇪",
              "e\u0301\u0302",
              "क्षि",
              "\n\n",
              "](https://a.example)",
              "word ",
            ),
            { maxLength: 80 },
          )
          .map((all) => all.join("")),
      );
      fc.assert(
        fc.property(text, fc.integer({ min: 1, max: 120 }), (markdown, max) => check(markdown, max, unit)),
        { numRuns: 400 },
      );
    });
  }

  it("holds whole graphemes, as long as one fits", () => {
    const text =
      "👨‍👩‍👧‍👦🇩🇪🇫🇷e\u0301각नमस्ते क्षि 👍🏽 a\u200db ✊🏿\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}ก็ ".repeat(
        6,
      );
    const all = graphemes(text).filter((grapheme) => grapheme.trim() !== "");
    for (const unit of UNITS) {
      const longest = Math.max(...all.map((grapheme) => measure(grapheme, unit)));
      for (let max = longest; max < longest + 40; max++) {
        const cut = render(documentOf(text), "html", { max, unit }).flatMap((part) => graphemes(part.text));
        assert.deepEqual(
          cut.filter((grapheme) => grapheme.trim() !== ""),
          all,
          `${max} ${unit}`,
        );
      }
    }
  });

  it("holds a grapheme longer than a message in pieces, not in half characters", () => {
    const zalgo = `a${"\u0301".repeat(500)}b`;
    for (const unit of UNITS.slice(0, 3)) {
      assert.equal(parts(zalgo, 40, "html", unit).join(""), zalgo);
    }
    assert.ok(parts(`${"\u{1f468}\u200d".repeat(300)}`, 41).every((part) => part.isWellFormed()));
  });

  it("read again as markdown says the same words", () => {
    const words = (text: string): string => text.replace(/[^\p{L}\p{N}]/gu, "");
    for (const max of [60, 90, 200, 700]) {
      const again = parts(answer, max, "markdown").map(toPlain).join("\n");
      assert.equal(words(again), words(toPlain(answer)), String(max));
    }
  });

  it("has at most 100 marks in Telegram, which shows no more", () => {
    const text = "**a** `b` ".repeat(300);
    for (const part of parts(text, 4096)) assert.ok(parseTelegramHtml(part).entities.length <= 100);
  });

  it("has markup of a sane size, however long the addresses", () => {
    const text = `[a](https://a.example/${"x".repeat(1500)}) `.repeat(40);
    const all = parts(text, 4096);
    assert.ok(all.every((part) => part.length < 4096 * 4));
    assert.equal(essence(all.map((part) => parseTelegramHtml(part).text).join("")), "a".repeat(40));
  });
});

describe("a text of up to a million characters", () => {
  for (const [name, piece] of Object.entries({
    words: "Hello **there**. ",
    paragraphs: "A `b` c\n\n",
    "one word": "x",
    flags: "🇩🇪",
    Chinese: "漢字",
    marks: "e\u0301",
    lists: "- a\n",
  })) {
    it(`of ${name} is cut in under two seconds`, () => {
      // Up to 300,000 characters are read as Markdown.
      for (const [size, max, unit] of [
        [1_000_000, 4096, "utf16"],
        [299_990, 4096, "utf16"],
        [1_000_000, 350, "bytes"],
        [299_990, 350, "graphemes"],
      ] as const) {
        const text = piece.repeat(size / piece.length);
        const start = cpuMs();
        const all = parts(text, max, "html", unit);
        const took = cpuMs() - start;
        assert.ok(all.length > 20);
        assert.ok(took < 2000, `${Math.round(took)} ms for ${size} at ${max} ${unit}`);
      }
    });
  }
});
