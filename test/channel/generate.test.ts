import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import vm from "node:vm";
import type { ChannelDefinition } from "../../lib/channel/define";
import { generateChannel } from "../../lib/channel/generate";
import { channelHelp } from "../../lib/channel/generate/help";
import { findNodeSets, readChannels, root } from "../../scripts/node-sets";
import { definition } from "./definition";

const shared = JSON.parse(fs.readFileSync(path.join(root, "nodes/editor/locale.json"), "utf8")) as object;
const SHARED = "@redclaw/node-red-gateway/redclaw:";

interface Definition {
  category: string;
  inputs?: number;
  outputs?: number;
  icon: string;
  align?: string;
  defaults: Record<
    string,
    { value: unknown; type?: string; validate?: (value: unknown, options: object) => unknown }
  >;
  credentials?: Record<string, { type: string }>;
  label(): string;
  paletteLabel(): string;
}

/** Runs the script elements as the editor does and answers what they register. */
function register(html: string): Map<string, Definition> {
  const types = new Map<string, Definition>();
  const RED = { nodes: { registerType: (type: string, found: Definition) => types.set(type, found) } };
  for (const [, script] of html.matchAll(/<script type="text\/javascript">([\s\S]*?)<\/script>/g)) {
    vm.runInNewContext(script ?? "", { RED });
  }
  return types;
}

function lookUp(catalog: object, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], catalog);
}

