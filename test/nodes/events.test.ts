import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { NEWS, type News } from "../../lib/delivery/news";
import { ChannelError } from "../../lib/errors";
import { choiceOf } from "../../nodes/events/choice";
import { type CountedNews, Joined } from "../../nodes/events/joined";
import { letsThrough } from "../../nodes/events/severities";
import type { FlowMessage } from "../../nodes/red";
import { until } from "../delivery/scripted";
import { helper, loadFlow } from "./flow";

const account = { id: "acc", type: "redclaw-scripted", name: "Family bot", z: "" };
const out = { id: "out", type: "redclaw-scripted-out", account: "acc", to: "c1", toType: "str", wires: [[]] };
const events = { id: "events", type: "redclaw-events", events: [], accounts: [], wires: [["seen"]] };
const seen = { id: "seen", type: "helper" };

function news(change: Partial<News> = {}): News {
  return {
    v: 1,
    event: "held",
    severity: "warning",
    sentence: "It may not have arrived.",
    account: "acc",
    at: new Date(0).toISOString(),
    ...change,
  };
}

describe("the events node", () => {
  before(() => helper.startServer());
  after(() => helper.stopServer());
  afterEach(async () => {
    await helper.unload();
  });

  const load = async (node: object = {}) => {
    const loaded = await loadFlow([account, out, { ...events, ...node }, seen]);
    const messages: FlowMessage[] = [];
    loaded.node("seen").on("input", (message: FlowMessage) => messages.push(message));
    await until(() => loaded.gateway.accounts.get("acc")?.status.state === "connected");
    return { ...loaded, messages };
  };
  const eventsOf = (messages: FlowMessage[]) => messages.map(({ payload }) => (payload as News).event);

  it("says that an account is connected and that a message is held, as plain data", async () => {
    const { channel, node, messages, statuses } = await load();
    channel.onSend = () => {
      throw new ChannelError("interrupted", "cut off");
    };
    node("out").receive({ payload: "hello, this stays private" });
    await until(() => messages.length === 2);
    assert.deepEqual(eventsOf(messages), ["connected", "held"]);
    const { payload, topic } = messages[1] as FlowMessage;
    assert.equal(topic, "redclaw/held");
    const {
      severity,
      channel: name,
      account: id,
      conversation,
      held,
      count,
      sentence,
    } = payload as CountedNews;
    assert.deepEqual(
      [severity, name, id, conversation, held, count],
      ["warning", "scripted", "acc", "c1", 1, 1],
    );
    assert.match(sentence, /Resend or Dismiss/);
    assert.ok(!JSON.stringify(messages).includes("private"));
    assert.ok(!JSON.stringify(messages).includes("secret-token"));
    assert.deepEqual(JSON.parse(JSON.stringify(payload)), payload);
    // The helper keeps the statuses of all nodes in one list.
    const shown = statuses("events").map(({ fill, text }) => `${fill} ${text}`);
    assert.ok(shown.includes("grey listening"), shown.join());
    assert.ok(shown.includes("yellow Family bot: message held"), shown.join());
  });

  it("lets only the chosen events, accounts and severities through", async () => {
    const { channel, node, messages } = await load({ events: ["held", "dead-letter"], severity: "error" });
    channel.onSend = ({ part }) => {
      const gone = part.kind === "text" && part.plain === "gone";
      throw new ChannelError(gone ? "gone" : "interrupted", "not sent");
    };
    node("out").receive({ payload: "held" });
    node("out").receive({ payload: "gone" });
    await until(() => messages.length === 1);
    assert.deepEqual(eventsOf(messages), ["dead-letter"]);
  });

  it("what concerns all accounts is reported whichever are chosen", () => {
    const wanted = choiceOf({ id: "n", type: "t", accounts: ["other"] });
    assert.equal(wanted(news()), false);
    assert.equal(wanted(news({ account: "other" })), true);
    assert.equal(wanted(news({ event: "store-trouble", account: undefined })), true);
  });

  it("with nothing chosen, or a form of another version, everything comes out", () => {
    for (const config of [{}, { events: "", accounts: null, severity: "dreadful" }])
      assert.ok(
        NEWS.every((event) => choiceOf({ id: "n", type: "t", ...config })(news({ event, severity: "info" }))),
      );
  });

  it("the same news in a short time are joined, and their count is right; other news are not kept waiting", async () => {
    const told: CountedNews[] = [];
    const joined = new Joined((one) => told.push(one), 40);
    for (let index = 0; index < 5; index += 1) joined.add(news({ id: `m${index}` }));
    joined.add(news({ account: "other" }));
    joined.add(news({ event: "dead-letter" }));
    assert.deepEqual(
      told.map(({ event, account: of, count }) => [event, of, count]),
      [
        ["held", "acc", 1],
        ["held", "other", 1],
        ["dead-letter", "acc", 1],
      ],
    );
    await until(() => told.length === 4);
    assert.deepEqual([told[3]?.count, told[3]?.id], [4, "m4"]);
    // Quiet for a while: the next one goes out at once again.
    await new Promise((resolve) => setTimeout(resolve, 120));
    joined.add(news());
    assert.equal(told.length, 5);
    assert.equal(told[4]?.count, 1);
    joined.close();
  });

  it("is silent and shows nothing after it was closed", async () => {
    const { gateway, node, messages, statuses } = await load();
    const box = node("events") as unknown as { close(): Promise<void> };
    await box.close();
    const before = messages.length;
    gateway.tellOf(gateway.accounts.get("acc") as never, {
      event: "held",
      severity: "warning",
      sentence: "x",
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(messages.length, before);
    assert.deepEqual(statuses("events").at(-1), {});
  });

  it("its form knows every event, each with a label, and says when a choice lets nothing through", () => {
    const folder = path.join(__dirname, "../../nodes/events");
    const { event } = JSON.parse(fs.readFileSync(path.join(folder, "locale.json"), "utf8"));
    assert.deepEqual(Object.keys(event).sort(), [...NEWS].sort());
    const form = fs.readFileSync(path.join(folder, "editor.ts"), "utf8");
    const help = fs.readFileSync(path.join(folder, "help.md"), "utf8");
    for (const name of NEWS) {
      assert.ok(form.includes(`"${name}"`), `${name} is not in the form`);
      assert.ok(help.includes(`\`${name}\``), `${name} is not in the help`);
    }
    assert.equal(letsThrough(["held", "connected"], "error"), false);
    assert.equal(letsThrough(["held", "refused"], "error"), true);
    assert.equal(letsThrough([], "error"), true);
  });
});
