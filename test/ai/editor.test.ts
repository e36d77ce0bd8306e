/** The forms of `ai` and `model` in a real editor. Needs `dist/`. */
import assert from "node:assert/strict";
import { Editor } from "../editor/browser";
import { type Runtime, startNodeRed } from "../nodered/runtime";
import { OpenAIServer } from "../platforms/openai";

const KEY = "sk-very-secret-0123456789";

describe("forms of ai and model in the editor", function () {
  this.timeout(90_000);
  let server: OpenAIServer;
  let red: Runtime;
  let editor: Editor;

  before(async () => {
    server = await new OpenAIServer().start();
    server.models = ["llama3.2", "nomic-embed", "qwen3"];
    red = await startNodeRed({ env: { OLLAMA_HOST: "127.0.0.1:9", OPENAI_API_KEY: "" } });
    editor = await Editor.open(red, { dark: true });
    // tsx gives functions their names with this, also those that run in the page.
    await editor.page.evaluate("globalThis.__name ??= (named) => named");
  });
  after(async () => {
    await editor?.close();
    await red?.stop();
    await server?.stop();
  });

  const node = async (id: string) => (await editor.nodes()).find((each) => each.id === id);

  it("drag an ai node, give it a model, test with unsaved values, deploy, and look again without a change", async () => {
    const { page } = editor;
    const id = await editor.drag("redclaw-ai", 300, 100);
    await editor.edit(id);
    await editor.done();
    assert.equal((await node(id))?.valid, true);
    await editor.deploy();
    await editor.edit(id);
    await editor.done();
    assert.equal((await node(id))?.changed, false, "looking at the form changed the node");

    await editor.edit(id);
    await page.click("#node-input-btn-model-add");
    await page.waitForSelector("#node-config-input-provider", { state: "visible" });
    await page.waitForTimeout(500);
    const shown = (field: string) => page.locator(`#node-config-input-${field}`).isVisible();
    assert.deepEqual(
      [await shown("apiKey"), await shown("baseUrl"), await shown("model")],
      [false, false, false],
    );
    await page.click("[data-redclaw=test]");
    await page.waitForSelector(".redclaw-right");
    assert.match((await page.textContent(".redclaw-result")) ?? "", /demo model answers/);

    await page.selectOption("#node-config-input-provider", "anthropic");
    assert.deepEqual(
      [await shown("apiKey"), await shown("baseUrl"), await shown("model")],
      [true, false, true],
    );
    assert.match((await page.textContent("#node-config-input-apiKey-hint")) ?? "", /platform\.claude\.com/);
    assert.equal(await page.textContent(".redclaw-result"), "");

    await page.selectOption("#node-config-input-provider", "custom");
    await page.fill("#node-config-input-baseUrl", "nonsense");
    assert.match(
      (await page.textContent("#node-config-input-baseUrl-error")) ?? "",
      /begins with https:\/\//,
    );
    await page.fill("#node-config-input-baseUrl", server.url);
    await page.fill("#node-config-input-apiKey", KEY);
    await page.click("#node-config-input-model");
    await page.waitForSelector(".red-ui-autoComplete-container");
    await page.keyboard.type("qw");
    await page.waitForTimeout(800);
    await page.keyboard.press("Tab");
    assert.equal(await page.inputValue("#node-config-input-model"), "qwen3");
    await page.click("[data-redclaw=test]");
    await page.waitForSelector(".redclaw-right");
    assert.match((await page.textContent(".redclaw-result")) ?? "", /answered with qwen3 in/);
    assert.equal(server.chats.at(-1)?.headers.authorization, `Bearer ${KEY}`);

    await editor.done();
    await editor.done();
    await editor.deploy();
    const model = (await editor.nodes()).find((each) => each.type === "redclaw-model");
    assert.equal(model?.["baseUrl"], server.url);
    assert.equal((await node(id))?.["model"], model?.id);
    assert(!JSON.stringify(await red.get("flows")).includes(KEY));

    await editor.edit(model?.id ?? "");
    await page.click("[data-redclaw=test]");
    await page.waitForSelector(".redclaw-right");
    assert.equal(server.chats.at(-1)?.headers.authorization, `Bearer ${KEY}`, "the saved key was not used");
    await editor.done();
    assert.equal((await node(model?.id ?? ""))?.changed, false, "looking at the form changed the model");
    assert.deepEqual(
      editor.faults.filter((fault) => !fault.includes("ERR_NAME_NOT_RESOLVED")),
      [],
    );
  });
});
