import assert from "node:assert/strict";
import fc from "fast-check";
import MarkdownIt from "markdown-it";
import { toDialect, toHtml, toPlain } from "../../lib/message/markdown";
import { answer, corpus, cpuMs, essence, specExamples } from "./corpus";
import { parseTelegramHtml } from "./telegram-html";

describe("markdown in Telegram's HTML", () => {
  const cases: [string, string, string][] = [
    ["styles", "**a** _b_ ~~c~~ `d`", "<b>a</b> <i>b</i> <s>c</s> <code>d</code>"],
    ["only what must be escaped is escaped", `1 < 2 & "3" > 'x'`, `1 &lt; 2 &amp; "3" &gt; 'x'`],
    ["a link", '[a](https://b.example/?x=1&y="2")', '<a href="https://b.example/?x=1&amp;y=%222%22">a</a>'],
    ["a picture is a link", "![cat](https://b.example/c.png)", '<a href="https://b.example/c.png">cat</a>'],
    ["a heading is bold", "# Hi `x`", "<b>Hi </b><code>x</code>"],
    [
      "an address Telegram does not link stands in the text",
      "[Ann](mailto:a@b.example)",
      "Ann (a@b.example)",
    ],
    ["a script address is no link", "[a](javascript:alert(1))", "a"],
    ["lists", "- a\n- b\n  - c\n\n7. x\n8. y", "• a\n• b\n  • c\n\n7. x\n8. y"],
    ["code with its language", "```c++\na<b\n```", '<pre><code class="language-c++">a&lt;b</code></pre>'],
    ["quotes are not nested", "> a\n>\n> > b", "<blockquote>a\n\nb</blockquote>"],
    ["a table is monospaced", "|a|b|\n|-|-:|\n|cc|1|", "<pre>a  | b\n---|--\ncc | 1</pre>"],
    ["a rule is a line", "a\n\n---\n\nb", "a\n\n———\n\nb"],
    ["HTML is text", "<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"],
    ["a newline stays one", "a\nb", "a\nb"],
    ["code in a link gives way to the link", "[`a`](https://b.example)", '<a href="https://b.example">a</a>'],
  ];
  for (const [promise, markdown, html] of cases) {
    it(promise, () => assert.equal(toDialect(markdown, "html"), html));
  }

  it("is accepted by a strict parser, whatever the text", () => {
    for (const text of corpus) parseTelegramHtml(toDialect(text, "html"));
    fc.assert(
      fc.property(markup(), (text) => void parseTelegramHtml(toDialect(text, "html"))),
      { numRuns: 1500 },
    );
  });

  it("shows every word of the CommonMark examples", () => {
    const raw = new MarkdownIt({ html: true });
    const escaped = new MarkdownIt({ html: false });
    let compared = 0;
    for (const { markdown, html, number } of specExamples) {
      // Raw HTML is text with us, and pictures are links.
      if (raw.render(markdown) !== escaped.render(markdown) || html.includes("<img")) continue;
      // Nothing but definitions: we show them as they are.
      if (html.trim() === "") continue;
      assert.equal(
        essence(textOfHtml(toHtml(markdown))),
        essence(textOfHtml(html)),
        `example ${number}: ${markdown}`,
      );
      const seen = parseTelegramHtml(toDialect(markdown, "html")).text;
      for (const [word] of textOfHtml(html).matchAll(/[\p{L}\p{N}]+/gu))
        assert.ok(seen.includes(word), `${number}: ${word}`);
      compared++;
    }
    assert.ok(compared > 500, `${compared} examples`);
  });
});

describe("markdown as plain text", () => {
  it("shows the address behind its label, once", () => {
    assert.equal(
      toPlain("[Docs](https://a.example) <https://b.example> [https://c.example](https://c.example)"),
      "Docs (https://a.example) https://b.example https://c.example",
    );
  });
  it("keeps text without markup as it is, also with signs that mean nothing", () => {
    for (const text of [
      "well-known 3.5 (ok) a:b = c + d! #1?",
      "Zeile eins\nZeile zwei",
      "50% > 20%",
      "a. b) c",
    ]) {
      assert.equal(toPlain(text), text);
      assert.equal(toDialect(text, "markdown"), text);
    }
  });
  it("reads the way it was written", () => {
    assert.equal(toPlain("> a\n> b\n\n1. x\n   - y"), "> a\n> b\n\n1. x\n   • y");
  });
});

