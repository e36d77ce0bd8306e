import assert from "node:assert/strict";
import { type Runtime, startNodeRed } from "../nodered/runtime";
import { TelegramServer } from "../platforms/telegram";
import { Editor } from "./browser";
import { startProxy } from "./proxy";

const LOGIN = { username: "ada", password: "lovelace-1843" };

async function resultOf(editor: Editor): Promise<string> {
  await editor.page.waitForSelector(".redclaw-right, .redclaw-wrong");
  return editor.text(".redclaw-result");
}

async function dirty(editor: Editor): Promise<boolean> {
  return editor.page.evaluate("RED.nodes.dirty()") as Promise<boolean>;
}

describe("the editor", () => {
  let telegram: TelegramServer;
  let red: Runtime;
  let editor: Editor;
  before(async () => {
    telegram = await new TelegramServer().start();
    red = await startNodeRed();
    editor = await Editor.open(red);
  });
  after(async () => {
    await editor?.close();
    await red?.stop();
    await telegram?.stop();
  });
  afterEach(() => assert.deepEqual(editor.faults.splice(0), []));

  it("shows the boxes in titled categories with short labels", async () => {
    const titles = await editor.page.locator(".red-ui-palette-header span").allInnerTexts();
    for (const title of ["Redclaw channels", "Redclaw AI", "Redclaw flow"])
      assert.ok(titles.includes(title), `${title}: ${titles}`);
    // Which labels take two lines depends on the fonts of the machine.
    const label = async (type: string) =>
      (
        await editor.text(`.red-ui-palette-node[data-palette-type="${type}"] .red-ui-palette-label`)
      ).replaceAll("\n", " ");
    assert.equal(await label("redclaw-telegram-in"), "telegram in");
    assert.equal(await label("redclaw-telegram-out"), "telegram out");
    assert.equal(await label("redclaw-web-in"), "web in");
    assert.equal(await label("redclaw-reply"), "reply");
    assert.equal(await label("redclaw-ai"), "ai");
  });

  it("lets somebody drag and wire web in, ai and reply, add an account, and deploy", async () => {
    const input = await editor.drag("redclaw-web-in", 150, 100);
    const ai = await editor.drag("redclaw-ai", 350, 100);
    const reply = await editor.drag("redclaw-reply", 550, 100);
    await editor.wire(input, ai);
    await editor.wire(ai, reply);

    const untouched = await editor.node(input);
    assert.equal(untouched.valid, false);
    assert.deepEqual(untouched.validationErrors, ["Choose an account, or add one with the + button."]);

    await editor.edit(input);
    await editor.page.click("#node-input-btn-account-add");
    await editor.page.waitForSelector("#node-config-input-title");
    const address = await editor.page.inputValue("#redclaw-page-address");
    await editor.page.fill("#node-config-input-title", "Ask us");
    await editor.screenshot("web-account");
    await editor.done();
    await editor.done();
    assert.equal((await editor.node(input)).valid, true);
    const output = await editor.drag("redclaw-web-out", 350, 220);
    assert.equal(
      (await editor.node(output)).account,
      (await editor.node(input)).account,
      "the only account is taken",
    );
    await editor.deploy();
    await editor.page.waitForTimeout(500);
    await editor.screenshot("start-here");

    const page = await fetch(address);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /Ask us/);
  });

  it("says what is wrong in a form, below the field, and lets environment variables pass", async () => {
    const input = await editor.drag("redclaw-telegram-in", 150, 320);
    await editor.edit(input);
    await editor.page.click("#node-input-btn-account-add");
    const token = editor.page.locator("#node-config-input-token");
    const error = () => editor.text("#node-config-input-token-error");
    await token.waitFor();
    assert.equal(await error(), "", "nothing was typed yet");
    await token.fill("abc");
    assert.match(await error(), /a number, a colon/);
    await editor.screenshot("token-wrong");
    await token.fill("");
    await token.blur();
    assert.match(await error(), /"Bot token" is empty/);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Node-RED's way to name an environment variable
    await token.fill("${TELEGRAM_TOKEN}");
    assert.equal(await error(), "");

    await editor.page.locator("summary:visible").last().click();
    const limits = editor.page.locator("#node-config-input-limits");
    for (const wrong of ["1/s", "[]", '{"perChat":"often"}', '{"perMinute":"1/s"}', '{"perChat":"0/s"}']) {
      await limits.fill(wrong);
      assert.match(await editor.text("#node-config-input-limits-error"), /Write the limits like/, wrong);
    }
    for (const right of ['{"perChat":"0.5/s","perAccount":"20/min"}', '{"perChat":""}', ""]) {
      await limits.fill(right);
      assert.equal(await editor.text("#node-config-input-limits-error"), "", right);
    }
    await editor.page.fill("#node-config-input-apiRoot", "api.telegram.org");
    assert.match(await editor.text("#node-config-input-apiRoot-error"), /begins with https:/);
    await editor.cancel();
    await editor.cancel();
  });

  it("shows the fields of a webhook only for a webhook, with the exact address", async () => {
    await editor.edit((await editor.nodes()).find(({ type }) => type === "redclaw-telegram-in")?.id ?? "");
    await editor.page.click("#node-input-btn-account-add");
    await editor.page.waitForSelector("#node-config-input-token");
    await editor.page.locator("summary:visible").last().click();
    const secret = editor.page.locator("#node-config-input-webhookSecret");
    assert.equal(await secret.isVisible(), false);
    await editor.page.selectOption("#node-config-input-mode", "webhook");
    assert.equal(await secret.isVisible(), true);
    assert.match(
      await editor.page.inputValue("#redclaw-webhook-address"),
      new RegExp(`^${red.nodeUrl}/redclaw/telegram/\\w+$`),
    );
    await editor.screenshot("webhook");
    await editor.page.selectOption("#node-config-input-mode", "polling");
    assert.equal(await secret.isVisible(), false);
    await editor.cancel();
    await editor.cancel();
  });

  it("tests a connection with unsaved values: a refused token, then the right one, then the saved one", async () => {
    const input = (await editor.nodes()).find(({ type }) => type === "redclaw-telegram-in")?.id ?? "";
    await editor.edit(input);
    await editor.page.click("#node-input-btn-account-add");
    await editor.page.waitForSelector("#node-config-input-token");
    await editor.page.locator("summary:visible").last().click();
    await editor.page.fill("#node-config-input-apiRoot", telegram.url);
    await editor.page.fill("#node-config-input-token", "1:wrong-token");
    await editor.page.click("[data-redclaw=test]");
    assert.match(await resultOf(editor), /Telegram refused this token/);
    await editor.screenshot("test-refused");

    await editor.page.fill("#node-config-input-token", telegram.token);
    await editor.page.click("[data-redclaw=test]");
    await editor.page.waitForSelector(".redclaw-right");
    assert.match(await resultOf(editor), /@crayfish_test_bot/);
    await editor.screenshot("test-right");
    await editor.done();
    await editor.done();
    await editor.deploy();
    await editor.page.waitForSelector("text=@crayfish_test_bot");

    const account = String((await editor.node(input)).account);
    await editor.edit(account);
    assert.ok(await editor.page.isVisible(".redclaw-saved"), "the token is shown as saved");
    await editor.page.click("[data-redclaw=test]");
    assert.match(await resultOf(editor), /@crayfish_test_bot/);
    await editor.screenshot("account-saved");
    await editor.cancel();
  });

  it("offers the recent chats by name in an out node", async () => {
    telegram.say("hello");
    const output = await editor.drag("redclaw-telegram-out", 450, 320);
    await editor.edit(output);
    const field = editor.page.locator(".red-ui-typedInput-input:visible");
    await field.click();
    await editor.page.waitForSelector(".redclaw-chat");
    await editor.screenshot("chats");
    assert.match(await editor.text(".redclaw-chat"), /Ada[\s\S]*4242/);
    await editor.page.locator(".redclaw-chat").first().click();
    await editor.done();
    const { to, toType } = await editor.node(output);
    assert.deepEqual({ to, toType }, { to: "4242", toType: "chat" });
    await editor.deploy();
  });

  it("changes nothing when a form is opened and closed", async () => {
    assert.equal(await dirty(editor), false);
    const before = await editor.nodes();
    for (const { id, type } of before.filter((node) => node.type.startsWith("redclaw-"))) {
      await editor.edit(id);
      await editor.done();
      const after = await editor.node(id);
      assert.ok(!after.changed, `${type} is marked as changed`);
    }
    assert.deepEqual(await editor.nodes(), before);
    assert.equal(await dirty(editor), false);
  });

  it("changes nothing in nodes that another program made with the least properties", async () => {
    await red.deploy([
      { id: "tab", type: "tab", label: "Flow 1" },
      { id: "acc", type: "redclaw-web" },
      { id: "gate", type: "redclaw-gateway" },
      { id: "in", z: "tab", type: "redclaw-web-in", account: "acc", wires: [["ai"]], x: 150, y: 100 },
      { id: "ai", z: "tab", type: "redclaw-ai", wires: [["re"], []], x: 300, y: 100 },
      { id: "re", z: "tab", type: "redclaw-reply", wires: [[]], x: 450, y: 100 },
      { id: "out", z: "tab", type: "redclaw-web-out", account: "acc", wires: [[]], x: 450, y: 200 },
    ]);
    await editor.page.reload();
    await editor.page.waitForFunction("window.RED && RED.nodes && RED.nodes.node('re')");
    await editor.page.waitForTimeout(500);
    for (const id of ["acc", "gate", "in", "re", "out"]) {
      await editor.edit(id);
      await editor.done();
      assert.ok(!(await editor.node(id)).changed, `${id} is marked as changed`);
    }
    assert.equal(await dirty(editor), false);
  });
});

