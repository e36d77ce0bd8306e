/** What the flow library, the palette and npm ask of `package.json` and the examples. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { manifest } from "../../scripts/matrix";
import { readExamples, root } from "../../scripts/node-red";

const coreTypes = [
  "tab",
  "group",
  "comment",
  "inject",
  "debug",
  "catch",
  "change",
  "switch",
  "link in",
  "link out",
];

describe("package.json", () => {
  it("lets the oldest Node and Node-RED we support in", () => {
    assert.equal(manifest().engines.node, ">=22.9");
    assert.equal(manifest()["node-red"].version, ">=4.1.0");
    assert.ok(manifest().keywords.includes("node-red"));
  });

  it("has at most six runtime dependencies, and Node-RED is none of them", () => {
    const names = Object.keys(manifest().dependencies);
    assert.ok(names.length <= 6, names.join(", "));
    assert.deepEqual(
      names.filter((name) => /^(@node-red\/|node-red$)/.test(name)),
      [],
    );
  });
});

describe("the node files", () => {
  const types = registeredTypes();

  it("name their types in plain text, so that the flow library and the palette search find them", () => {
    for (const type of [
      "redclaw-web-in",
      "redclaw-telegram-out",
      "redclaw-reply",
      "redclaw-ai",
      "redclaw-model",
      "redclaw-gateway",
    ]) {
      assert.ok(types.has(type), `${type} is not there`);
    }
    assert.deepEqual(
      [...types.keys()].filter((type) => !type.startsWith("redclaw-")),
      [],
    );
  });

  it("each stand in an example, when they stand in the palette", () => {
    const shown = new Set([...readExamples().values()].flat().map((node) => node.type));
    const palette = [...types].filter(([, category]) => category !== "config").map(([type]) => type);
    assert.ok(palette.length >= 6);
    assert.deepEqual(
      palette.filter((type) => !shown.has(type)),
      [],
    );
  });

  it("have icons beside them that exist, 40 x 60 and white on transparent", () => {
    const icons = [...allHtml().matchAll(/icon:\s*["']([^"']+\.svg)["']/g)].map(([, icon = ""]) => icon);
    assert.ok(icons.length > 0);
    for (const icon of new Set(icons)) {
      assert.ok(icon.startsWith("redclaw-"), icon);
      const svg = fs.readFileSync(path.join(root, "dist/icons", icon), "utf8");
      assert.match(svg, /viewBox="0 0 40 60"|width="40" height="60"/, icon);
    }
  });
});

describe("the examples", () => {
  for (const [name, flow] of readExamples()) {
    it(`"${name}" uses only core nodes and ours, with a comment that says what to do, and carries no secret`, () => {
      for (const node of flow) {
        assert.ok(
          coreTypes.includes(node.type) || registeredTypes().has(node.type),
          `${node.type} is not known`,
        );
        assert.equal(node["credentials"], undefined);
      }
      assert.ok(flow.some((node) => node.type === "comment" && String(node["info"]).length > 20));
      assert.doesNotMatch(JSON.stringify(flow), /\d{8,10}:[\w-]{35}|sk-\w{20}/);
    });

    it(`"${name}" has no loose end: every wire, tab and account is in it`, () => {
      const ids = new Set(flow.map((node) => node.id));
      assert.equal(ids.size, flow.length, "an id stands there twice");
      for (const node of flow) {
        const wires = (node["wires"] ?? []) as string[][];
        const wanted = [...wires.flat(), node.z, node["account"], node["model"]].filter(
          (id): id is string => typeof id === "string" && id !== "" && node.type !== "redclaw-model",
        );
        for (const id of wanted) assert.ok(ids.has(id), `${node.id} points to ${id}`);
      }
    });
  }

  it("share no id, so that all can be imported side by side", () => {
    const ids = [...readExamples().values()].flat().map((node) => node.id);
    assert.equal(new Set(ids).size, ids.length);
  });
});

/** Types and their categories as they stand in the forms that the build wrote. */
function registeredTypes(): Map<string, string> {
  const calls = allHtml().matchAll(/registerType\(\s*["']([^"']+)["']\s*,\s*\{\s*category:\s*["']([^"']+)/g);
  return new Map([...calls].map(([, type = "", category = ""]) => [type, category]));
}

function allHtml(): string {
  const files = Object.values(manifest()["node-red"].nodes).map((file) =>
    path.join(root, file.replace(/\.js$/, ".html")),
  );
  return files.map((file) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "")).join("\n");
}
