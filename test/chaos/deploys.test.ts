/** Deploys of all kinds while people write. `npm run chaos` does two hundred. */
import assert from "node:assert/strict";
import { seedOfRun } from "../../scripts/chaos/random";
import { runRedeploys } from "../../scripts/chaos/redeploys";

describe("thirty deploys of all kinds at fifty messages a second", function () {
  this.timeout(180_000);
  const seed = seedOfRun();

  it(`lose nothing, double nothing and leave nothing behind (SEED=${seed})`, async () => {
    const { broken } = await runRedeploys({ seed, deploys: 30 });
    assert.deepEqual(broken, []);
  });
});
