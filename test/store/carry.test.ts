import assert from "node:assert/strict";
import { carryOver } from "../../lib/store/carry";
import { memoryStore } from "../../lib/store/memory";

describe("carryOver", () => {
  it("takes all rows of the named spaces over, and leaves alone what is there already", async () => {
    const from = memoryStore();
    const to = memoryStore();
    const rows = Array.from({ length: 1200 }, (_, at) => ({
      put: { space: "event", key: `e${at}`, value: at, at },
    }));
    await from.commit([...rows, { put: { space: "other", key: "x", value: 1, at: 1 } }]);
    await to.commit([{ put: { space: "event", key: "e7", value: "newer", at: 9 } }]);
    await carryOver(from, to, ["event"], ({ key }) => key !== "e8");
    assert.equal(await to.count({ space: "event" }), 1199);
    assert.equal((await to.get("event", "e7"))?.value, "newer");
    assert.equal(await to.get("event", "e8"), undefined);
    assert.equal(await to.count({ space: "other" }), 0);
    await from.close();
    await to.close();
  });
});