describe("markdown on the web page", () => {
  it("is full HTML with links that open safely", () => {
    const html = toHtml(answer);
    for (const tag of [
      "<h1>",
      "<ul>",
      '<ol start="3">',
      "<blockquote>",
      "<table>",
      "<hr>",
      '<code class="language-python">',
      '<th align="right">',
    ]) {
      assert.ok(html.includes(tag), tag);
    }
    assert.ok(
      html.includes(
        '<a href="https://a.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">link</a>',
      ),
    );
    assert.ok(html.includes("&lt;b&gt;"));
  });
  it("makes links of bare addresses, but not of file names", () => {
    assert.ok(toHtml("see https://a.example/x.").includes('<a href="https://a.example/x" '));
    assert.equal(toHtml("run main.py at a.example"), "<p>run main.py at a.example</p>");
  });
  it("has nothing but its own tags, attributes and addresses, whatever the text", () => {
    for (const text of corpus) assertSafe(toHtml(text));
    fc.assert(
      fc.property(markup(), (text) => assertSafe(toHtml(text))),
      { numRuns: 1500 },
    );
  });
});

describe("hostile markdown", () => {
  const million = (piece: string): string => piece.repeat(Math.ceil(1_000_000 / piece.length));
  const texts: Record<string, string> = {
    "10,000 quotes": `${"> ".repeat(10_000)}a`,
    "10,000 brackets": "[".repeat(10_000),
    "10,000 links inside each other": `${"[".repeat(10_000)}a${"](x)".repeat(10_000)}`,
    "10,000 lists": `${"- ".repeat(10_000)}a`,
    "50,000 styles inside each other": `${"*_".repeat(50_000)}a${"_*".repeat(50_000)}`,
    "a million of ![": million("!["),
    "a million of **": million("**a "),
    "a million of backticks": million("`a``"),
    "paragraphs of ![": million(`${"![".repeat(950)}\n\n`),
    "fences that hide it": million(`~~~\n\`\`\`\n~~~\n${"![".repeat(3000)}\n`),
    "a table of a thousand columns": `${"|a".repeat(1000)}|\n${"|-".repeat(1000)}|\n${"|b\n".repeat(2000)}`,
    "10 MB": "Hello **you**.\n\n".repeat(650_000),
  };
  for (const [name, text] of Object.entries(texts)) {
    it(`${name}: no crash, no hang, no word lost`, () => {
      const start = cpuMs();
      const seen = parseTelegramHtml(toDialect(text, "html")).text;
      toHtml(text);
      assert.ok(cpuMs() - start < 4000, `${Math.round(cpuMs() - start)} ms`);
      assert.equal(seen.includes("a"), text.includes("a"));
    });
  }
});

/** Texts of the pieces that Markdown is made of, in any order. */
function markup(): fc.Arbitrary<string> {
  const pieces = [
    "**",
    "*",
    "_",
    "~~",
    "`",
    "```",
    "\n",
    "\n\n",
    "# ",
    "> ",
    "- ",
    "1. ",
    "[",
    "](https://a.example)",
    "![",
    "](javascript:x)",
    "<b>",
    "&amp;",
    "&",
    "<",
    ">",
    "|a|b|\n|-|-|\n|",
    "\\",
    "    ",
    "\t",
    "---",
    '"',
    "'",
    "a",
    "word ",
    "é",
    "👨‍👩‍👧",
    "漢",
    "<script>",
    "](data:text/html,x)",
    "[r]",
    "\n[r]: https://r.example\n",
  ];
  return fc
    .array(
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...pieces) },
        fc.string({ unit: "binary", maxLength: 4 }),
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join(""));
}

function assertSafe(html: string): void {
  const rest = html.replace(
    /<(\/?)([a-z][a-z0-9]*)((?: [a-z]+="[^"<>]*")*)>/g,
    (_, slash: string, tag: string, attributes: string) => {
      assert.match(
        tag,
        /^(?:p|h[1-6]|ul|ol|li|table|thead|tbody|tr|th|td|pre|code|blockquote|a|strong|em|s|br|hr)$/,
      );
      const allowed = slash
        ? /^$/
        : {
            a: /^ href="(?:https?:\/\/|mailto:|tel:)[^"]*" target="_blank" rel="noopener noreferrer nofollow"$/i,
            code: /^(?: class="language-[\w+#.-]+")?$/,
            ol: /^(?: start="\d+")?$/,
            th: /^(?: align="(?:left|center|right)")?$/,
            td: /^(?: align="(?:left|center|right)")?$/,
          }[tag];
      assert.match(attributes, allowed ?? /^$/);
      return "";
    },
  );
  assert.doesNotMatch(rest, /[<>]/);
}

function textOfHtml(html: string): string {
  return html
    .replace(/<[^>]*>/g, "")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
