/** What the package costs those who have it installed and do not (yet) use it. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { measureFootprint } from "../../scripts/footprint";
import { deploy, type FlowNode, linkPackage, readExamples, startNodeRed } from "../../scripts/node-red";

/** Libraries that only load when an account or a model that needs them starts. */
const heavy = ["grammy", "openai", "undici", "discord.js", "@slack/bolt"];

describe("footprint", function () {
  this.timeout(180_000);

  it("adds at most 20 MB of memory to a Node-RED that uses none of our nodes", async () => {
    const { added, bare, installed } = await measureFootprint(3);
    assert.ok(added <= 20, `${added.toFixed(1)} MB (bare ${bare}, installed ${installed})`);
    assert.ok(Math.min(...bare) > 20, "the measurement itself is off");
  });

  it("loads no SDK and no HTTP library when the palette is loaded", async () => {
    assert.deepEqual(await heavyModules([]), []);
  });

  it("loads no Telegram library for a flow with a chat page", async () => {
    const flow = readExamples().get("01 Start here") ?? [];
    const onlyWeb = flow.filter((node) => ["tab", "redclaw-web", "redclaw-web-in"].includes(node.type));
    assert.ok(!(await heavyModules(onlyWeb)).includes("grammy"));
  });

  it("loads no Telegram library for an account that sends no files", async () => {
    const flow: FlowNode[] = [
      { id: "tab", type: "tab" },
      // Port 9 (discard) refuses the connection: the account starts and keeps trying.
      {
        id: "bot",
        type: "redclaw-telegram",
        apiRoot: "http://127.0.0.1:9",
        credentials: { token: "123456:test-token" },
      },
      { id: "in", type: "redclaw-telegram-in", z: "tab", account: "bot", wires: [[]] },
    ];
    const loaded = await heavyModules(flow);
    assert.ok(loaded.includes("undici"), "the account did not start");
    assert.ok(!loaded.includes("grammy"));
  });
});

/** Which of the heavy libraries a Node-RED with these flows has loaded after two seconds. */
async function heavyModules(flows: FlowNode[]): Promise<string[]> {
  const userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-modules-"));
  linkPackage(userDir);
  const nodeRed = await startNodeRed({ userDir, env: { REDCLAW_PROBE_MODULES: "1" } });
  try {
    if (flows.length > 0) {
      await deploy(nodeRed.url, flows);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
    // Node-RED reads the package.json of everything that is installed, in search of nodes.
    const modules = (await nodeRed.probe()).modules.filter((file) => !file.endsWith("/package.json"));
    assert.ok(
      modules.some((file) => file.includes("/dist/")),
      "the package itself is not loaded",
    );
    return heavy.filter((name) => modules.some((file) => file.includes(`/node_modules/${name}/`)));
  } finally {
    await nodeRed.stop();
    fs.rmSync(userDir, { recursive: true, force: true });
  }
}
