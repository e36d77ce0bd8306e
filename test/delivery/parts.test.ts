import assert from "node:assert/strict";
import { Limiter, parseRate, SharedRate } from "../../lib/delivery/limiter";
import { backoff, sleep } from "../../lib/delivery/retry";
import { Ordinals } from "../../nodes/reply/ordinals";

describe("delivery: limits, retries", () => {
  it("a bucket lets its burst pass, then one message per interval", () => {
    const limiter = new Limiter({ perChat: "1/s", perAccount: "3/s" });
    assert.equal(limiter.take("a", 1000), 0);
    assert.equal(limiter.take("a", 1000), 1000);
    assert.equal(limiter.take("b", 1000), 0);
    assert.equal(limiter.take("c", 1000), 0);
    assert.equal(limiter.take("d", 1000), 334);
    assert.equal(limiter.take("a", 2000), 0);
  });

  it("a clock that is set back does not give or take tokens for long", () => {
    const limiter = new Limiter({ perChat: "1/s" });
    assert.equal(limiter.take("a", 3_600_000), 0);
    const wait = limiter.take("a", 0);
    assert.ok(wait <= 2000, `waits ${wait} ms`);
  });

  it("a pause stops its chat only, or without a chat all of them", () => {
    const limiter = new Limiter({});
    limiter.pause(500, "a", 0);
    assert.equal(limiter.take("a", 100), 400);
    assert.equal(limiter.take("b", 100), 0);
    limiter.pause(500, undefined, 100);
    assert.equal(limiter.take("b", 200), 400);
  });

  it("accounts of one channel share its global rate, also after a pause of one of them", () => {
    const shared = new SharedRate("2/s");
    const [first, second] = [new Limiter({}, shared), new Limiter({}, shared)];
    assert.equal(first.take("a", 0), 0);
    assert.equal(second.take("a", 0), 0);
    assert.equal(first.take("b", 0), 500);
    assert.equal(second.take("b", 0), 500);
    first.pause(1000, undefined, 0);
    assert.equal(second.take("b", 500), 0);
    assert.equal(first.pausedMs("any", 400), 600);
    assert.equal(second.pausedMs("any", 400), 0);
  });

  it("a limit that cannot be read is refused with an example", () => {
    for (const rate of ["", "1", "fast", "0/s", "1/day"])
      assert.throws(() => parseRate(rate), /Write it like 1\/s/);
    assert.equal(parseRate("20/min").every, 3000);
  });

  it("backoff grows to its ceiling and is never in step", () => {
    for (let attempt = 1; attempt < 30; attempt += 1) {
      const wait = backoff(attempt);
      const ceiling = Math.min(60_000, 1000 * 2 ** (attempt - 1));
      assert.ok(wait >= ceiling / 20 && wait <= ceiling);
    }
    const waits = Array.from({ length: 200 }, () => backoff(4));
    assert.ok(Math.min(...waits) < 2000 && Math.max(...waits) > 6000, "spread over the whole time");
  });

  it("a sleep ends with its signal and leaves no timer", async () => {
    const ending = new AbortController();
    const sleeping = sleep(60_000, ending.signal);
    ending.abort(new Error("over"));
    await assert.rejects(sleeping, /over/);
    await assert.rejects(sleep(1, AbortSignal.abort(new Error("before"))), /before/);
  });

  it("replies to one event are counted, and old events forgotten", () => {
    const ordinals = new Ordinals();
    assert.deepEqual([ordinals.next("e"), ordinals.next("e"), ordinals.next("f")], [0, 1, 0]);
    for (let index = 0; index < 20_000; index += 1) ordinals.next(`x${index}`);
    assert.equal(ordinals.next("e"), 0);
  });
});
