/** The ledger's disk and the machine's clock on a bad day, below a real Node-RED. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { Bot, type BotOptions } from "../../scripts/chaos/bot";
import { loudnessOf } from "../../scripts/chaos/chain";
import { damage, lock, SmallDisk } from "../../scripts/chaos/disk";
import { databaseOf } from "../../scripts/chaos/package";
import { Random, seedOfRun } from "../../scripts/chaos/random";
import { eventually, sleep } from "../../scripts/chaos/wait";

/** Longer than the store waits for a lock. The campaign holds it for 30 s. */
const LOCKED_MS = Number(process.env["CHAOS_LOCKED_MS"] ?? 8_000);

describe("a disk and a clock on a bad day", function () {
  this.timeout(120_000);
  let bot: Bot;
  let disk: SmallDisk | undefined;
  afterEach(async () => {
    await bot.red.kill();
    disk?.unmount();
    disk = undefined;
    await bot.close();
  });

  async function start(options?: BotOptions): Promise<void> {
    bot = await Bot.start(options);
    await write(3);
    assert.ok(await bot.answered(10_000), bot.red.log);
  }

  /** The folder of the ledger is a disk of its own. */
  async function startOnDisk(megabytes: number): Promise<SmallDisk> {
    bot = await Bot.start();
    await bot.red.stop();
    const folder = path.dirname(databaseOf(bot.red.userDir));
    fs.rmSync(folder, { recursive: true, force: true });
    disk = SmallDisk.mount(folder, megabytes);
    await bot.red.start();
    await write(3);
    assert.ok(await bot.answered(10_000), bot.red.log);
    return disk;
  }

  async function write(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      bot.side.ask(index % 5);
      await sleep(10);
    }
  }

  /** Everything that was asked is answered once; Node-RED lives; and it has said what was wrong. */
  async function recovered(said: RegExp, withinMs = 60_000): Promise<void> {
    assert.ok(await bot.answered(withinMs), bot.red.log);
    assert.ok(bot.red.alive, bot.red.log);
    assert.match(bot.red.log, said);
    assert.deepEqual(loudnessOf(bot.red.log), []);
    const { verdict, broken } = await bot.verdict({ kills: 1, resending: 0, holding: 1 });
    assert.deepEqual(broken, [], bot.red.log);
    assert.equal(verdict.answered, verdict.asked);
  }

  it("full: nothing that was accepted is lost, it says so, and goes on by itself when there is room", async () => {
    const small = await startOnDisk(40);
    // The ballast is written at the start.
    await sleep(1_000);
    small.fill();
    const filling = setInterval(() => small.fill(), 20);
    await write(40);
    await sleep(4_000);
    clearInterval(filling);
    assert.ok(bot.red.alive, bot.red.log);
    small.free();
    await recovered(/disk|full|space/i);
  });

  it("locked by another program: waits, says so, and goes on by itself", async () => {
    await start();
    const locked = await lock(databaseOf(bot.red.userDir));
    await write(20);
    await sleep(LOCKED_MS);
    assert.ok(bot.red.alive, bot.red.log);
    await locked.release();
    await recovered(/lock|another program|in use/i);
  });

  it("read-only at the start: the editor is up, it says so, and goes on when it can be written", async () => {
    const small = await startOnDisk(40);
    await bot.red.stop();
    small.readOnly(true);
    await bot.red.start();
    const before = bot.side.answers;
    await write(10);
    await sleep(3_000);
    assert.equal(bot.side.answers, before, "answered without a ledger");
    const editor = await fetch(`${bot.red.url}/flows`);
    await editor.body?.cancel();
    assert.equal(editor.status, 200);
    small.readOnly(false);
    await recovered(/read.?only|cannot be written|permission/i);
  });

  it("no folder can be made: the editor is up, it says so, and goes on when the folder can be made", async () => {
    bot = await Bot.start();
    await bot.red.stop();
    const folder = path.dirname(databaseOf(bot.red.userDir));
    fs.rmSync(folder, { recursive: true, force: true });
    fs.writeFileSync(folder, "a file in its place");
    await bot.red.start();
    await write(5);
    await sleep(3_000);
    const editor = await fetch(`${bot.red.url}/flows`);
    await editor.body?.cancel();
    assert.equal(editor.status, 200);
    assert.equal(bot.side.answers, 0, "answered without a ledger");
    fs.rmSync(folder);
    await recovered(/folder|database|ledger|redclaw/i);
  });

  const seed = seedOfRun();
  for (const [what, pages, spare] of [
    ["its first page", 1, false],
    ["some pages", 4, true],
    ["most pages", 40, false],
  ] as const) {
    it(`damaged at the start (${what}): set aside and said, or harmless; never a standstill (SEED=${seed})`, async () => {
      await start();
      await write(30);
      assert.ok(await bot.answered(20_000), bot.red.log);
      await bot.red.stop();
      damage(databaseOf(bot.red.userDir), new Random(what === "its first page" ? 0 : seed), pages, spare);
      await bot.red.start();
      const before = bot.side.answers;
      await write(5);
      assert.ok(await eventually(() => bot.side.answers >= before + 5, 15_000), bot.red.lastLog);
      await sleep(500);
      assert.equal(bot.side.answers, before + 5, "answered again");
      const ok = await bot.verdict().then(
        ({ verdict }) => verdict.damage === "",
        () => false,
      );
      const said = /damaged|set aside|malformed|corrupt/i.test(bot.red.lastLog);
      assert.ok(ok || said, `it works on a damaged database and does not say so:\n${bot.red.lastLog}`);
      assert.deepEqual(loudnessOf(bot.red.lastLog), []);
    });
  }

  it("a clock that jumps a day forth and two back: nothing expires, nothing comes twice", async () => {
    const clock = path.join(fs.mkdtempSync("/tmp/redclaw-clock-"), "shift");
    bot = await Bot.start({ thinkMs: 800 });
    bot.red.env = { ...bot.red.env, CHAOS_CLOCK_FILE: clock };
    await bot.red.stop();
    await bot.red.start();
    const day = 24 * 3_600_000;
    for (const shift of [day, -day, 0]) {
      await write(10);
      assert.ok(await eventually(() => bot.side.server.pending.length === 0, 10_000), bot.red.log);
      fs.writeFileSync(clock, String(shift));
      await sleep(200);
      await write(10);
      assert.ok(await bot.answered(20_000), `at ${shift / day} days:\n${bot.red.log}`);
    }
    await recovered(/Started flows/);
    fs.rmSync(path.dirname(clock), { recursive: true });
  });

  it("a start with a clock that is a day behind, or ahead: goes on with what was under way", async () => {
    bot = await Bot.start({ thinkMs: 500 });
    for (const shift of [-24, 24]) {
      await write(10);
      assert.ok(await eventually(() => bot.side.server.pending.length === 0, 10_000), bot.red.log);
      await bot.red.kill();
      await bot.red.start({ CHAOS_CLOCK_MS: String(shift * 3_600_000) });
      await write(5);
      assert.ok(await eventually(() => bot.side.server.pending.length === 0, 10_000), bot.red.log);
      await sleep(3_000);
    }
    const { broken } = await bot.verdict({
      kills: 2,
      resending: 0,
      holding: 1,
      failed: 1000,
      quarantined: 1000,
    });
    assert.deepEqual(broken, [], bot.red.log);
  });
});
