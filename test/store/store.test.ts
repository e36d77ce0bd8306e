/** Both stores keep the same promises; what only one of them promises stands in a file of its own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memoryStore } from "../../lib/store/memory";
import { openStore } from "../../lib/store/open";
import { sqliteStore } from "../../lib/store/sqlite";
import { storeSuite } from "./suite";

/** Collects what nobody holds any more, so that memory can be compared. */
function gc(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

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

  it("never forgets what is under way: what has ended makes room, and then nothing does", async () => {
    const store = memoryStore({ maxRows: 4, now: () => 0 });
    const add = (key: string, state: string) =>
      store.commit([{ insert: { space: "s", key, value: key, body: key, state, at: 0, expires: 10 } }]);
    const keys = async () => (await store.find({ space: "s" })).map(({ key }) => key);
    await add("a", "sending");
    await add("b", "sending");
    for (const key of ["c", "d", "e", "f"]) await add(key, "sent");
    assert.deepEqual(await keys(), ["a", "b", "e", "f"]);
    await store.commit([{ update: { space: "s", key: "b", state: "settled" } }]);
    for (const key of ["g", "h", "i"]) await add(key, "sending");
    assert.deepEqual(await keys(), ["a", "g", "h", "i"]);
    await assert.rejects(add("j", "sent"), { code: "store-full", message: /4 messages are still under way/ });
    assert.deepEqual(await store.commit([{ update: { space: "s", key: "a", state: "settled" } }]), [true]);
    assert.deepEqual(await add("j", "sending"), [true]);
    assert.deepEqual(await keys(), ["g", "h", "i", "j"]);
  });

  it("remembers 200,000 messages that have ended, in 250 bytes each", async function () {
    this.timeout(60_000);
    const at = 1_732_450_000_000;
    const store = memoryStore({ now: () => at });
    const key = (n: number): string => `telegram:1a2b3c4d5e6f:${500_000_000 + n}`;
    gc();
    const used = (): number => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    const before = used();
    for (let n = 0; n < 200_000; n++) {
      const place = { space: "event", key: key(n) };
      const row = { ...place, value: { kind: "message" }, body: "x".repeat(400), state: "accepted", at };
      const more = { account: "1a2b3c4d5e6f", conversation: String(n % 977), expires: at + 1e9 };
      await store.commit([{ insert: { ...row, ...more, trail: [["accepted", at]] } }]);
      await store.commit([
        {
          update: {
            ...place,
            state: "settled",
            body: null,
            trail: [
              ["emitted", at],
              ["settled", at],
            ],
          },
        },
      ]);
    }
    gc();
    const each = (used() - before) / 200_000;
    assert.equal(await store.count({ space: "event", state: "settled" }), 200_000);
    assert.ok(each <= 250, `${each} bytes each`);
    assert.deepEqual(await store.commit([{ insert: { space: "event", key: key(0), value: 1, at } }]), [
      false,
    ]);
    await store.close();
  });

  it("gives back the memory of rows that end and are replaced over and over", async () => {
    const store = memoryStore();
    const put = (key: string, value: unknown) =>
      store.commit([{ put: { space: "s", key, value, at: 1, state: "sent" } }]);
    await put("stays", "here");
    gc();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 2000; i++) await put(i % 2 ? "a" : "b", String(i).padEnd(20_000, "x"));
    await put("long", "y".repeat(3_000_000));
    await put("long", "z");
    gc();
    assert.ok(process.memoryUsage().arrayBuffers - before < 8e6);
    assert.deepEqual(
      (await store.find({ space: "s" })).map(({ key }) => key),
      ["stays", "b", "a", "long"],
    );
    assert.equal((await store.get("s", "stays"))?.value, "here");
    await store.close();
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
