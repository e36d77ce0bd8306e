/** The examples as the editor sees them: every node is known and its form is content with what the example says. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { linkPackage, readExamples, startNodeRed } from "../../scripts/node-red";

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
