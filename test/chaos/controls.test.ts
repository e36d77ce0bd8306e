/** Builds with a fault in them: the campaign must fail on each, or it proves nothing. */
import assert from "node:assert/strict";
import { catchControl } from "../../scripts/chaos/catch";
import { controls } from "../../scripts/chaos/controls";
import { seedOfRun } from "../../scripts/chaos/random";

describe("the campaign", function () {
  this.timeout(180_000);
  const seed = seedOfRun();

  for (const { name } of controls) {
    it(`fails on a build that does "${name}" (SEED=${seed})`, async () => {
      const found = await catchControl(name, seed);
      assert.ok(found, `nothing was found in a build with "${name}"`);
    });
  }
});
