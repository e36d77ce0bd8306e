/** The fault matrix at the wire: a real Node-RED, and a platform that does everything a platform does on a bad day. */
import assert from "node:assert/strict";
import { Bot, type BotOptions } from "../../scripts/chaos/bot";
import { type Rule, type Treatment, tooMany } from "../../scripts/chaos/front";
import type { Verdict } from "../../scripts/chaos/oracle";
import { eventually, sleep } from "../../scripts/chaos/wait";

/** One doubtful send for each message that a test asks at most. */
const SOME_HELD = { kills: 1, resending: 1, holding: 1 };

describe("a platform on a bad day", function () {
  this.timeout(90_000);
  let bot: Bot;
  afterEach(() => bot.close());

  async function start(options?: BotOptions): Promise<void> {
    bot = await Bot.start(options);
    bot.side.ask(0);
    assert.ok(await bot.answered(10_000), bot.red.log);
  }

  /** The first `times` sends to one chat go wrong. */
  function onceTo(chat: number, treatment: Treatment, times = 1): Rule {
    let left = times;
    return (call) => {
      if (call.method !== "sendMessage" || call.chat !== String(20_000 + chat) || left === 0)
        return undefined;
      left -= 1;
      return treatment;
    };
  }

  async function kept(): Promise<Verdict> {
    const { verdict, broken } = await bot.verdict(SOME_HELD);
    assert.deepEqual(broken, [], bot.red.log);
    return verdict;
  }

  it("429 on one chat: no call to it inside the window, and the others are as quick as before", async () => {
    await start({ typing: true });
    const pace = async (from: number, count: number) => {
      for (let index = 0; index < count; index += 1) {
        bot.side.ask(from + index);
        await sleep(20);
      }
      assert.ok(await eventually(() => waits(from, count).length === count, 10_000), bot.red.log);
      return p95(waits(from, count));
    };
    const before = await pace(100, 100);
    const limited = "20001";
    let until = 0;
    bot.front.rule = ({ method, chat }) => {
      if (chat !== limited || method !== "sendMessage" || until > 0) return undefined;
      until = Date.now() + 3_000;
      return tooMany(3);
    };
    for (let index = 0; index < 5; index += 1) bot.side.ask(1);
    await eventually(() => until > 0, 5_000);
    const during = await pace(300, 100);
    assert.ok(await bot.answered(20_000), bot.red.log);
    const inside = bot.front.calls.filter(
      ({ chat, at }) => chat === limited && at > until - 2_990 && at < until,
    );
    assert.deepEqual(
      inside.map(({ method }) => method),
      [],
      "calls inside the window",
    );
    // A hundredth of a second more is the machine, not the fault.
    assert.ok(during <= 2 * before + 40, `p95 was ${before} ms before and ${during} ms during the window`);
    const { answered, asked, heldRows } = await kept();
    assert.equal(answered, asked);
    assert.deepEqual(heldRows, {});
  });

  /** Milliseconds from being asked to the first send, of people who asked once. */
  function waits(from: number, count: number): number[] {
    const sent = new Map(bot.front.of("sendMessage").map(({ chat, at }) => [chat, at]));
    return bot.side.asked().flatMap(({ conversation, at }) => {
      const who = Number(conversation) - 20_000;
      const then = sent.get(conversation);
      return who >= from && who < from + count && then !== undefined ? [then - at] : [];
    });
  }

  it("a revoked token: at most three more calls, the queue is kept, and a new token goes on with it", async () => {
    const limits = '{"perAccount":"5/s"}';
    await start({ account: { limits } });
    const old = bot.side.server.token;
    const fresh = `${old.split(":")[0]}:FreshTokenFreshTokenFreshTokenFresh`;
    bot.front.token = old;
    for (let who = 1; who <= 20; who += 1) bot.side.ask(who);
    await eventually(() => bot.side.answers >= 4, 10_000);
    const revoked = Date.now();
    bot.front.rule = ({ token }) =>
      token === old
        ? { do: "answer", status: 401, body: { ok: false, error_code: 401, description: "Unauthorized" } }
        : undefined;
    for (let who = 30; who < 35; who += 1) bot.side.ask(who);
    await sleep(6_000);
    const after = bot.front.calls.filter(({ at }) => at > revoked + 5);
    assert.ok(after.length <= 3, `${after.length} calls: ${after.map(({ method }) => method)}`);
    assert.match(bot.red.log, /token/i);
    await bot.deploy({ token: fresh, limits });
    assert.ok(await bot.answered(30_000), bot.red.log);
    const { answered, asked } = await kept();
    assert.equal(answered, asked);
  });

  it("a server that is not there: what waits goes out when it is back, and nothing is held", async () => {
    await start({ thinkMs: 1_200 });
    for (let who = 1; who <= 5; who += 1) bot.side.ask(who);
    assert.ok(await eventually(() => bot.side.server.pending.length === 0, 5_000));
    await bot.front.stop();
    await sleep(4_000);
    for (let who = 6; who <= 10; who += 1) bot.side.ask(who);
    await bot.front.start();
    assert.ok(await bot.answered(60_000), bot.red.log);
    const { heldRows, asked, answered } = await kept();
    assert.equal(answered, asked);
    assert.deepEqual(heldRows, {});
  });

  it("a reset behind the request: held, shown, and not sent again by itself", async () => {
    await start();
    bot.front.rule = onceTo(1, { do: "reset" });
    for (let who = 0; who < 4; who += 1) bot.side.ask(who);
    assert.ok(await eventually(() => bot.side.answers === 4, 10_000), bot.red.log);
    await sleep(3_000);
    assert.equal(bot.front.of("sendMessage").filter(({ chat }) => chat === "20001").length, 1);
    const { held, heldRows } = await kept();
    assert.equal(held, 1);
    assert.deepEqual(heldRows, { acct: 1 });
  });

  it("a reset behind the request, on an account that resends: arrives once", async () => {
    await start({ promised: "resend" });
    bot.front.rule = onceTo(1, { do: "reset" }, 2);
    for (let who = 0; who < 4; who += 1) bot.side.ask(who);
    assert.ok(await bot.answered(20_000), bot.red.log);
    const { doubled } = await kept();
    assert.deepEqual(doubled.resend, []);
  });

  it("an answer that is lost: the message arrived once, and is held", async () => {
    await start();
    bot.front.rule = onceTo(1, { do: "lose" });
    for (let who = 0; who < 4; who += 1) bot.side.ask(who);
    assert.ok(await bot.answered(10_000), bot.red.log);
    await sleep(3_000);
    const { heldRows, answered, asked } = await kept();
    assert.equal(answered, asked);
    assert.deepEqual(heldRows, { acct: 1 });
  });

  it("502 and 500: tried again, answered once, in order", async () => {
    await start();
    const page = "<html>Bad Gateway</html>";
    const trouble = { ok: false, error_code: 500, description: "Internal Server Error" };
    const first = onceTo(1, { do: "answer", status: 502, body: page }, 2);
    const second = onceTo(2, { do: "answer", status: 500, body: trouble }, 2);
    bot.front.rule = (call) => first(call) ?? second(call);
    for (let index = 0; index < 3; index += 1) for (const who of [1, 2, 3]) bot.side.ask(who);
    assert.ok(await bot.answered(30_000), bot.red.log);
    await kept();
  });

  it("a call that hangs holds up nobody else, and is held after the next start", async () => {
    await start();
    bot.front.rule = onceTo(1, { do: "hang" });
    bot.side.ask(1);
    assert.ok(await eventually(() => bot.front.calls.some(({ chat }) => chat === "20001"), 5_000));
    const from = bot.side.answers;
    for (let who = 2; who < 12; who += 1) bot.side.ask(who);
    assert.ok(await eventually(() => bot.side.answers === from + 10, 5_000), bot.red.log);
    await bot.red.kill();
    await bot.red.start();
    await sleep(2_000);
    assert.equal(bot.front.of("sendMessage").filter(({ chat }) => chat === "20001").length, 1);
    const { heldRows } = await kept();
    assert.deepEqual(heldRows, { acct: 1 });
  });

  it("an answer that drips in: waited for, while the others go on", async () => {
    await start();
    bot.front.rule = onceTo(1, { do: "drip", everyMs: 10 });
    bot.side.ask(1);
    bot.side.ask(1);
    for (let who = 2; who < 12; who += 1) bot.side.ask(who);
    assert.ok(await bot.answered(30_000), bot.red.log);
    await sleep(4_000);
    const { heldRows } = await kept();
    assert.deepEqual(heldRows, {});
  });
});

function p95(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? 0;
}
