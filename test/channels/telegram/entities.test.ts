/** Telegram's text as markdown: what was typed is what anybody sees after rendering. */
import assert from "node:assert/strict";
import fc from "fast-check";
import MarkdownIt from "markdown-it";
import { cut, toMarkdown } from "../../../nodes/channels/telegram/entities";

const markdown = new MarkdownIt({ html: true, breaks: true });

/** The words a reader sees, without the markup. */
function seen(source: string): string {
  return markdown
    .render(source)
    .replace(/<(br|\/p|\/li|\/h\d|\/blockquote)[^>]*>\n?/g, "\n")
    .replace(/<[^>]+>/g, "")
    .replace(
      /&(lt|gt|amp|quot);/g,
      (_, name: string) => ({ lt: "<", gt: ">", amp: "&", quot: '"' })[name] as string,
    );
}

/** Spaces at the ends of lines and empty lines mean nothing in markdown. */
const tidy = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => line !== "")
    .join("\n");

describe("telegram entities -> markdown", () => {
  it("ordinary sentences stay as they were typed", () => {
    for (const text of [
      "Hello, world! It's 20:15 - 50% off (really).",
      "snake_case and 2 * 3 = 6, a | b, x < 5 && y > 3",
      "mail me at ada_l@example.com or see https://example.com/a_b?c=d&e=f#g",
      "#heating ~5 min [sure] C:\\temp",
      "@my_bot turn it on!",
      "Olá 🦞 – 你好",
    ]) {
      assert.equal(toMarkdown(text, []), text);
    }
  });

  it("what markdown would misread is escaped", () => {
    const cases: [string, string][] = [
      ["*not bold*", "\\*not bold\\*"],
      ["_not it_", "\\_not it\\_"],
      ["# not a heading", "\\# not a heading"],
      ["- no list", "\\- no list"],
      ["1. no list", "1\\. no list"],
      ["> no quote", "\\> no quote"],
      ["---", "\\---"],
      ["`x`", "\\`x\\`"],
      ["[x](y)", "[x\\](y)"],
      ["<b>x</b>", "\\<b>x\\</b>"],
      ["&lt;", "\\&lt;"],
      ["~~x~~", "\\~\\~x\\~\\~"],
    ];
    for (const [text, expected] of cases) {
      assert.equal(toMarkdown(text, []), expected);
      assert.equal(tidy(seen(expected)), text);
    }
  });

  it("any plain text is seen as it was typed", () => {
    const sign = fc.constantFrom(
      ..."*_~`[]()<>#+-=|{}.!&\\:/ \n\t1ax",
      "🦞",
      "é",
      "lt;",
      "&#35;",
      "](",
      "**",
      "~~",
      "- ",
      "1. ",
    );
    fc.assert(
      fc.property(
        fc.array(sign, { maxLength: 30 }).map((signs) => signs.join("")),
        (text) => {
          assert.equal(tidy(seen(toMarkdown(text, []))), tidy(text));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it("marks stand on the words, not on the spaces beside them", () => {
    assert.equal(toMarkdown("so bold now", [{ type: "bold", offset: 2, length: 6 }]), "so **bold** now");
    assert.equal(toMarkdown("   ", [{ type: "bold", offset: 0, length: 3 }]), "   ");
  });

  it("marks nest, and italics inside a word use stars", () => {
    const nested = [
      { type: "bold", offset: 0, length: 11 },
      { type: "italic", offset: 5, length: 6 },
    ];
    assert.equal(toMarkdown("very strong", nested), "**very _strong_**");
    assert.equal(toMarkdown("unbelievable", [{ type: "italic", offset: 2, length: 7 }]), "un*believa*ble");
  });

  it("words in any markup are whole after rendering", () => {
    const text = "alpha beta gamma delta epsilon";
    const words = Array.from(text.matchAll(/\w+/g), (match) => ({
      offset: match.index,
      length: match[0].length,
    }));
    const type = fc.constantFrom(
      "bold",
      "italic",
      "strikethrough",
      "code",
      "underline",
      "blockquote",
      "pre",
      "mention",
    );
    const marked = fc.array(fc.record({ type, word: fc.constantFrom(...words) }), { maxLength: 5 });
    fc.assert(
      fc.property(marked, (marks) => {
        const markdown = toMarkdown(
          text,
          marks.map(({ type, word }) => ({ type, ...word })),
        );
        assert.deepEqual(seen(markdown).match(/[a-z]+/g), text.split(" "));
      }),
      { numRuns: 2000 },
    );
  });

  it("code keeps backticks, a block keeps its lines, a quote is quoted line by line", () => {
    assert.equal(toMarkdown("a`b", [{ type: "code", offset: 0, length: 3 }]), "``a`b``");
    assert.equal(toMarkdown("x\n```\ny", [{ type: "pre", offset: 0, length: 7 }]), "````\nx\n```\ny\n````");
    assert.equal(toMarkdown("a\nb\nc", [{ type: "blockquote", offset: 0, length: 3 }]), "> a\n> b\n\nc");
  });

  it("a link with odd signs stays one link, and a dangerous one is only its text", () => {
    const link = (url: string) => toMarkdown("a [b]", [{ type: "text_link", offset: 0, length: 5, url }]);
    assert.equal(link("https://x.example/(a b)"), "[a \\[b\\]](https://x.example/%28a%20b%29)");
    assert.equal(link("javascript:alert(1)"), "a [b]");
  });

  it("cutting text out moves the entities behind it", () => {
    const entities = [
      { type: "bold", offset: 0, length: 2 },
      { type: "mention", offset: 3, length: 4 },
      { type: "italic", offset: 8, length: 2 },
    ];
    assert.deepEqual(cut("ab @bot cd", entities, 3, 8), {
      text: "ab cd",
      entities: [
        { type: "bold", offset: 0, length: 2 },
        { type: "italic", offset: 3, length: 2 },
      ],
    });
  });
});
