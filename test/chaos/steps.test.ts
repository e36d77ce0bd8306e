/**
 * kill -9 at the steps of a script of ten messages: before and after each COMMIT, each request and each answer. The
 * seed chooses which half of them; `npm run chaos` does all.
 */
import assert from "node:assert/strict";
import { seedOfRun } from "../../scripts/chaos/random";
import { killAtEveryStep } from "../../scripts/chaos/steps";

/** `STEP=41`: only that one, as a failure names it. */
const only = process.env["STEP"] ? { only: Number(process.env["STEP"]) } : {};

describe("a gateway that is killed at a step", function () {
  this.timeout(300_000);
  const seed = seedOfRun();

  for (const [promised, what, stride] of [
    ["hold", "Telegram, holding", 2],
    ["resend", "Telegram, resending", 4],
    ["key", "the web chat", 2],
  ] as const) {
    const which = stride === 2 ? "every second" : "every fourth";
    it(`${what}: loses nothing and doubles nothing it promised not to, at ${which} step (SEED=${seed})`, async () => {
      const first = 1 + (seed % stride);
      const { kills, broken, doubled } = await killAtEveryStep({ promised, stride, first, ...only });
      assert.deepEqual(broken, []);
      if (promised !== "resend") assert.equal(doubled, 0);
      if (!process.env["STEP"]) assert.ok(kills >= 60 / stride, `only ${kills} steps`);
    });
  }
});
