/** The chat page on a real Node-RED that deploys while people write. */
import assert from "node:assert/strict";
import { type Runtime, startNodeRed } from "../../nodered/runtime";
import { TestVisitor } from "../../platforms/web";

const PEOPLE = 4;
/** The page lets a person write so many at once. */
const EACH = 9;

describe("web: deploys", function () {
  this.timeout(60_000);
  let red: Runtime;
  let visitors: TestVisitor[] = [];

  before(async () => {
    red = await startNodeRed();
  });
  after(() => red.stop());
  afterEach(() => {
    for (const visitor of visitors) visitor.leave();
    visitors = [];
  });

  /** An echo; `version` changes something else than the account. */
  const flow = (version: number, title = "Chat") => [
    { id: "tab", type: "tab", label: "Echo" },
    { id: "page", type: "redclaw-web", name: "Page", title },
    { id: "in", type: "redclaw-web-in", z: "tab", account: "page", wires: [["echo"]] },
    {
      id: "echo",
      type: "function",
      z: "tab",
      func: `msg.payload = "re " + msg.payload.text; return msg; // ${version}`,
      outputs: 1,
      wires: [["reply"]],
    },
    { id: "reply", type: "redclaw-reply", z: "tab", wires: [[]] },
  ];

  async function arrive(): Promise<TestVisitor> {
    const visitor = new TestVisitor(`${red.nodeUrl}/redclaw/web/page/`);
    visitor.headers = { "X-Forwarded-For": `8.8.8.${visitors.length + 1}` };
    visitors.push(visitor);
    for (const deadline = Date.now() + 15_000; ; ) {
      const answer = await visitor.arrive().catch(() => undefined);
      if (answer?.status === 200) return visitor;
      if (Date.now() > deadline) throw new Error(`The page did not come: ${answer?.status}\n${red.logs()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function until(done: () => boolean, what: () => string): Promise<void> {
    for (const deadline = Date.now() + 15_000; !done(); ) {
      if (Date.now() > deadline) throw new Error(`${what()}\n${red.logs()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it("pages stay connected; each message written meanwhile is taken at once and answered once", async () => {
    await red.deploy(flow(0) as never);
    for (let who = 0; who < PEOPLE; who += 1) await arrive();
    const streams = await Promise.all(visitors.map((visitor) => visitor.listen()));
    const taken: number[] = [];
    const writing = Promise.all(
      visitors.map(async (visitor, who) => {
        for (let n = 0; n < EACH; n += 1) {
          taken.push((await visitor.say(`${who}.${n}`)).status);
          await new Promise((resolve) => setTimeout(resolve, 120));
        }
      }),
    );
    let version = 0;
    for (const type of ["full", "nodes", "flows", "full", "reload"] as const) {
      await red.deploy(flow(++version) as never, type);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await writing;
    assert.deepEqual(
      taken.filter((status) => status !== 202),
      [],
    );
    const answers = () =>
      streams.map(({ messages }) => messages.filter(({ from }) => from === "bot").map(({ text }) => text));
    await until(
      () => answers().flat().length >= PEOPLE * EACH,
      () => JSON.stringify(answers()),
    );
    assert.deepEqual(
      streams.map(({ ended }) => ended),
      streams.map(() => false),
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const [who, texts] of answers().entries())
      assert.deepEqual(
        [...texts].sort(),
        Array.from({ length: EACH }, (_, n) => `re ${who}.${n}`),
      );
  });

  it("a changed account ends them; a page that comes back is there again, with what was said", async () => {
    await red.deploy(flow(0) as never);
    const visitor = await arrive();
    const stream = await visitor.listen();
    assert.equal((await visitor.say("before")).status, 202);
    await until(
      () => stream.messages.some(({ text }) => text === "re before"),
      () => "no answer",
    );
    await red.deploy(flow(0, "Another title") as never);
    await until(
      () => stream.ended,
      () => "the stream goes on",
    );
    await visitor.arrive();
    const next = await visitor.listen();
    assert.equal(next.heard.find(({ event }) => event === "hello")?.data.title, "Another title");
    assert.equal((await visitor.say("after")).status, 202);
    await until(
      () => next.messages.some(({ text }) => text === "re after"),
      () => "no answer",
    );
    assert.deepEqual(
      next.messages.map(({ text }) => text),
      ["before", "re before", "after", "re after"],
    );
  });
});
