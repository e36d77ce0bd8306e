import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { root } from "../../scripts/node-sets";
import { Editor } from "../editor/browser";
import { startNodeRed } from "./runtime";

const BUILD = path.join(root, "dist/lib/channel/build-cli.js");

const MANIFEST = {
  name: "@loft/node-red-pigeon",
  version: "1.0.0",
  keywords: ["node-red"],
  "node-red": { version: ">=4.1.0", nodes: { pigeon: "dist/pigeon.js" } },
};

const CHANNEL = `const { defineChannel } = require("@redclaw/node-red-gateway/sdk");
module.exports = defineChannel({
  name: "pigeon", label: "Pigeon Post", icon: "pigeon.svg",
  credentials: { key: { label: "Loft key", secret: true, required: true } },
  options: { speed: { label: "Speed", choices: ["slow", "fast"], default: "slow" } },
  capabilities: { text: { max: 100, unit: "utf16" }, dialect: "plain", buttons: false, edit: false, delete: false,
    typing: false, reactions: false, threads: false, replyTo: false, silent: false, images: false, audio: false,
    voice: false, video: false, files: false, idempotency: "none" },
  limits: {}, events: ["message"],
  client: async () => ({ connect: async (ctx) => {
    ctx.status({ state: "connected", identity: "loft " + ctx.account.credentials.key });
    return {
      receive: () => [], send: async () => ({ messageId: "1" }), close: async () => {},
      test: async () => ({ name: "loft", sentence: "The loft is open: " + ctx.account.options.speed + "." }),
    };
  } }),
});
`;

function makePackage(folder: string): void {
  const link = path.join(folder, "node_modules/@redclaw/node-red-gateway");
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.symlinkSync(root, link, "junction");
  fs.mkdirSync(path.join(folder, "channels/pigeon"), { recursive: true });
  fs.mkdirSync(path.join(folder, "icons"));
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify(MANIFEST));
  fs.writeFileSync(path.join(folder, "channels/pigeon/channel.js"), CHANNEL);
  fs.writeFileSync(path.join(folder, "channels/pigeon/help.md"), "Pigeons carry it.\n");
  fs.writeFileSync(path.join(folder, "icons/pigeon.svg"), '<svg xmlns="http://www.w3.org/2000/svg"/>');
}

describe("a channel in a package of somebody else", () => {
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-loft-"));
    makePackage(folder);
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

  it("is built by npx redclaw-build and works in Node-RED and its editor", async () => {
    const said = execFileSync(process.execPath, [BUILD], { cwd: folder, encoding: "utf8" });
    assert.equal(said, "wrote dist/pigeon.js\n");
    const red = await startNodeRed({
      prepare: (userDir) => {
        fs.mkdirSync(path.join(userDir, "node_modules/@loft"), { recursive: true });
        fs.symlinkSync(folder, path.join(userDir, "node_modules", MANIFEST.name), "junction");
      },
    });
    let editor: Editor | undefined;
    try {
      const sets = await red.get<{ id: string; types: string[]; err?: unknown }[]>("nodes");
      const own = sets.find(({ id }) => id === `${MANIFEST.name}/pigeon`);
      assert.equal(own?.err, undefined);
      assert.deepEqual(own?.types, ["redclaw-pigeon", "redclaw-pigeon-in", "redclaw-pigeon-out"]);
      assert.deepEqual((await red.get<Record<string, string[]>>("icons"))[MANIFEST.name], ["pigeon.svg"]);

      editor = await Editor.open(red);
      const node = await editor.drag("redclaw-pigeon-in", 200, 100);
      await editor.edit(node);
      await editor.page.click("#node-input-btn-account-add");
      await editor.page.fill("#node-config-input-key", "coo");
      await editor.page.selectOption("#node-config-input-speed", "fast");
      await editor.page.click("[data-redclaw=test]");
      await editor.page.waitForSelector(".redclaw-right");
      assert.match(await editor.text(".redclaw-result"), /The loft is open: fast\./);
      await editor.done();
      await editor.done();
      await editor.deploy();
      await editor.page.waitForSelector("text=loft coo");
      assert.deepEqual(editor.faults, []);
    } finally {
      await editor?.close();
      await red.stop();
    }
  });

  it("hears what its package.json lacks", () => {
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ ...MANIFEST, "node-red": {} }));
    const said = execFileSync(process.execPath, [BUILD, "channels/pigeon", "--out", "lib"], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.match(said, /Add this to package\.json/);
    assert.match(said, /"pigeon": "lib\/pigeon\.js"/);
  });

  it("hears in one sentence that there is nothing to build", () => {
    fs.rmSync(path.join(folder, "channels"), { recursive: true });
    assert.throws(
      () => execFileSync(process.execPath, [BUILD], { cwd: folder, encoding: "utf8", stdio: "pipe" }),
      (error: { status: number; stderr: string }) =>
        error.status === 1 && /^There is no channel here.*\n$/.test(error.stderr),
    );
  });
});
