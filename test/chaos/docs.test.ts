/** docs/reliability.md says what happens on each fault and names the test for it: that test must be there. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { root } from "../../scripts/node-red";

describe("the table of faults", () => {
  it("names only tests that are there", () => {
    const page = fs.readFileSync(path.join(root, "docs/reliability.md"), "utf8");
    const rows = /\n\| fault \|.*\n\|[-|]+\n((?:\|.*\n)+)/.exec(page)?.[1]?.trim().split("\n") ?? [];
    assert.ok(rows.length >= 20, `only ${rows.length} rows`);
    for (const row of rows) {
      const tests = (row.split("|").at(-2) ?? "").split(";");
      for (const test of tests) {
        const [, place = "", titles = ""] = /^ *([\w/-]+): (.*)$/.exec(test) ?? [];
        const folder = place.includes("/") ? "test" : "test/chaos";
        const file = path.join(root, folder, `${place}.test.ts`);
        assert.ok(fs.existsSync(file), `there is no ${file}, named in: ${row}`);
        const text = fs.readFileSync(file, "utf8");
        const names = [...titles.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);
        assert.ok(names.length > 0, `no test is named in: ${row}`);
        for (const name of names) assert.ok(text.includes(name), `${file} has no test "${name}"`);
      }
    }
  });
});
