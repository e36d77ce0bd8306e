/** What only the store that survives promises: crashes, damage, full disks, locks, other people's files. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../../lib/store/sqlite";
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
    assert.deepEqual(readdirSync(join(path, "..")), ["redclaw.db"]);
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
    thief.kill("SIGKILL");
    await new Promise((resolve) => thief.once("exit", resolve));
    assert.deepEqual(await store.commit([put("a")]), [true]);
    await store.close();
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

    it("does not fail the recording of a receipt at the moment when the disk becomes full", async () => {
      mount("14m");
      const ballastBytes = 8 * 1024 * 1024;
      const store = await sqliteStore({ path, ballastBytes });
      await until(() => existsSync(`${path}.ballast`) && statSync(`${path}.ballast`).size === ballastBytes);
      await store.commit([put("sending")]);
      const more = Array.from({ length: 450 }, (_, i) => store.commit([{ insert: row(`k${i}`, block) }]));
      const receipt = store.commit([{ update: { space: "s", key: "sending", state: "sent" } }]);
      const results = await Promise.allSettled(more);
      assert.ok(
        results.every((result) => result.status === "rejected" && result.reason.code === "store-full"),
      );
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

function walBytes(path: string): number {
  return statSync(`${path}-wal`).size;
}

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !condition(); ) {
    assert.ok(performance.now() < end, "waited too long");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