describe("the editor in the dark, behind a login and prefixes", () => {
  let red: Runtime;
  let editor: Editor;
  let telegram: TelegramServer;
  before(async () => {
    telegram = await new TelegramServer().start();
    red = await startNodeRed({ adminRoot: "/admin/red", nodeRoot: "/api", adminAuth: LOGIN });
    editor = await Editor.open(red, { dark: true, login: LOGIN });
  });
  after(async () => {
    await editor?.close();
    await red?.stop();
    await telegram?.stop();
  });

  it("works the same", async () => {
    const input = await editor.drag("redclaw-telegram-in", 150, 100);
    await editor.edit(input);
    await editor.page.click("#node-input-btn-account-add");
    await editor.page.waitForSelector("#node-config-input-token");
    await editor.page.fill("#node-config-input-token", "1:wrong-token");
    await editor.page.locator("summary:visible").last().click();
    await editor.page.fill("#node-config-input-apiRoot", telegram.url);
    await editor.page.selectOption("#node-config-input-mode", "webhook");
    assert.match(
      await editor.page.inputValue("#redclaw-webhook-address"),
      new RegExp(`^${red.url}/api/redclaw/telegram/\\w+$`),
    );
    await editor.page.selectOption("#node-config-input-mode", "polling");
    await editor.page.click("[data-redclaw=test]");
    assert.match(await resultOf(editor), /Telegram refused this token/);
    await editor.screenshot("dark-account");
    await editor.page.fill("#node-config-input-token", telegram.token);
    await editor.done();
    await editor.screenshot("dark-in");
    await editor.done();
    await editor.deploy();
    await editor.page.waitForSelector("text=@crayfish_test_bot");
    await editor.screenshot("dark-deployed");
    assert.deepEqual(
      editor.faults.filter((fault) => !/401/.test(fault)),
      [],
    );
  });

  it("lets nobody test or list without a login", async () => {
    const ask = (address: string, init?: RequestInit) =>
      fetch(`${red.adminUrl}/redclaw/api/${address}`, init);
    assert.equal((await ask("accounts")).status, 401);
    assert.equal((await ask("accounts/x/targets?q=")).status, 401);
    assert.equal((await ask("accounts/x/test", { method: "POST" })).status, 401);
  });
});