/** Every text that a form or a script names, with the catalog it must stand in. */
function assertTexts(html: string, own: object): void {
  const named = [
    ...[...html.matchAll(/data-i18n="(?:\[\w+\])?([^"]+)"/g)].map((match) => match[1] as string),
    ...[...html.matchAll(/this\._\("([^"]+)"\)/g)].map((match) => match[1] as string),
  ];
  assert.ok(named.length > 0);
  for (const key of named) {
    const found = key.startsWith(SHARED) ? lookUp(shared, key.slice(SHARED.length)) : lookUp(own, key);
    assert.equal(typeof found, "string", `no text for ${key}`);
  }
}

/** What the Flow Library reads from the text, without running it. */
function readStatically(html: string): Map<string, Record<string, string>> {
  const calls = html.matchAll(/RED\.nodes\.registerType\(["']([^"']+)["'], \{\n([\s\S]*?)\n\}\);/g);
  return new Map(
    [...calls].map(([, type, body]) => [
      type as string,
      Object.fromEntries(
        [...(body ?? "").matchAll(/^ {2}(category|color|icon|inputs|outputs|align): ("[^"]*"|\d+),$/gm)].map(
          ([, name, value]) => [name, JSON.parse(value as string)],
        ),
      ),
    ]),
  );
}

describe("the generated files of a channel", () => {
  const made = generateChannel(definition, {
    modulePath: "./x/channel",
    helpMarkdown: "Brings letters.\n\n### Details\n\nSlow.",
  });

  it("register three node types with literals that a reader of the text finds", () => {
    const types = readStatically(made.html);
    assert.deepEqual([...types.keys()], ["redclaw-pigeon", "redclaw-pigeon-in", "redclaw-pigeon-out"]);
    const { color, ...account } = types.get("redclaw-pigeon") ?? {};
    assert.match(color ?? "", /^#[0-9A-F]{6}$/i);
    assert.deepEqual(account, { category: "config", icon: "redclaw-pigeon.svg" });
    assert.deepEqual(types.get("redclaw-pigeon-in"), {
      category: "redclaw channels",
      color,
      icon: "redclaw-pigeon.svg",
      inputs: 0,
      outputs: 1,
    });
    assert.deepEqual(types.get("redclaw-pigeon-out"), {
      category: "redclaw channels",
      color,
      icon: "redclaw-pigeon.svg",
      align: "right",
      inputs: 1,
      outputs: 1,
    });
  });

  it("save the properties that flows rely on", () => {
    const types = register(made.html);
    const defaults = (type: string) =>
      JSON.parse(
        JSON.stringify(
          Object.fromEntries(
            Object.entries(types.get(type)?.defaults ?? {}).map(([name, { value }]) => [name, value]),
          ),
        ),
      );
    assert.deepEqual(defaults("redclaw-pigeon"), {
      name: "",
      field: "",
      mode: "polling",
      altitude: 30,
      night: false,
      song: "</script><b>",
      apiRoot: "",
      limits: "",
      onUnknown: "hold",
    });
    assert.deepEqual(defaults("redclaw-pigeon-in"), {
      name: "",
      account: "",
      kinds: ["message"],
      conversations: "",
    });
    assert.deepEqual(defaults("redclaw-pigeon-out"), { name: "", account: "", to: "", toType: "chat" });
    assert.equal(types.get("redclaw-pigeon-out")?.defaults["account"]?.type, "redclaw-pigeon");
  });

  it("declare the same credentials in the editor and in the runtime", () => {
    const inEditor = register(made.html).get("redclaw-pigeon")?.credentials ?? {};
    const expected = { token: "password", ring: "password", nick: "text" };
    assert.deepEqual(
      Object.fromEntries(Object.entries(inEditor).map(([name, { type }]) => [name, type])),
      expected,
    );
    const inRuntime = loadRuntime(made.js).get("redclaw-pigeon") as {
      credentials: Record<string, { type: string }>;
    };
    assert.deepEqual(
      Object.fromEntries(Object.entries(inRuntime.credentials).map(([name, { type }]) => [name, type])),
      expected,
    );
  });

  it("give every validator the two parameters that make its sentence count", () => {
    for (const [type, { defaults }] of register(made.html)) {
      for (const [name, { validate }] of Object.entries(defaults)) {
        if (validate) assert.equal(validate.length, 2, `${type}.${name}`);
      }
    }
  });

  it("name only texts that exist", () => {
    assertTexts(made.html, made.locale);
  });

  it("give each validated field its sentences", () => {
    assert.equal(lookUp(made.locale, "field.token.mismatch"), "A key looks like coo-123.");
    assert.match(String(lookUp(made.locale, "field.field.missing")), /"Field" is empty/);
    assert.match(String(lookUp(made.locale, "field.ring.missing")), /"Ring" is empty/);
  });

  it("title the palette's category and keep palette labels short", () => {
    assert.equal(lookUp(made.locale, "palette.label.redclaw_channels"), "Redclaw channels");
    assert.equal(lookUp(made.locale, "label.in"), "pigeon in");
    assert.equal(lookUp(made.locale, "label.out"), "pigeon out");
  });

  it("have one input for each field, and help for each type", () => {
    for (const name of [
      ...Object.keys(definition.credentials),
      ...Object.keys(definition.options),
      "name",
      "apiRoot",
      "limits",
      "onUnknown",
    ]) {
      assert.equal(made.html.split(`id="node-config-input-${name}"`).length, 2, name);
    }
    for (const type of ["redclaw-pigeon", "redclaw-pigeon-in", "redclaw-pigeon-out"]) {
      assert.ok(made.html.includes(`data-template-name="${type}"`));
      assert.match(made.help, new RegExp(`<script type="text/markdown" data-help-name="${type}">\n\\S`));
    }
    assert.match(made.help, /Brings letters\.[\s\S]*https:\/\/pigeon\.example\/docs/);
  });

  it("show required fields first, optional ones below the fold, and conditional ones by their choice", () => {
    const form = made.html.slice(made.html.indexOf('data-template-name="redclaw-pigeon"'));
    const at = (text: string) => {
      const index = form.indexOf(text);
      assert.ok(index >= 0, text);
      return index;
    };
    const order = [
      '-token"',
      '-field"',
      '-mode"',
      '-ring"',
      'data-redclaw="test"',
      "<details",
      '-nick"',
      '-altitude"',
      '-name"',
      '-apiRoot"',
    ];
    for (const [index, part] of order.slice(1).entries())
      assert.ok(at(order[index] as string) < at(part), part);
    assert.match(form, /data-redclaw-when="\{&quot;mode&quot;:&quot;webhook&quot;\}"/);
    assert.match(
      form,
      /data-redclaw="address" data-redclaw-when="\{&quot;mode&quot;:\[&quot;webhook&quot;\]\}"/,
    );
  });

  it("cannot be broken out of by a text of the definition", () => {
    assert.equal(made.html.match(/<script/g)?.length, made.html.match(/<\/script>/g)?.length);
    assert.equal(made.html.match(/<script/g)?.length, 4);
    assert.doesNotMatch(made.html, /<b>/);
  });

  it("leave out what means nothing on the channel", () => {
    const page: ChannelDefinition = {
      ...definition,
      pages: true,
      capabilities: { ...definition.capabilities, idempotency: "key" },
    };
    delete page.webhook;
    const { html } = generateChannel(page, { modulePath: "./x" });
    for (const name of ["apiRoot", "onUnknown"]) assert.doesNotMatch(html, new RegExp(`\\b${name}\\b`));
    assert.doesNotMatch(html, /data-redclaw="test"/);
    assert.match(html, /redclaw-page-address/);
  });

  it("refuse a condition on an option that does not exist", () => {
    const wrong = { ...definition, credentials: { token: { label: "T", when: { mood: "good" } } } };
    assert.throws(() => generateChannel(wrong, { modulePath: "./x" }), /pigeon.*"mood"/);
  });

  it("make the runtime load the definition and the nodes from the given places, and nothing else", () => {
    const required: string[] = [];
    loadRuntime(made.js, required);
    assert.deepEqual(required, ["@redclaw/node-red-gateway/sdk", "./x/channel"]);
  });
});

function loadRuntime(js: string, required: string[] = []): Map<string, unknown> {
  const types = new Map<string, unknown>();
  const module = { exports: (_red: object) => {} };
  const require = (name: string) => {
    required.push(name);
    return { default: definition, channelNodes: () => ({ Account: class {}, In: class {}, Out: class {} }) };
  };
  vm.runInNewContext(js, { module, require });
  module.exports({
    nodes: { registerType: (type: string, _class: unknown, options: unknown) => types.set(type, options) },
  });
  assert.deepEqual([...types.keys()], ["redclaw-pigeon", "redclaw-pigeon-in", "redclaw-pigeon-out"]);
  return types;
}

/** Node-RED reads `: name (types) : text` and takes the last colon of the line: one in the text swallows what is before it. */
function assertPropertyLists(help: string): void {
  for (const line of help.split("\n").filter((one) => /^\s*:/.test(one)))
    assert.match(line.trim(), /^: [^:(]+ \([^:)]+\) : [^:]+$/);
}

describe("the forms of this package", () => {
  for (const channel of readChannels()) {
    it(`name only texts that exist: ${channel.name}`, () => {
      const { html, locale } = generateChannel(channel, { modulePath: "./x" });
      assertTexts(html, locale);
    });

    it(`have property lists in the help that Node-RED reads whole: ${channel.name}`, () => {
      assertPropertyLists(channelHelp(channel, ""));
    });

    it(`have a help text and an icon: ${channel.name}`, () => {
      const help = fs.readFileSync(path.join(root, "nodes/channels", channel.name, "help.md"), "utf8");
      assert.match(help, /\S/);
      // A script element in an example must not end the one that the help stands in.
      assert.equal(channelHelp(channel, help).match(/<\/script/gi)?.length, 3);
      assert.ok(fs.existsSync(path.join(root, "icons", channel.icon)));
    });
  }

  for (const name of findNodeSets().plain) {
    const folder = path.join(root, "nodes", name);
    const html = fs.readFileSync(path.join(folder, "editor.html"), "utf8");

    it(`name only texts that exist: ${name}`, () => {
      assertTexts(html, JSON.parse(fs.readFileSync(path.join(folder, "locale.json"), "utf8")) as object);
    });

    it(`have property lists in the help that Node-RED reads whole: ${name}`, () => {
      assertPropertyLists(fs.readFileSync(path.join(folder, "help.md"), "utf8"));
    });

    it(`register literally, with a form for each type: ${name}`, () => {
      const types = readStatically(html);
      assert.ok(types.size > 0);
      for (const [type, { category, icon }] of types) {
        assert.match(type, /^redclaw-/);
        assert.ok(category === "config" || category?.startsWith("redclaw "), `${type}: category ${category}`);
        assert.ok(fs.existsSync(path.join(root, "icons", icon ?? "")), `${type}: icon ${icon}`);
        assert.ok(html.includes(`data-template-name="${type}"`));
      }
    });
  }
});
