/** The way out of one account, with work that a test answers by hand. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Breaker } from "../../lib/delivery/breaker";
import { Dispatcher, type Outcome, type Work } from "../../lib/delivery/dispatcher";
import { Fifo } from "../../lib/delivery/fifo";
import { Limiter, type Limits } from "../../lib/delivery/limiter";
import { Rounds } from "../../lib/delivery/rounds";
import { until } from "./scripted";

const DONE: Outcome = { over: true, inMs: 0, platform: "answered" };
const MORE: Outcome = { over: false, inMs: 0, platform: "answered" };

class Bench {
  readonly log: string[] = [];
  readonly breaker = new Breaker();
  readonly changes: boolean[] = [];
  ready = true;
  now = 0;
  inFlight = 0;
  most = 0;
  readonly dispatcher: Dispatcher;

  constructor(limits: Limits = {}, inFlightMax = 8) {
    this.dispatcher = new Dispatcher({
      inFlightMax,
      limiter: new Limiter(limits),
      breaker: this.breaker,
      now: () => this.now,
      ready: () => this.ready,
      breakerChanged: (open) => this.changes.push(open),
    });
  }

  add(conversation: string, name: string, step: () => Promise<Outcome> | Outcome, deadline = 1e9): void {
    const work: Work = {
      conversation,
      deadline,
      step: async () => {
        this.inFlight += 1;
        this.most = Math.max(this.most, this.inFlight);
        try {
          const outcome = await step();
          if (outcome.over) this.log.push(name);
          return outcome;
        } finally {
          this.inFlight -= 1;
        }
      },
      expire: () => this.log.push(`${name} expired`),
      leave: () => this.log.push(`${name} left`),
    };
    this.dispatcher.add(work);
  }
}

const later = (ms: number, outcome: Outcome = DONE) =>
  new Promise<Outcome>((resolve) => setTimeout(() => resolve(outcome), ms));

describe("dispatcher", () => {
  it("one conversation has one request at a time, in order; an account never more than its share", async () => {
    const bench = new Bench({}, 3);
    for (let index = 0; index < 30; index += 1) bench.add(`c${index % 10}`, `${index}`, () => later(2));
    await until(() => bench.log.length === 30);
    assert.equal(bench.most, 3);
    for (let chat = 0; chat < 10; chat += 1) {
      const mine = bench.log.filter((name) => Number(name) % 10 === chat);
      assert.deepEqual(
        mine,
        [...mine].sort((a, b) => Number(a) - Number(b)),
      );
    }
    assert.equal(bench.dispatcher.size, 0);
  });

  it("a new chat does not wait behind a thousand messages of others", async () => {
    const bench = new Bench({}, 1);
    for (let index = 0; index < 1000; index += 1) bench.add(`c${index % 5}`, "old", () => later(0));
    await until(() => bench.log.length > 20);
    const before = bench.log.length;
    bench.add("new", "new", () => later(0));
    await until(() => bench.log.includes("new"));
    assert.ok(bench.log.indexOf("new") - before < 10, `after ${bench.log.indexOf("new") - before} others`);
    bench.dispatcher.stop();
  });

  it("a chat that has to wait keeps its order and holds up nobody", async () => {
    const bench = new Bench();
    let refused = false;
    bench.add("slow", "slow 1", () => {
      if (refused) return DONE;
      refused = true;
      return { over: false, inMs: 60, platform: "answered" };
    });
    bench.add("slow", "slow 2", () => DONE);
    bench.add("quick", "quick 1", () => DONE);
    bench.add("quick", "quick 2", () => DONE);
    await until(() => bench.log.length === 4);
    assert.deepEqual(bench.log, ["quick 1", "quick 2", "slow 1", "slow 2"]);
  });

  it("nothing leaves while the account is not ready, and all of it afterwards", async () => {
    const bench = new Bench();
    bench.ready = false;
    for (const name of ["1", "2", "3"]) bench.add("c", name, () => DONE);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(bench.log, []);
    bench.ready = true;
    bench.dispatcher.pump();
    await until(() => bench.log.length === 3);
    assert.deepEqual(bench.log, ["1", "2", "3"]);
  });

  it("what waits longer than it makes sense expires, also without a connection", async () => {
    const bench = new Bench();
    bench.ready = false;
    bench.add("c", "1", () => DONE, 30);
    bench.add("d", "2", () => DONE, 1e9);
    bench.now = 31;
    await until(() => bench.log.length === 1);
    assert.deepEqual(bench.log, ["1 expired"]);
    assert.equal(bench.dispatcher.size, 1);
    bench.dispatcher.stop();
  });

  it("a stop lets what is in flight finish; everything else leaves, each once", async () => {
    const bench = new Bench({}, 2);
    bench.add("a", "a1", () => later(30));
    bench.add("a", "a2", () => DONE);
    bench.add("b", "b1", () => later(30, MORE));
    bench.add("c", "c1", () => DONE);
    bench.dispatcher.stop();
    assert.deepEqual(bench.log.sort(), ["a2 left", "c1 left"]);
    await bench.dispatcher.idle();
    assert.deepEqual(bench.log.sort(), ["a1", "a2 left", "b1 left", "c1 left"]);
    assert.equal(bench.dispatcher.size, 0);
  });

  it("after five failures in a row one message tries, and its success frees the others", async () => {
    const bench = new Bench({}, 1);
    let fails = true;
    let calls = 0;
    for (let index = 0; index < 8; index += 1) {
      bench.add(`c${index}`, `${index}`, () => {
        calls += 1;
        return fails ? { over: false, inMs: 0, platform: "failed" } : DONE;
      });
    }
    await until(() => bench.changes.length === 1);
    assert.equal(calls, 5);
    assert.ok(bench.breaker.waitMs() > 0);
    fails = false;
    await until(() => bench.log.length === 8, 6000);
    assert.deepEqual(bench.changes, [true, false]);
  }).timeout(10_000);

  it("keeps order, share and count for any load", async () => {
    const anyLoad = fc.array(
      fc.record({
        chat: fc.integer({ min: 0, max: 4 }),
        tries: fc.integer({ min: 0, max: 2 }),
        waits: fc.constantFrom(0, 0, 1),
      }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(anyLoad, fc.integer({ min: 1, max: 4 }), async (load, share) => {
        const bench = new Bench({}, share);
        load.forEach(({ chat, tries, waits }, index) => {
          let left = tries;
          bench.add(`${chat}`, `${index}`, async () => {
            await Promise.resolve();
            left -= 1;
            return left < 0 ? DONE : { over: false, inMs: waits, platform: "answered" };
          });
        });
        await until(() => bench.log.length === load.length);
        assert.ok(bench.most <= share);
        for (let chat = 0; chat < 5; chat += 1) {
          const mine = bench.log.map(Number).filter((index) => load[index]?.chat === chat);
          assert.deepEqual(
            mine,
            mine.toSorted((a, b) => a - b),
          );
        }
        assert.equal(bench.dispatcher.size, 0);
      }),
      { numRuns: 60 },
    );
  });
});

describe("breaker", () => {
  it("opens at the fifth failure, lets one try, and rests longer after each that fails", () => {
    const breaker = new Breaker();
    for (let index = 0; index < 4; index += 1) assert.equal(breaker.failed(0), false);
    assert.equal(breaker.failed(0), true);
    const first = breaker.waitMs(0);
    assert.ok(first >= 1000 && first <= 2000, `${first}`);
    assert.equal(breaker.waitMs(first), 0);
    breaker.leaves();
    assert.equal(breaker.waitMs(first), Number.POSITIVE_INFINITY);
    assert.equal(breaker.failed(first), false);
    assert.ok(breaker.waitMs(first) >= 1000);
    assert.equal(breaker.succeeded(), true);
    assert.equal(breaker.waitMs(first), 0);
  });

  it("a success in between starts the count anew", () => {
    const breaker = new Breaker();
    for (let index = 0; index < 4; index += 1) breaker.failed(0);
    assert.equal(breaker.succeeded(), false);
    for (let index = 0; index < 4; index += 1) assert.equal(breaker.failed(0), false);
  });
});

describe("fifo and rounds", () => {
  it("a fifo behaves as an array does", () => {
    const command = fc.oneof(
      fc.record({ push: fc.integer() }),
      fc.record({ unshift: fc.integer() }),
      fc.constant({ shift: true }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const real = new Fifo<number>();
        const model: number[] = [];
        for (const step of commands) {
          if ("push" in step) {
            real.push(step.push);
            model.push(step.push);
          } else if ("unshift" in step) {
            real.unshift(step.unshift);
            model.unshift(step.unshift);
          } else assert.equal(real.shift(), model.shift());
          assert.equal(real.size, model.length);
          assert.equal(real.first, model[0]);
        }
        assert.deepEqual([...real], model);
      }),
    );
  });

  it("new ones come first, but never more than three in a row before one who waits", () => {
    const rounds = new Rounds<string>();
    rounds.again("old");
    for (const name of ["a", "b", "c", "d", "e"]) rounds.enter(name);
    const order = Array.from({ length: 6 }, () => rounds.next());
    assert.deepEqual(order, ["a", "b", "c", "old", "d", "e"]);
    assert.equal(rounds.next(), undefined);
  });
});
