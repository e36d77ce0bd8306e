import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { findNodeSets, root } from "../../scripts/node-sets";
import { type Runtime, startNodeRed } from "./runtime";

const PACKAGE = "@redclaw/node-red-gateway";

interface NodeSet {
  id: string;
  types: string[];
  err?: unknown;
}

describe("the package in a real Node-RED", () => {
  const { channels, plain } = findNodeSets();
  let red: Runtime;
  before(async () => {
    red = await startNodeRed();
  });
  after(() => red.stop());

  it("loads every node set without an error", async () => {
    const sets = (await red.get<NodeSet[]>("nodes")).filter(({ id }) => id.startsWith(PACKAGE));
    assert.deepEqual(
      sets.filter(({ err }) => err),
      [],
    );
    assert.deepEqual(
      sets.map(({ id }) => id).sort(),
      [...channels, ...plain].map((name) => `${PACKAGE}/${name}`).sort(),
    );
    for (const name of channels) {
      const types = [`redclaw-${name}`, `redclaw-${name}-in`, `redclaw-${name}-out`];
      assert.deepEqual(sets.find(({ id }) => id === `${PACKAGE}/${name}`)?.types, types);
    }
  });

  it("loads its plugin before the nodes, with the code that the forms share", async () => {
    const plugins = await red.get<{ id: string; err?: unknown }[]>("plugins");
    const own = plugins.find(({ id }) => id === `${PACKAGE}/redclaw`);
    assert.ok(own);
    assert.equal(own.err, undefined);
    const html = await (await fetch(`${red.adminUrl}/plugins`, { headers: { accept: "text/html" } })).text();
    assert.match(html, /window\.Redclaw=/);
    assert.match(html, /\.redclaw-form\{/);
  });

  it("serves all its icons", async () => {
    const served = (await red.get<Record<string, string[]>>("icons"))[PACKAGE] ?? [];
    const own = fs.readdirSync(path.join(root, "icons")).filter((name) => name.endsWith(".svg"));
    for (const icon of own) {
      assert.ok(served.includes(icon), icon);
      const answer = await fetch(`${red.adminUrl}/icons/${PACKAGE}/${icon}`);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get("content-type") ?? "", /svg/);
    }
  });

  it("serves the texts of every set", async () => {
    for (const name of [...channels, ...plain]) {
      const catalog = await red.get<{ label?: object }>(`nodes/${PACKAGE}/${name}/messages?lng=en-US`);
      assert.ok(catalog.label && Object.keys(catalog.label).length > 0, name);
    }
    const shared = await red.get<Record<string, { form?: object }>>("plugins/messages?lng=en-US");
    assert.ok(shared[`${PACKAGE}/redclaw`]?.form);
  });

  it("serves help for every type, also to a browser that speaks another language", async () => {
    for (const language of ["en-US", "de"]) {
      const html = await (
        await fetch(`${red.adminUrl}/nodes`, {
          headers: { accept: "text/html", "accept-language": language },
        })
      ).text();
      const types = (await red.get<NodeSet[]>("nodes"))
        .filter(({ id }) => id.startsWith(PACKAGE))
        .flatMap((set) => set.types);
      for (const type of types) {
        assert.equal(html.split(`data-help-name="${type}"`).length, 2, `${type} in ${language}`);
      }
    }
  });

  it("starts a flow with an account that has no token, and says so instead of stopping", async () => {
    await red.deploy([
      { id: "tab", type: "tab", label: "Flow 1" },
      { id: "acc", type: "redclaw-telegram", name: "", mode: "polling" },
      { id: "in", z: "tab", type: "redclaw-telegram-in", account: "acc", wires: [["re"]], x: 1, y: 1 },
      { id: "lost", z: "tab", type: "redclaw-telegram-in", account: "deleted", wires: [["re"]], x: 1, y: 1 },
      { id: "re", z: "tab", type: "redclaw-reply", wires: [[]], x: 1, y: 1 },
    ]);
    await red.deploy([{ id: "tab", type: "tab", label: "Flow 1" }]);
    assert.doesNotMatch(red.logs(), /Close timed out|UnhandledPromiseRejection|Uncaught/);
  });
});
