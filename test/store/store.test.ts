/** Both stores keep the same promises; what only one of them promises stands in a file of its own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore } from "../../lib/store/memory";
import { openStore } from "../../lib/store/open";
import { sqliteStore } from "../../lib/store/sqlite";
import { storeSuite } from "./suite";

describe("memory store", () => {
  storeSuite((clock) => memoryStore({ now: () => clock.time }));

  it("stays within its bound: the oldest row that may expire makes room", async () => {
    const store = memoryStore({ maxRows: 3, now: () => 0 });
    const add = (key: string, expires?: number) =>
      store.commit([{ insert: { space: "s", key, value: null, at: 0, expires } }]);
    for (const key of ["a", "b", "c", "d"]) await add(key, key === "a" ? undefined : 10);
    assert.deepEqual(
      (await store.find({ space: "s" })).map(({ key }) => key),
      ["a", "c", "d"],
    );
  });

  it("refuses a commit as a whole when nothing may make room", async () => {
    const store = memoryStore({ maxRows: 2, now: () => 0 });
    const row = (key: string, value: unknown) => ({ space: "s", key, value, at: 0 });
    await store.commit([{ put: row("a", 1) }]);
    const commit = store.commit([{ put: row("a", 2) }, { put: row("b", 1) }, { put: row("c", 1) }]);
    await assert.rejects(commit, { code: "store-full" });
    assert.deepEqual(await store.find({ space: "s" }), [row("a", 1)]);
    assert.equal(await store.count({ space: "s" }), 1);
  });

  it("answers a ledger query among 50,000 rows without reading them all", async () => {
    const store = memoryStore();
    for (let i = 0; i < 50_000; i++) {
      const state = i % 5000 === 0 ? "queued" : "sent";
      await store.commit([
        { put: { space: "s", key: String(i), value: i, at: i, state, conversation: String(i % 1000) } },
      ]);
    }
    const start = performance.now();
    for (let i = 0; i < 200; i++) {
      assert.equal((await store.find({ space: "s", state: ["queued", "sending"], limit: 1000 })).length, 10);
      assert.equal(await store.count({ space: "s", conversation: "7" }), 50);
    }
    // Reading all rows 400 times takes seconds, even on a fast machine.
    assert.ok(performance.now() - start < 1000);
  });
});

describe("sqlite store", () => {
  const folder = mkdtempSync(join(tmpdir(), "redclaw-store-"));
  let files = 0;
  after(() => rmSync(folder, { recursive: true, force: true }));
  storeSuite((clock) =>
    sqliteStore({ path: join(folder, `${files++}.db`), now: () => clock.time, ballastBytes: 0 }),
  );
});

describe("openStore", () => {
  it("opens a database whose rows are there again at the next start", async () => {
    const folder = mkdtempSync(join(tmpdir(), "redclaw-open-"));
    const path = join(folder, "data", "redclaw.db");
    for (const start of [1, 2]) {
      const store = await openStore({ kind: "sqlite", path });
      assert.deepEqual([store.kind, store.durable], ["sqlite", true]);
      await store.commit([{ put: { space: "starts", key: String(start), value: start, at: start } }]);
      assert.equal(await store.count({ space: "starts" }), start);
      await store.close();
    }
    rmSync(folder, { recursive: true });
  });

  it("opens memory, and refuses what it does not know with a sentence", async () => {
    const store = await openStore({ kind: "memory" });
    assert.equal(store.durable, false);
    await store.close();
    await assert.rejects(openStore({ kind: "sqlite" }), {
      code: "store-unavailable",
      message: /Set its path/,
    });
    await assert.rejects(openStore({ kind: "redis" as "memory" }), {
      code: "store-unavailable",
      message: /redis/,
    });
  });
});
