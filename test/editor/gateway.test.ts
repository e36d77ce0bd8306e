import assert from "node:assert/strict";
import { type Runtime, startNodeRed } from "../nodered/runtime";
import { Editor } from "./browser";

const FLOW = [
  { id: "tab", type: "tab", label: "Flow 1" },
  { id: "gw", type: "redclaw-gateway", store: "sqlite", publicUrl: "" },
  { id: "tg", type: "redclaw-telegram", name: "bot", apiRoot: "", mode: "webhook" },
  { id: "in", z: "tab", type: "redclaw-telegram-in", account: "tg", wires: [[]], x: 150, y: 100 },
];
const field = (name: string) => `#node-config-input-${name}`;

for (const dark of [false, true]) {
  const theme = dark ? "dark" : "light";
  describe(`the form of the gateway (${theme})`, () => {
    let red: Runtime;
    let editor: Editor;
    const errorOf = (name: string) => editor.text(`${field(name)}-error`);
    const isShown = (name: string) => editor.page.isVisible(field(name));
    before(async () => {
      red = await startNodeRed({ flows: FLOW });
      editor = await Editor.open(red, { dark });
    });
    after(async () => {
      await editor?.close();
      await red?.stop();
    });
    afterEach(() => assert.deepEqual(editor.faults.splice(0), []));

    it("asks for days only when messages are kept for days", async () => {
      await editor.edit("gw");
      assert.equal(await isShown("retention"), true);
      assert.equal(await isShown("historyDays"), false);
      await editor.screenshot(`gateway-${theme}-closed`);
      await editor.page.selectOption(field("retention"), "history");
      assert.equal(await isShown("historyDays"), true);
      assert.equal(await editor.page.inputValue(field("historyDays")), "30");
      await editor.page.selectOption(field("store"), "memory");
      assert.equal(await isShown("retention"), false);
      assert.equal(await isShown("historyDays"), false);
      await editor.page.selectOption(field("store"), "sqlite");
    });

    it("says below the field what is wrong with a port, a proxy, a number of days", async () => {
      await editor.page.locator("summary:visible").last().click();
      const cases: [string, string[], string[], RegExp][] = [
        ["historyDays", ["0", "many"], ["1", "3650", ""], /Write a number/],
        ["webhookPort", ["0", "65536", "http", "1.5", "-1"], ["1881", "65535", ""], /port number/],
        [
          "trustedProxies",
          ["proxy", "10.0.0.0/33", "10.0.0.256", "127.0.0.1, x", "fd00::/129", "1.2.3.4/"],
          ["127.0.0.1", "127.0.0.1, 10.0.0.0/8", "::1 fd00::/8", ""],
          /is no network address/,
        ],
      ];
      for (const [name, wrong, right, sentence] of cases) {
        for (const value of wrong) {
          await editor.page.fill(field(name), value);
          assert.match(await errorOf(name), sentence, `${name} ${value}`);
        }
        if (name === "trustedProxies") await editor.screenshot(`gateway-${theme}-wrong`);
        for (const value of right) {
          await editor.page.fill(field(name), value);
          assert.equal(await errorOf(name), "", `${name} ${value}`);
        }
      }
      await editor.screenshot(`gateway-${theme}`);
      await editor.cancel();
    });

    it("an account that receives by webhook shows what keeps the platform from calling it", async () => {
      const warnings = () => editor.page.locator(".redclaw-warnings li").allInnerTexts();
      const withAddress = async (publicUrl: string) => {
        await editor.edit("gw");
        await editor.page.fill(field("publicUrl"), publicUrl);
        await editor.done();
        await editor.edit("tg");
        await editor.page.waitForSelector("#redclaw-webhook-address");
      };
      await editor.edit("tg");
      assert.match((await warnings()).join(), /No public address is set/);
      await editor.screenshot(`webhook-${theme}-no-address`);
      await editor.cancel();
      await withAddress("http://home.example.org");
      assert.match((await warnings()).join(), /begins with http:\/\//);
      await editor.screenshot(`webhook-${theme}-http`);
      await editor.page.fill(field("apiRoot"), "http://10.0.0.5:8081");
      assert.equal((await warnings()).length, 0, "a platform of one's own may be called without https");
      await editor.cancel();
      for (const inside of [
        "http://192.168.1.5:1880",
        "https://nas.local",
        "https://127.0.0.1",
        "https://nas",
      ]) {
        await withAddress(inside);
        assert.match((await warnings()).join(), /is inside your own network/, inside);
        await editor.cancel();
      }
      await withAddress("https://home.example.org");
      assert.deepEqual(await warnings(), []);
      assert.equal(
        await editor.page.inputValue("#redclaw-webhook-address"),
        "https://home.example.org/redclaw/telegram/tg",
      );
      await editor.cancel();
    });

    it("shows what the running Node-RED found out about the webhook", async () => {
      await red.deploy([
        ...FLOW.map((node) => {
          if (node.id === "gw") return { ...node, publicUrl: red.url, trustedProxies: "<b>x</b>" };
          return node.id === "tg"
            ? { ...node, apiRoot: "http://127.0.0.1:9", credentials: { token: "1:a" } }
            : node;
        }),
      ] as never);
      await editor.page.reload();
      await editor.page.waitForFunction("window.RED && RED.nodes && RED.nodes.node('tg')");
      await editor.page.waitForTimeout(500);
      await editor.edit("tg");
      await editor.page.waitForSelector(".redclaw-warnings li");
      assert.match(await editor.text(".redclaw-warnings"), /trusted proxy "<b>x<\/b>"/);
      await editor.cancel();
    });
  });
}
