/** The form of the events node: what is ticked is saved, looking changes nothing, what cannot work is said. */
import assert from "node:assert/strict";
import { type Runtime, startNodeRed } from "../nodered/runtime";
import { Editor } from "./browser";

const FLOW = [
  { id: "tab", type: "tab", label: "Test" },
  { id: "page", type: "redclaw-web", name: "Front desk" },
  { id: "bot", type: "redclaw-telegram", name: "Family bot" },
  { id: "model", type: "redclaw-model", name: "A model" },
  { id: "in", type: "redclaw-web-in", z: "tab", account: "page", x: 150, y: 100, wires: [[]] },
  {
    id: "news",
    type: "redclaw-events",
    z: "tab",
    x: 150,
    y: 200,
    events: ["store-well", "held"],
    accounts: ["page"],
    severity: "info",
    wires: [[]],
  },
];

describe("the form of the events node", function () {
  this.timeout(60_000);
  let red: Runtime;
  let editor: Editor;
  before(async () => {
    red = await startNodeRed({ flows: FLOW });
    editor = await Editor.open(red);
  });
  after(async () => {
    await editor?.close();
    await red?.stop();
  });
  afterEach(() => assert.deepEqual(editor.faults.splice(0), []));

  const box = (value: string) => editor.page.locator(`.redclaw-form input[value="${value}"]`);

  it("shows what is chosen, offers accounts and no other nodes, and changes nothing when it is closed", async () => {
    await editor.edit("news");
    for (const value of ["store-well", "held", "page"])
      assert.equal(await box(value).isChecked(), true, value);
    for (const value of ["refused", "bot"]) assert.equal(await box(value).isChecked(), false, value);
    assert.equal(await box("model").count(), 0);
    assert.match(
      await editor.text("#redclaw-events-accounts"),
      /Front desk \(web\)\s*Family bot \(telegram\)/,
    );
    await editor.done();
    assert.equal(await editor.page.evaluate("RED.nodes.dirty()"), false);
  });

  it("says at once when nothing of what is ticked would come out", async () => {
    await editor.edit("news");
    const error = () => editor.text("#node-input-severity-error");
    await editor.page.selectOption("#node-input-severity", "error");
    assert.match(await error(), /nothing would ever come out/);
    await box("dead-letter").check();
    assert.equal(await error(), "");
    await editor.cancel();
    assert.equal(await editor.page.evaluate("RED.nodes.dirty()"), false);
  });

  it("saves what was ticked and unticked", async () => {
    await editor.edit("news");
    await box("store-well").uncheck();
    await box("refused").check();
    await box("bot").check();
    await box("page").uncheck();
    await editor.done();
    await editor.deploy();
    const saved = (await red.get<Record<string, unknown>[]>("flows")).find(({ id }) => id === "news");
    assert.deepEqual(new Set(saved?.["events"] as string[]), new Set(["held", "refused"]));
    assert.deepEqual(saved?.["accounts"], ["bot"]);
  });

  it("marks a node whose account was deleted, and lets it be unticked", async () => {
    await red.deploy(
      FLOW.map((node) => (node.id === "news" ? { ...node, accounts: ["gone"] } : node)) as never,
    );
    await editor.close();
    editor = await Editor.open(red);
    assert.deepEqual((await editor.node("news")).validationErrors, [
      "A chosen account was deleted. Open the form and untick it.",
    ]);
    await editor.edit("news");
    assert.match(await editor.text("#redclaw-events-accounts"), /deleted account/);
    await box("gone").uncheck();
    await editor.done();
    assert.equal((await editor.node("news")).valid, true);
  });
});
