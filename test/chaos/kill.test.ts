/** kill -9 of a real Node-RED, at random moments under load. `npm run chaos` does it a thousand times. */
import assert from "node:assert/strict";
import { runBurst } from "../../scripts/chaos/burst";
import { runChain } from "../../scripts/chaos/chain";
import { runCrashLoop } from "../../scripts/chaos/crash-loop";
import { seedOfRun } from "../../scripts/chaos/random";

describe("a Node-RED that is killed", function () {
  this.timeout(300_000);
  const seed = seedOfRun();
  /** Chains at the same time: together thirty kills; steps.test.ts has many more. */
  const chains = [seed, seed + 1];

  it(`at thirty random moments loses nothing, doubles nothing it promised not to, and keeps order (SEED=${seed})`, async () => {
    const results = await Promise.all(chains.map((one) => runChain({ seed: one, kills: 15 })));
    for (const { broken, settledMs, seed: own, log } of results) {
      assert.deepEqual(broken, [], `seed ${own}\n${log.slice(-4000)}`);
      assert.ok(settledMs <= 60_000, `seed ${own}: settled after ${settledMs} ms`);
    }
  });

  for (const promised of ["hold", "resend"] as const) {
    it(`in the middle of sixty answers has at most eight in doubt (${promised}, SEED=${seed})`, async () => {
      const { broken } = await runBurst({ seed, kills: 2, promised });
      assert.deepEqual(broken, []);
    });
  }

  it("three times before anything got done: the fourth start keeps the channels down and says why", async () => {
    assert.deepEqual(await runCrashLoop(), []);
  });
});
