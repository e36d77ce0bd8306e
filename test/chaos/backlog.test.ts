/** A backlog at the start. `npm run chaos` has a hundred thousand. */
import assert from "node:assert/strict";
import { runBacklog } from "../../scripts/chaos/backlog";

describe("five thousand messages that waited for the start", function () {
  this.timeout(180_000);

  for (const slowMs of [0, 2]) {
    const platform = slowMs === 0 ? "a quick platform" : `a platform that takes ${slowMs} ms`;
    it(`drain in order and in bounded memory, and somebody new does not wait behind them (${platform})`, async () => {
      const { broken } = await runBacklog({ messages: 5_000, slowMs });
      assert.deepEqual(broken, []);
    });
  }
});