describe("the editor behind a proxy that takes a path prefix away (Home Assistant ingress)", () => {
  let red: Runtime;
  let editor: Editor;
  let telegram: TelegramServer;
  let proxy: Awaited<ReturnType<typeof startProxy>>;
  before(async () => {
    telegram = await new TelegramServer().start();
    red = await startNodeRed({ adminRoot: "/red", nodeRoot: "/api" });
    proxy = await startProxy(red.url, "/ingress/abc123");
    editor = await Editor.open({ ...red, adminUrl: `${proxy.url}/red` });
  });
  after(async () => {
    await editor?.close();
    await proxy?.stop();
    await red?.stop();
    await telegram?.stop();
  });

  it("tests an account, shows addresses that lead through the proxy, and deploys", async () => {
    const input = await editor.drag("redclaw-telegram-in", 150, 100);
    await editor.edit(input);
    await editor.page.click("#node-input-btn-account-add");
    await editor.page.fill("#node-config-input-token", telegram.token);
    await editor.page.locator("summary:visible").last().click();
    await editor.page.fill("#node-config-input-apiRoot", telegram.url);
    await editor.page.click("[data-redclaw=test]");
    assert.match(await resultOf(editor), /Connected as @/);
    await editor.page.selectOption("#node-config-input-mode", "webhook");
    assert.match(
      await editor.page.inputValue("#redclaw-webhook-address"),
      new RegExp(`^${proxy.url}/api/redclaw/telegram/\\w+$`),
    );
    await editor.page.selectOption("#node-config-input-mode", "polling");
    await editor.done();
    await editor.done();
    await editor.deploy();
    await editor.page.waitForSelector("text=@crayfish_test_bot");
    assert.deepEqual(editor.faults, []);
  });
});
