/** A platform that delivers again what it has delivered: by polling and by webhook, before and after a crash. */
import assert from "node:assert/strict";
import { NodeRedChild } from "../../scripts/chaos/child";
import { echoFlow } from "../../scripts/chaos/flows";
import { runLateUpdates } from "../../scripts/chaos/late-updates";
import { seedOfRun } from "../../scripts/chaos/random";
import { newId } from "../../scripts/chaos/side";
import { TelegramSide } from "../../scripts/chaos/telegram-side";
import { eventually, sleep } from "../../scripts/chaos/wait";

describe("updates that come again", function () {
  this.timeout(60_000);
  let red: NodeRedChild;
  let first: TelegramSide;
  let second: TelegramSide;
  let hooked: TelegramSide;

  beforeEach(async () => {
    first = new TelegramSide({ account: "acct-1", promised: "hold" });
    second = new TelegramSide({ account: "acct-2", promised: "hold" });
    hooked = new TelegramSide({ account: "acct-3", promised: "hold", webhook: true });
    await Promise.all([first, second, hooked].map(({ server }) => server.start()));
    red = new NodeRedChild({ flows: [] });
    await red.start();
    const accounts = [
      { side: first, id: "acct-1" },
      { side: second, id: "acct-2" },
      { side: hooked, id: "acct-3", mode: "webhook" as const },
    ];
    await red.deploy(echoFlow(accounts, { publicUrl: red.url }));
    assert.ok(await eventually(() => hooked.server.webhook.url !== "", 10_000), red.log);
  });
  afterEach(async () => {
    await red.remove();
    await Promise.all([first, second, hooked].map((side) => side.stop()));
  });

  const countOf = (side: TelegramSide, id: string) =>
    side.delivered().filter((answer) => answer.id === id).length;

  it("20 times at once, again a moment later, and again after a crash: answered once", async () => {
    const id = newId();
    const update = first.update(id, 1);
    const again = () => {
      for (let time = 0; time < 20; time += 1) first.server.pushRaw(update);
    };
    const nothingLeft = () => eventually(() => first.server.pending.length === 0, 10_000);
    again();
    assert.ok(await nothingLeft(), red.log);
    again();
    assert.ok(await nothingLeft(), red.log);
    assert.ok(await eventually(() => countOf(first, id) > 0, 5_000), red.log);
    await red.kill();
    again();
    await red.start();
    assert.ok(await nothingLeft(), red.log);
    await sleep(1_000);
    assert.equal(countOf(first, id), 1, red.log);
  });

  it("20 posts of the same update at the same moment: all are taken, answered once", async () => {
    const id = newId();
    const update = hooked.update(id, 1);
    const post = async () => {
      const { url, secret_token: secret = "" } = hooked.server.webhook;
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", "x-telegram-bot-api-secret-token": secret },
        body: JSON.stringify(update),
      });
      await answer.body?.cancel();
      return answer.status;
    };
    const statuses = await Promise.all(Array.from({ length: 20 }, post));
    assert.deepEqual([...new Set(statuses)], [200]);
    await sleep(1_000);
    await post();
    await sleep(500);
    assert.equal(countOf(hooked, id), 1, red.log);
  });

  it("the same number on two accounts: each answers its own", async () => {
    const id = newId();
    const update = { ...first.update(id, 1), update_id: 990_000_001 };
    first.server.pushRaw(update);
    second.server.pushRaw(update);
    assert.ok(await eventually(() => countOf(first, id) === 1 && countOf(second, id) === 1, 10_000), red.log);
    await sleep(500);
    assert.deepEqual([countOf(first, id), countOf(second, id)], [1, 1]);
  });

  const seed = seedOfRun();
  it(`numbers that come in the wrong order by webhook: none is dropped as old (SEED=${seed})`, async () => {
    assert.deepEqual(await runLateUpdates({ seed }), []);
  });
});
