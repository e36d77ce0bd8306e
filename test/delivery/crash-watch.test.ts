import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CrashWatch } from "../../lib/delivery/crash-watch";
import { Scripted, until } from "./scripted";

describe("crash-loop breaker", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "redclaw-crash-"));
    file = join(folder, "sub", "run.json");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  /** A start, as another process. */
  const start = (now: number) => {
    const exits = new EventEmitter();
    const watch = new CrashWatch(file, exits);
    return { watch, died: watch.begin(now), exit: () => exits.emit("exit") };
  };

  it("trips at the start after three that died within five minutes", () => {
    assert.deepEqual(
      [0, 1000, 2000, 3000].map((now) => start(now).died),
      [0, 0, 0, 3],
    );
    assert.equal(start(4000).died, 0, "the next start is a new try");
  });

  it("does not count a run that got something done, that stopped in order, or that is long ago", () => {
    start(0).watch.useful();
    start(1000).watch.useful();
    start(2000).watch.useful();
    assert.equal(start(3000).died, 0);
    for (let index = 0; index < 5; index += 1) start(4000 + index).watch.end();
    assert.equal(start(5000).died, 0);
    start(6000);
    assert.equal(start(6000 + 10 * 60_000).died, 0);
  });

  it("counts an exit that was no stop also when much got done before", () => {
    for (const now of [0, 1000, 2000]) {
      const { watch, died, exit } = start(now);
      assert.equal(died, 0);
      watch.useful();
      exit();
    }
    assert.equal(start(3000).died, 3);
  });

  it("an exit after a stop in order is none", () => {
    for (const now of [0, 1000, 2000, 3000]) {
      const { watch, died, exit } = start(now);
      assert.equal(died, 0);
      watch.end();
      exit();
    }
  });

  it("a file that cannot be read or written stops nobody", () => {
    start(0).watch.end();
    writeFileSync(file, "{broken");
    assert.equal(start(1).died, 0);
    assert.equal(new CrashWatch("/dev/null/run.json", new EventEmitter()).begin(), 0);
  });

  it("keeps the channels down, says why, and a deploy starts them again", async () => {
    for (const now of [1, 2, 3]) start(Date.now() - 10_000 + now);
    const listeners = new Map<string, (event?: { config?: unknown }) => void>();
    const flows = {
      on: (name: string, listener: () => void) => listeners.set(name, listener),
      off: () => undefined,
    };
    const channel = new Scripted({ flows, crashWatch: new CrashWatch(file, new EventEmitter()) });
    const news: string[] = [];
    channel.gateway.onNews(({ event }) => news.push(event));
    const first = {};
    const account = channel.open();
    listeners.get("flows:started")?.({ config: first });
    await until(() => account.status.state === "misconfigured");
    assert.match(JSON.stringify(account.status), /Kept down after crashes/);
    assert.ok(channel.logged.some((line) => /crashed 3 times/.test(line)));
    assert.deepEqual(news, ["crash-loop", "misconfigured"]);
    assert.equal(channel.connects, 0);
    const second = {};
    listeners.get("flows:stopping")?.({ config: second });
    listeners.get("flows:started")?.({ config: second });
    await until(() => account.status.state === "connected");
    await channel.close();
  });
});
