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

  it("takes all that is under way, with its body and its trail, however much has ended", async function () {
    this.timeout(60_000);
    const from = memoryStore();
    const to = memoryStore();
    for (let n = 0; n < 21_500; n++) {
      const open = n % 10 === 0;
      const row = { space: "response", key: `r${n}`, value: n, body: `b${n}`, at: Math.floor(n / 7) };
      await from.commit([
        { put: { ...row, state: open ? "sending" : "sent", trail: [["intended", n]] } },
        { put: { ...row, key: `c${n}` } },
      ]);
    }
    await carryOver(from, to, ["response"]);
    assert.equal(await to.count({ space: "response", state: "sending" }), 2150);
    assert.equal(await to.count({ space: "response" }), 2150 + 20_000);
    for (const key of ["r0", "r10", "r21490", "r21499"]) {
      assert.deepEqual(await to.get("response", key), await from.get("response", key));
    }
    assert.equal(await to.get("response", "r1"), undefined);
    await from.close();
    await to.close();
  });
});
