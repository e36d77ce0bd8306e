/** The examples as the editor sees them: every node is known and its form is content with what the example says. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { deploy, linkPackage, readExamples, startNodeRed } from "../../scripts/node-red";
import { TelegramServer } from "../platforms/telegram";

/** What the page's `RED` is asked. */
interface EditorNode {
  id: string;
  type: string;
  valid?: boolean;
  validationErrors?: string[];
}
declare const RED: {
  nodes: {
    eachNode(see: (node: EditorNode) => void): void;
    eachConfig(see: (node: EditorNode) => void): void;
  };
};

describe("the examples in the editor", function () {
  this.timeout(60_000);

  it("have no unknown node and no red triangle", async () => {
    const userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-examples-"));
    linkPackage(userDir);
    const flows = [...readExamples().values()].flat();
    const nodeRed = await startNodeRed({ userDir, flows });
    const browser = await chromium.launch({
      executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
    try {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      await page.goto(nodeRed.url);
      await page.waitForSelector(".red-ui-flow-node");
      // No named function in here: tsx would refer to a helper of its own that the page does not have.
      const seen = await page.evaluate(() => {
        const nodes: EditorNode[] = [];
        RED.nodes.eachNode((node) => nodes.push(node));
        RED.nodes.eachConfig((node) => nodes.push(node));
        return nodes.map(({ id, type, valid, validationErrors }) => ({ id, type, valid, validationErrors }));
      });
      assert.equal(seen.length, flows.filter((node) => node.type !== "tab").length);
      const wrong = seen.filter((node) => node.type === "unknown" || node.valid !== true);
      assert.deepEqual(wrong, []);
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
      await nodeRed.stop();
      fs.rmSync(userDir, { recursive: true, force: true });
    }
  });
});

describe('the example "04 Raise an alarm"', function () {
  this.timeout(60_000);

  it("brings the alarm of the button, and then a real one, to the chat that asked for it", async () => {
    const userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-alarm-"));
    linkPackage(userDir);
    const flows = readExamples().get("04 Raise an alarm") ?? [];
    const telegram = await new TelegramServer().start();
    const nodeRed = await startNodeRed({ userDir, flows });
    const browser = await chromium.launch({
      executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    });
    try {
      const page = await browser.newPage();
      await page.goto(`${nodeRed.url}/redclaw/web/raise-alarm-web/`);
      await page.getByRole("textbox").fill("Tell me!");
      await page.keyboard.press("Enter");
      await page.getByText("From now on, alarms arrive here.").waitFor();
      const pressed = await fetch(`${nodeRed.url}/inject/raise-alarm-try`, { method: "POST" });
      assert.equal(pressed.status, 200);
      await page.getByText("This is only a test").waitFor();
      // A bot whose token was taken back.
      telegram.revoked = true;
      const bot = {
        id: "bot",
        type: "redclaw-telegram",
        name: "Family bot",
        apiRoot: telegram.url,
        credentials: { token: telegram.token },
      };
      const uses = {
        id: "uses",
        type: "redclaw-telegram-in",
        z: "raise-alarm-tab",
        account: "bot",
        wires: [[]],
      };
      await deploy(nodeRed.url, [...flows, bot, uses]);
      await page.getByText("Family bot: Telegram refused this token").waitFor();
    } finally {
      await browser.close();
      await nodeRed.stop();
      await telegram.stop();
      fs.rmSync(userDir, { recursive: true, force: true });
    }
  });
});
