/** The forms' files: they name every provider, and every text they ask for is there. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { providers } from "../../lib/ai/providers";

const read = (file: string) => fs.readFileSync(path.join(__dirname, "../../nodes", file), "utf8");

describe("forms of ai and model", () => {
  it("offer every provider, under the name the code knows", () => {
    const offered = [...read("model/editor.html").matchAll(/<option value="(\w+)"/g)].map(
      (match) => match[1],
    );
    assert.deepEqual(offered.toSorted(), Object.keys(providers).toSorted());
    const { provider } = JSON.parse(read("model/locale.json"));
    for (const [name, { label }] of Object.entries(providers)) assert.equal(provider[name], label);
  });

  for (const set of ["ai", "model"]) {
    it(`have all texts of ${set} in its catalog, and none that nobody shows`, () => {
      const catalog = JSON.parse(read(`${set}/locale.json`));
      const html = read(`${set}/editor.html`) + read(`${set}/editor.ts`);
      const asked = [...html.matchAll(/data-i18n="(?:\[\w+\])?([\w.]+)"|\b_\("([\w.]+)"/g)].map(
        (match) => match[1] ?? match[2] ?? "",
      );
      const find = (key: string) => key.split(".").reduce((at, step) => at?.[step], catalog);
      for (const key of asked.filter((key) => !key.endsWith(".")))
        assert.equal(typeof find(key), "string", key);
    });

    it(`write the type of ${set} literally, where the flow library looks`, () => {
      const html = read(`${set}/editor.html`);
      assert.match(
        html,
        new RegExp(`<script type="text/javascript">\\nRED\\.nodes\\.registerType\\("redclaw-${set}", \\{`),
      );
      assert.match(html, new RegExp(`<script type="text/html" data-template-name="redclaw-${set}">`));
      const fields = [...html.matchAll(/^ {4}(\w+): \{ (?:value|type):/gm)].map((match) => match[1]);
      for (const field of fields) assert.match(html, new RegExp(`id="node-(config-)?input-${field}"`), field);
    });
  }
});
