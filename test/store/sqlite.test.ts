/** What only the store that survives promises: crashes, damage, full disks, locks, other people's files. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toFilter, toSteps } from "../../lib/store/record";
import { Seal } from "../../lib/store/seal";
import { sqliteStore } from "../../lib/store/sqlite";
import { SqliteFind } from "../../lib/store/sqlite-find";
import { SqliteRows } from "../../lib/store/sqlite-rows";
import type { Row, Write } from "../../lib/store/store";

describe("sqlite store file", () => {
  const root = mkdtempSync(join(tmpdir(), "redclaw-sqlite-"));
  let path: string;
  let files = 0;
  beforeEach(() => {
    path = join(root, String(files++), "redclaw.db");
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const open = (more: object = {}) => sqliteStore({ path, ballastBytes: 0, ...more });
  const row = (key: string, value: unknown = key): Row => ({ space: "s", key, value, at: 1 });
  const put = (key: string, value?: unknown): Write => ({ put: row(key, value) });

  it("makes its folder and a file that only its owner can read, and finds its rows again", async () => {
    const store = await open();
    assert.deepEqual([store.kind, store.durable, store.notices], ["sqlite", true, []]);
    await store.commit([put("a")]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600);
    await store.close();
    const again = await open();
    assert.deepEqual(await again.get("s", "a"), row("a"));
    await again.close();
    assert.deepEqual(readdirSync(join(path, "..")), ["redclaw.db", "redclaw.db.key"]);
    assert.equal(statSync(`${path}.key`).mode & 0o777, 0o600);
  });

  it("loads SQLite without its warning, and lets every other warning through", () => {
    const script = `
      const { sqliteStore } = require("./lib/store/sqlite.ts");
      sqliteStore({ path: ${JSON.stringify(path)} }).then(async (store) => {
        await store.close();
        process.emitWarning("still heard");
      });`;
    const { stderr } = runNode(["--require", "tsx/cjs", "-e", script]);
    assert.match(stderr, /still heard/);
    assert.doesNotMatch(stderr, /SQLite/);
  });

  it("says what to do when this Node.js has no SQLite", () => {
    const script = `
      require("./lib/store/sqlite.ts").sqliteStore({ path: "x.db" })
        .catch((error) => console.log(error.code + ": " + error.message));`;
    const { stdout } = runNode(["--no-experimental-sqlite", "--require", "tsx/cjs", "-e", script]);
    assert.match(stdout, /^store-unavailable: .*22\.13 or newer.*memory, which works/);
  });

  it("loses no confirmed commit and no half of one when it is killed", async function () {
    this.timeout(120_000);
    mkdirSync(join(path, ".."));
    const confirmed = new Set<string>();
    for (let round = 0; round < 15; round++) {
      for (const key of await writeAndKill(path, `r${round}`, Math.random() * 120)) confirmed.add(key);
    }
    const store = await open();
    assert.deepEqual(store.notices, []);
    const keysIn = async (space: string) =>
      new Set((await store.find({ space, limit: 1e9 })).map(({ key }) => key));
    const [x, y] = [await keysIn("x"), await keysIn("y")];
    await store.close();
    assert.ok(confirmed.size > 100, `only ${confirmed.size} commits`);
    assert.deepEqual(x, y);
    assert.deepEqual(
      [...confirmed].filter((key) => !x.has(key)),
      [],
    );
    const db = new DatabaseSync(path);
    assert.deepEqual({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
    db.close();
  });

  it("writes the commits of one turn in one transaction", async () => {
    const store = await open();
    const before = walBytes(path);
    await Promise.all(Array.from({ length: 100 }, (_, i) => store.commit([put(`k${i}`)])));
    const together = walBytes(path) - before;
    for (let i = 0; i < 100; i++) await store.commit([put(`m${i}`)]);
    const single = walBytes(path) - before - together;
    await store.close();
    assert.ok(together * 10 < single, `${together} bytes together, ${single} one by one`);
  });

  it("rejects only the caller whose own write the database refuses", async () => {
    const store = await open();
    const other = new DatabaseSync(path);
    other.exec(
      "CREATE TRIGGER refuse BEFORE INSERT ON rows WHEN new.key = 'poison' BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    other.close();
    const results = await Promise.allSettled([
      store.commit([put("a")]),
      store.commit([put("b"), put("poison")]),
      store.commit([put("c")]),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.equal((results[1] as PromiseRejectedResult).reason.code, "store-failed");
    assert.deepEqual(
      (await store.find({ space: "s" })).map(({ key }) => key),
      ["a", "c"],
    );
    await store.close();
  });

  for (const [what, damage] of [
    ["is overwritten in the middle", (bytes: Buffer) => bytes.fill(0xaa, 4096, 20_000)],
    ["is no database at all", () => Buffer.from("hello, I am a text file\n".repeat(500))],
    ["was cut off", (bytes: Buffer) => bytes.subarray(0, 10_000)],
  ] as const) {
    it(`sets a file aside that ${what}, says so, and starts afresh`, async () => {
      const store = await open();
      for (let i = 0; i < 50; i++) await store.commit([put(`k${i}`, "x".repeat(2000))]);
      await store.close();
      const broken = damage(readFileSync(path));
      writeFileSync(path, broken);
      const fresh = await open();
      assert.match(fresh.notices[0] ?? "", /was damaged\. It was set aside as .*\.corrupt-/);
      assert.equal(await fresh.count({ space: "s" }), 0);
      assert.deepEqual(await fresh.commit([put("a")]), [true]);
      await fresh.close();
      const aside = readdirSync(join(path, "..")).find((name) => /\.corrupt-[^.]*Z$/.test(name));
      assert.deepEqual(readFileSync(join(path, "..", aside as string)), broken);
      const again = await open();
      assert.deepEqual(again.notices, []);
      await again.close();
    });
  }

  it("refuses a database of a newer version and leaves it as it is", async () => {
    await (await open()).close();
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    db.close();
    const before = readFileSync(path);
    await assert.rejects(open(), { code: "store-newer", message: /newer version.*Update Redclaw/ });
    assert.deepEqual(readFileSync(path), before);
  });

  it("refuses another program's database and leaves it as it is", async () => {
    mkdirSync(join(path, ".."));
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE states (entity TEXT)");
    db.close();
    const before = readFileSync(path);
    await assert.rejects(open(), { code: "store-foreign", message: /belongs to another program/ });
    assert.deepEqual(readFileSync(path), before);
  });

  it("carries the rows of version 1 over", async () => {
    mkdirSync(join(path, ".."));
    cpSync(join(__dirname, "fixtures", "version-1.db"), path);
    const store = await open({ now: () => 1000 });
    assert.deepEqual(store.notices, []);
    const expected: Row[] = [
      { space: "event", key: "e1", value: { text: "one" }, state: "accepted", account: "x", at: 1 },
      { space: "event", key: "e2", value: 2, state: "settled", account: "x", conversation: "c", at: 2 },
      { space: "event", key: "e3", value: null, at: 3, expires: 9000 },
    ];
    assert.deepEqual(await store.find({ space: "event" }), expected);
    assert.deepEqual(await store.find({ space: "event", state: "accepted" }), expected.slice(0, 1));
    const settle: Write = {
      update: { space: "event", key: "e1", state: "settled", trail: [["settled", 4]] },
    };
    assert.deepEqual(await store.commit([settle, { insert: { ...row("n"), body: "new" } }]), [true, true]);
    assert.equal(await store.count({ space: "event", state: "accepted" }), 0);
    await store.close();
    const again = await open({ now: () => 1000 });
    assert.deepEqual((await again.get("event", "e1"))?.trail, [["settled", 4]]);
    assert.equal((await again.get("s", "n"))?.body, "new");
    await again.close();
  });

  it("leaves a database of version 1 as it was when it cannot be brought up to date", async () => {
    mkdirSync(join(path, ".."));
    cpSync(join(__dirname, "fixtures", "version-1.db"), path);
    const db = new DatabaseSync(path);
    db.exec("DROP INDEX rows_by_account");
    await assert.rejects(open(), { code: "store-failed" });
    assert.deepEqual({ ...db.prepare("PRAGMA user_version").get() }, { user_version: 1 });
    db.exec("CREATE INDEX rows_by_account ON rows (account)");
    db.close();
    const store = await open();
    assert.equal(await store.count({ space: "event", state: "accepted" }), 1);
    await store.close();
  });

  describe("what people wrote", () => {
    const secret = "the code of the front door is 4711";
    const said = (key: string, more: Partial<Row> = {}): Row => ({ ...row(key), body: { secret }, ...more });
    const leaks = (): string[] =>
      readdirSync(join(path, "..")).filter((name) =>
        readFileSync(join(path, "..", name)).includes("front door"),
      );

    it("lies in no file in clear, neither while it waits nor after it was wiped", async () => {
      const store = await open({ ballastBytes: 1024 * 1024 });
      await until(() => existsSync(`${path}.ballast`));
      for (let i = 0; i < 50; i++) await store.commit([{ insert: said(`k${i}`, { state: "new" }) }]);
      await store.commit([{ insert: said("long", { body: secret.repeat(2000) }) }]);
      await store.commit([{ update: { space: "s", key: "k0", body: [secret] } }]);
      assert.deepEqual(leaks(), []);
      assert.deepEqual((await store.get("s", "k0"))?.body, [secret]);
      assert.deepEqual((await store.get("s", "k49"))?.body, { secret });
      for (let i = 0; i < 50; i++) {
        await store.commit([{ update: { space: "s", key: `k${i}`, body: null, state: "settled" } }]);
      }
      assert.deepEqual(leaks(), []);
      await store.sweep();
      assert.equal(walBytes(path), 0);
      assert.deepEqual(leaks(), []);
      await store.close();
      assert.deepEqual(leaks(), []);
    });

    it("is gone from the file, not only out of sight, after it was wiped", async () => {
      const store = await open();
      await store.commit([{ insert: said("a") }, { insert: said("b", { body: "z".repeat(20_000) }) }]);
      await store.sweep();
      const sealed = sealedBodies(path);
      assert.equal(sealed.length, 2);
      const pieces = sealed.map((bytes) => bytes.subarray(-40));
      assert.ok(pieces.every((piece) => readFileSync(path).includes(piece)));
      for (const key of ["a", "b"]) await store.commit([{ update: { space: "s", key, body: null } }]);
      await store.sweep();
      assert.ok(pieces.every((piece) => !readFileSync(path).includes(piece)));
      await store.close();
    });

    it("is encrypted with a piece of the key stream that was never used before", async () => {
      for (let start = 0; start < 3; start++) {
        const store = await open();
        await Promise.all(
          Array.from({ length: 1500 }, (_, i) => store.commit([{ insert: said(`${start}-${i}`) }])),
        );
        await store.close();
      }
      const places = new Set<string>();
      for (const bytes of sealedBodies(path)) {
        const stream = bytes.toString("hex", 0, 12);
        for (let block = 0; block * 16 < bytes.length - 16; block++) {
          const place = `${stream} ${bytes.readUInt32BE(12) + block}`;
          assert.ok(!places.has(place));
          places.add(place);
        }
      }
      assert.ok(places.size >= 3 * 1500 * 3);
    });

    for (const [what, lose] of [
      ["is lost", (file: string) => rmSync(file)],
      ["was replaced", (file: string) => writeFileSync(file, Buffer.alloc(32, 7))],
      ["is damaged", (file: string) => writeFileSync(file, "short")],
    ] as const) {
      it(`cannot be read when the key ${what}; it says so, and everything else works`, async () => {
        const store = await open();
        await store.commit([{ insert: said("a", { state: "new", trail: [["new", 1]] }) }]);
        await store.close();
        lose(`${path}.key`);
        const again = await open();
        assert.equal(again.notices.length, 1);
        assert.match(again.notices[0] ?? "", /messages written before cannot be read/);
        assert.deepEqual(await again.get("s", "a"), { ...row("a"), state: "new", trail: [["new", 1]] });
        await again.commit([{ insert: said("b") }]);
        assert.deepEqual((await again.get("s", "b"))?.body, { secret });
        await again.close();
        assert.equal(readFileSync(`${path}.key`).length, 32);
      });
    }

    it("needs no notice about a new key when nothing was written with the old one", async () => {
      const store = await open();
      await store.commit([put("a"), { insert: said("b") }, { update: { space: "s", key: "b", body: null } }]);
      await store.close();
      rmSync(`${path}.key`);
      const again = await open();
      assert.deepEqual(again.notices, []);
      await again.close();
    });
  });

  it("keeps the key of a database that it sets aside", async () => {
    const store = await open();
    for (let i = 0; i < 50; i++) await store.commit([{ put: { ...row(`k${i}`), body: "x".repeat(2000) } }]);
    await store.close();
    const key = readFileSync(`${path}.key`);
    writeFileSync(path, readFileSync(path).fill(0xaa, 4096, 20_000));
    const fresh = await open();
    assert.match(fresh.notices.join(), /was damaged/);
    assert.deepEqual(readFileSync(`${path}.key`), key);
    await fresh.close();
  });

  it("says that the database is damaged when a page turns out to be so later, and does not crash", async () => {
    const store = await open();
    for (let i = 0; i < 200; i++) {
      await store.commit([{ put: { ...row(`k${i}`, "x".repeat(50_000)), state: "new" } }]);
    }
    await store.sweep();
    const file = openSync(path, "r+");
    for (let page = 2; page < 2000; page++) writeSync(file, Buffer.alloc(4000, 0xaa), 0, 4000, page * 4096);
    closeSync(file);
    const damaged = { code: "store-corrupt", message: /is damaged\. Restart Node-RED/ };
    await assert.rejects(store.find({ space: "s", limit: 200 }), damaged);
    await assert.rejects(
      Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          store.commit([{ update: { space: "s", key: `k${i}`, state: "sent", value: i } }]),
        ),
      ),
      damaged,
    );
    await store.close();
    const again = await open();
    assert.match(again.notices.join(), /was damaged\. It was set aside/);
    await again.close();
  });

  it("can be opened again later when it could not be opened at once", async () => {
    mkdirSync(join(path, ".."));
    cpSync(join(__dirname, "fixtures", "version-1.db"), path);
    const thief = await lockInAnotherProcess(path);
    await assert.rejects(open({ lockWaitMs: 100 }), { code: "store-locked" });
    await end(thief);
    const store = await open();
    assert.deepEqual(await store.commit([put("a")]), [true]);
    await store.close();
  });

  it("finds what it is asked for by the index made for it", async () => {
    await (await open()).close();
    const db = new DatabaseSync(path);
    const plans: string[] = [];
    const spy = {
      prepare(sql: string) {
        const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`);
        const explain = (...values: never[]) =>
          plans.push(...plan.all(...values).map((line) => String(line["detail"])));
        const statement = db.prepare(sql);
        return {
          all: (...values: never[]) => explain(...values) && statement.all(...values),
          get: (...values: never[]) => explain(...values) && statement.get(...values),
          run: (...values: never[]) => explain(...values) && statement.run(...values),
        };
      },
    } as unknown as DatabaseSync;
    const rows = new SqliteRows(spy, new Seal(Buffer.alloc(32)));
    const find = new SqliteFind(spy, rows);
    const plansOf = (work: () => unknown): string[] => {
      plans.length = 0;
      work();
      return [...new Set(plans)];
    };
    const search = (index: string, range = ""): RegExp =>
      new RegExp(`^SEARCH rows USING (COVERING )?INDEX ${index} \\(space=\\?${range}`);
    for (const query of [
      {},
      { account: "x" },
      { conversation: "c", before: 3 },
      { order: "newest" as const },
    ]) {
      for (const [state, index] of [
        [undefined, search("rows_by_time")],
        [["sent", "failed"], search("rows_by_time")],
        [["new", "held"], search("rows_open")],
        ["new", search("rows_open")],
      ] as const) {
        const filter = toFilter({ space: "s", state, ...query });
        for (const ask of [() => [...find.find(filter, 1)], () => [...find.count(filter, 1)]]) {
          // Generators return the last slice, which the spread leaves out: both statements ran all the same.
          for (const plan of plansOf(ask)) assert.match(plan, index);
        }
      }
    }
    const byPrefix = plansOf(() => [...find.find(toFilter({ space: "s", prefix: "a" }), 1)]);
    assert.match(byPrefix[0] ?? "", search("sqlite_autoindex_rows_1", " AND key>\\? AND key<\\?"));
    const update = {
      space: "s",
      key: "a",
      state: "new",
      body: null,
      trail: [["new", 1]] as [string, number][],
    };
    for (const write of [{ update }, { update: { ...update, state: "sent", ifState: "new" } }]) {
      for (const step of toSteps([write])) {
        for (const plan of plansOf(() => rows.apply(step, 1))) {
          assert.match(plan, search("sqlite_autoindex_rows_1", " AND key=\\?"));
        }
      }
    }
    assert.deepEqual(
      plansOf(() => rows.sweep(1, 10)).filter((plan) => plan.startsWith("SCAN")),
      [],
    );
    db.close();
  });

  it("lets Node-RED go on while it looks for a seldom chat among very many rows", async function () {
    this.timeout(60_000);
    await (await open()).close();
    const db = new DatabaseSync(path);
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
      INSERT INTO rows (space, key, json, state, account, conversation, at)
      SELECT 's', 'key of this row ' || i, '{"kind":"message"}', 'settled', 'x', 'chat ' || (i % 50000), i FROM n`);
    db.close();
    const store = await open();
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns++;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    const found = await store.find({ space: "s", conversation: "chat 7", order: "newest", limit: 50 });
    assert.equal(found.length, 4);
    assert.equal(await store.count({ space: "s" }), 200_000);
    counting = false;
    assert.ok(turns >= 40, `only ${turns} turns`);
    const before = turns;
    assert.equal((await store.find({ space: "s", order: "newest", account: "x", limit: 50 })).length, 50);
    assert.ok(turns - before <= 1, "a usual list needs one slice");
    await store.close();
  });

  it("keeps its write-ahead log small", async function () {
    this.timeout(60_000);
    const store = await open();
    const most: number[] = [];
    for (let round = 0; round < 20; round++) {
      const block = String(round).padEnd(40_000, "x");
      await Promise.all(
        Array.from({ length: 200 }, (_, i) => store.commit([{ put: { ...row(`k${i}`), body: block } }])),
      );
      most.push(walBytes(path));
    }
    assert.ok(Math.max(...most) < 64e6, `${Math.max(...most)} bytes`);
    await store.close();
  });

  it("says that a folder cannot be used", async () => {
    mkdirSync(join(path, ".."));
    writeFileSync(join(path, "..", "file"), "");
    await assert.rejects(sqliteStore({ path: join(path, "..", "file", "redclaw.db") }), {
      code: "store-failed",
    });
    await assert.rejects(sqliteStore({ path: join(path, "..") }), { code: "store-failed" });
  });

  it("waits for a short lock without stopping Node-RED, and then commits", async () => {
    const store = await open();
    const other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    let longestStop = 0;
    let last = performance.now();
    const ticks = setInterval(() => {
      longestStop = Math.max(longestStop, performance.now() - last);
      last = performance.now();
    }, 5);
    const commits = Promise.all([store.commit([put("a")]), store.commit([put("b")])]);
    setTimeout(() => other.exec("ROLLBACK"), 500);
    assert.deepEqual(await commits, [[true], [true]]);
    clearInterval(ticks);
    other.close();
    await store.close();
    assert.ok(longestStop < 300, `stopped for ${longestStop} ms`);
  });

  it("rejects everybody who waited when a second process keeps the lock, and recovers when it is gone", async () => {
    const store = await open({ lockWaitMs: 300 });
    const thief = await lockInAnotherProcess(path);
    const locked = { code: "store-locked", message: /Another program is using/ };
    const commits = Array.from({ length: 600 }, (_, i) => store.commit([put(String(i))]));
    for (const result of await Promise.allSettled(commits)) {
      assert.equal(result.status, "rejected");
      assert.equal(result.reason.code, locked.code);
    }
    await assert.rejects(store.sweep(), locked);
    assert.equal(await store.count({ space: "s" }), 0);
    await end(thief);
    assert.deepEqual(await store.commit([put("a")]), [true]);
    await store.close();
  });

  it("never refuses to record the end of work because of a lock, however long it lasts", async () => {
    const store = await open({ lockWaitMs: 100 });
    await store.commit([{ insert: { ...row("a"), state: "sending" } }, { insert: row("old") }]);
    const thief = await lockInAnotherProcess(path);
    let written = false;
    const ended = store
      .commit([{ update: { space: "s", key: "a", state: "sent", trail: [["sent", 1]] } }])
      .finally(() => {
        written = true;
      });
    const gone = store.commit([{ delete: { space: "s", key: "old" } }]);
    for (let i = 0; i < 4; i++) {
      await assert.rejects(store.commit([{ insert: row(`n${i}`) }]), { code: "store-locked" });
    }
    assert.equal(written, false);
    await end(thief);
    assert.deepEqual([await ended, await gone], [[true], [true]]);
    assert.deepEqual((await store.get("s", "a"))?.trail, [["sent", 1]]);
    await store.close();
  });

  it("gives up what waits for a lock when it is closed", async () => {
    const store = await open({ lockWaitMs: 50 });
    await store.commit([{ insert: row("a") }]);
    const thief = await lockInAnotherProcess(path);
    const ended = assert.rejects(store.commit([{ update: { space: "s", key: "a", value: 1 } }]), {
      code: "store-locked",
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await store.close();
    await ended;
    await end(thief);
  });

  it("closes in under two seconds even when a second program keeps the lock", async () => {
    const store = await open();
    const other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    const commit = assert.rejects(store.commit([put("a")]), { code: "store-locked" });
    const start = performance.now();
    await store.close();
    assert.ok(performance.now() - start < 2000);
    await commit;
    other.close();
  });

  describe("on a small disk", () => {
    let disk: string;
    before(function () {
      if (process.getuid?.() !== 0) this.skip(); // Only root can mount.
    });
    const mount = (size: string): void => {
      disk = mkdtempSync(join(tmpdir(), "redclaw-disk-"));
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", disk]);
      path = join(disk, "redclaw.db");
    };
    afterEach(() => {
      execFileSync("umount", ["-l", disk]);
      rmSync(disk, { recursive: true, force: true });
    });
    const block = "x".repeat(20_000);
    const fill = async (store: Awaited<ReturnType<typeof open>>): Promise<string[]> => {
      const stored: string[] = [];
      for (let i = 0; i < 10_000; i++) {
        try {
          await store.commit([{ insert: row(`k${i}`, block) }]);
          stored.push(`k${i}`);
        } catch (error) {
          assert.equal((error as { code: string }).code, "store-full");
          assert.match((error as Error).message, /Free some space/);
          return stored;
        }
      }
      throw new Error("the disk was never full");
    };

    it("rejects with a sentence, keeps every confirmed row, and goes on when there is room again", async () => {
      mount("2m");
      const store = await sqliteStore({ path });
      const stored = await fill(store);
      assert.equal(existsSync(`${path}.ballast`), false, "no ballast on a disk that has no room for it");
      assert.equal(await store.count({ space: "s" }), stored.length);
      execFileSync("mount", ["-o", "remount,size=8m", disk]);
      assert.deepEqual(await store.commit([{ insert: row("later", block) }]), [true]);
      await store.close();
      const again = await sqliteStore({ path });
      assert.deepEqual(again.notices, []);
      assert.equal(await again.count({ space: "s" }), stored.length + 1);
      await again.close();
    });

    it("records the end of work as soon as there is room, on a disk that is too full for it", async () => {
      mount("2m");
      const store = await sqliteStore({ path });
      const stored = await fill(store);
      let refused: unknown;
      // Without a ballast there may be room for some of them.
      const ended = Promise.all(
        stored.map((key) =>
          store.commit([{ update: { space: "s", key, state: "sent", value: block.replace("x", key) } }]),
        ),
      ).catch((error) => {
        refused = error;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(refused, undefined);
      execFileSync("mount", ["-o", "remount,size=20m", disk]);
      await ended;
      assert.equal(refused, undefined);
      assert.equal(await store.count({ space: "s", state: "sent" }), stored.length);
      await store.close();
    });

    it("says that a disk can only be read", async () => {
      mount("4m");
      await (await open()).close();
      execFileSync("mount", ["-o", "remount,ro", disk]);
      await assert.rejects(open(), {
        code: "store-failed",
        message: /cannot be written\. Check that its folder/,
      });
      execFileSync("mount", ["-o", "remount,rw", disk]);
      await (await open()).close();
    });

    it("does not fail the recording of a receipt at the moment when the disk becomes full", async () => {
      mount("14m");
      const ballastBytes = 8 * 1024 * 1024;
      const store = await sqliteStore({ path, ballastBytes });
      await until(() => existsSync(`${path}.ballast`) && statSync(`${path}.ballast`).size === ballastBytes);
      await store.commit([put("sending")]);
      const more = Array.from({ length: 450 }, (_, i) => store.commit([{ insert: row(`k${i}`, block) }]));
      const receipt = store.commit([{ update: { space: "s", key: "sending", state: "sent" } }]);
      const results = await Promise.allSettled(more);
      const refused = results.filter((result) => result.status === "rejected");
      assert.ok(refused.length > 0 && refused.every(({ reason }) => reason.code === "store-full"));
      assert.deepEqual(await receipt, [true]);
      assert.equal((await store.get("s", "sending"))?.state, "sent");
      await store.close();
    });

    it("gives its ballast back, so that what is under way can still be recorded while new work is refused", async () => {
      mount("14m");
      const ballastBytes = 8 * 1024 * 1024;
      const store = await sqliteStore({ path, ballastBytes });
      await until(() => existsSync(`${path}.ballast`) && statSync(`${path}.ballast`).size === ballastBytes);
      const stored = await fill(store);
      assert.equal(existsSync(`${path}.ballast`), false);
      const first = { space: "s", key: stored[0] as string };
      assert.deepEqual(await store.commit([{ update: { ...first, state: "sent" } }]), [true]);
      assert.deepEqual(await store.commit([{ put: row("receipt") }]), [true]);
      assert.deepEqual(await store.commit([{ delete: first }]), [true]);
      await assert.rejects(store.commit([{ insert: row("new") }]), { code: "store-full" });
      execFileSync("mount", ["-o", "remount,size=40m", disk]);
      assert.deepEqual(await store.commit([{ insert: row("new") }]), [true]);
      await until(() => existsSync(`${path}.ballast`));
      await store.close();
    });
  });
});

function runNode(args: string[]): { stdout: string; stderr: string } {
  const script = `const { spawnSync } = require("node:child_process");
    const { stdout, stderr } = spawnSync(process.execPath, ${JSON.stringify(args)}, { encoding: "utf8" });
    process.stdout.write(JSON.stringify({ stdout, stderr }));`;
  return JSON.parse(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }));
}

/** Lets a child write until `ms` after its first row, kills it, and answers the rows it had confirmed. */
async function writeAndKill(path: string, round: string, ms: number): Promise<string[]> {
  const child = spawn(
    process.execPath,
    ["--require", "tsx/cjs", require.resolve("./writer.ts"), path, round],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (said === "") setTimeout(() => child.kill("SIGKILL"), ms);
    said += text;
  });
  const signal = await new Promise((resolve) => child.once("close", (_, name) => resolve(name)));
  assert.equal(signal, "SIGKILL");
  // The last line may be cut off.
  return said.split("\n").slice(1, -1);
}

async function lockInAnotherProcess(path: string) {
  const script = `const { DatabaseSync } = require("node:sqlite");
    const db = new DatabaseSync(${JSON.stringify(path)});
    db.exec("BEGIN EXCLUSIVE");
    console.log("locked");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

async function end(child: Awaited<ReturnType<typeof lockInAnotherProcess>>): Promise<void> {
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
}

/** As they lie in the file. */
function sealedBodies(path: string): Buffer[] {
  const db = new DatabaseSync(path);
  const rows = db.prepare("SELECT body FROM rows WHERE body IS NOT NULL").all();
  db.close();
  return rows.map(({ body }) => Buffer.from(body as Uint8Array));
}

function walBytes(path: string): number {
  return statSync(`${path}-wal`).size;
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !condition(); ) {
    assert.ok(performance.now() < end, "waited too long");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
