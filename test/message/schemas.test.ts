import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import Ajv from "ajv";
import { validateChatContext, validateMessageEvent, validateResponse } from "../../lib/message/validators";
import { buildSchemas } from "../../scripts/build-schemas";
import { can } from "./corpus";

const ROOT = join(__dirname, "../..");
const VALIDATORS = join(ROOT, "lib/message/validators.js");

function schema(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(ROOT, "resources", `${name}.schema.json`), "utf8"));
}

describe("the published schemas", () => {
  const names = ["message-event", "chat-context", "response"];

  it("are three, each with an address, a title and a description", () => {
    assert.deepEqual(
      readdirSync(join(ROOT, "resources"))
        .filter((file) => file.endsWith(".schema.json"))
        .sort(),
      names.map((name) => `${name}.schema.json`).sort(),
    );
    for (const name of names) {
      const { $schema, $id, title, description } = schema(name);
      assert.equal($schema, "http://json-schema.org/draft-07/schema#");
      assert.match(String($id), new RegExp(`/${name}\\.schema\\.json$`));
      assert.ok(title && description);
    }
  });

  it("say the same as the validators", () => {
    const values: unknown[] = [
      { text: "a" },
      { text: 1 },
      { buttons: [[{ label: "" }]] },
      { attachments: [{ kind: "image", url: "x" }], unknown: 1 },
      {},
      null,
      {
        v: 1,
        eventId: "e",
        channel: "c",
        account: "a",
        conversation: { id: "1", kind: "direct" },
        sender: { id: "1", isBot: false },
        can,
      },
      {
        v: 1,
        eventId: "e",
        channel: "",
        account: "a",
        conversation: { id: "1", kind: "direct" },
        sender: { id: "1", isBot: false },
        can,
      },
    ];
    const pairs = [
      ["message-event", validateMessageEvent],
      ["chat-context", validateChatContext],
      ["response", validateResponse],
    ] as const;
    for (const [name, validate] of pairs) {
      const byAjv = new Ajv().compile(schema(name));
      for (const value of values)
        assert.equal(validate(value), byAjv(value), `${name}: ${JSON.stringify(value)}`);
    }
    assert.ok(validateChatContext(values[6]));
  });

  it("are made only when the types have changed", async () => {
    await buildSchemas();
    const { mtimeMs, size } = statSync(VALIDATORS);
    const start = performance.now();
    await buildSchemas();
    assert.ok(performance.now() - start < 500);
    assert.equal(statSync(VALIDATORS).mtimeMs, mtimeMs);
    assert.ok(size < 100_000);
  });

  it("need nothing but their own file at run time", () => {
    const module = { exports: {} as Record<string, unknown> };
    runInNewContext(readFileSync(VALIDATORS, "utf8"), { module, exports: module.exports });
    assert.deepEqual(Object.keys(module.exports).sort(), [
      "validateChatContext",
      "validateMessageEvent",
      "validateResponse",
    ]);
  });
});
