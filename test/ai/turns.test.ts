/** One turn at a time per conversation. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Turns } from "../../lib/ai/turns";

describe("turns", () => {
  it("keeps the order of a conversation, whatever each turn takes", async () => {
    const turns = new Turns(100);
    const order: number[] = [];
    let busy = 0;
    const all = Array.from({ length: 30 }, (_, index) =>
      turns.run("chat", async () => {
        busy += 1;
        assert.equal(busy, 1);
        await sleep(Math.random() * 4);
        order.push(index);
        busy -= 1;
      }),
    );
    await Promise.all(all);
    assert.deepEqual(order, [...order.keys()]);
  });

  it("lets different conversations go side by side", async () => {
    const turns = new Turns();
    const start = Date.now();
    await Promise.all(Array.from({ length: 50 }, (_, chat) => turns.run(`chat ${chat}`, () => sleep(50))));
    assert(Date.now() - start < 500);
  });

  it("goes on after a turn that failed", async () => {
    const turns = new Turns();
    const failed = turns.run("chat", () => Promise.reject(new Error("no")));
    const next = turns.run("chat", async () => "yes");
    await assert.rejects(failed, /no/);
    assert.equal(await next, "yes");
  });

  it("refuses more waiting turns than fit, with a sentence", async () => {
    const turns = new Turns(2);
    const running = [1, 2, 3].map(() => turns.run("chat", () => sleep(20)));
    await assert.rejects(
      turns.run("chat", async () => {}),
      { code: "too-many-waiting", message: /already waiting/ },
    );
    assert.equal(await turns.run("other chat", async () => "free"), "free");
    await Promise.all(running);
    assert.equal(await turns.run("chat", async () => "free again"), "free again");
  });

  it("drops waiting turns on abort, keeps the order of the others, and leaves nothing behind", async () => {
    const turns = new Turns();
    const closing = new AbortController();
    const order: string[] = [];
    const first = turns.run("chat", async () => {
      await sleep(60);
      order.push("first");
    });
    const dropped = turns.run("chat", async () => order.push("dropped"), { signal: closing.signal });
    const third = turns.run("chat", async () => order.push("third"));
    closing.abort(new Error("closed"));
    await assert.rejects(dropped, /closed/);
    assert.deepEqual(order, []);
    await Promise.all([first, third]);
    assert.deepEqual(order, ["first", "third"]);
    await sleep(5);
    assert.equal(turns.size, 0);
  });
});
