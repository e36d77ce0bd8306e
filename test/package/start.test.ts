/** `npm start`, as the first thing that somebody does with a fresh checkout. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { createServer } from "node:http";
import os from "node:os";
import path from "node:path";
import { readExamples, root } from "../../scripts/node-red";

describe("npm start", function () {
  this.timeout(60_000);
  let userDir: string;
  let started: Started | undefined;
  beforeEach(() => {
    userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-start-"));
  });
  afterEach(() => {
    started?.child.kill("SIGKILL");
    fs.rmSync(userDir, { recursive: true, force: true });
  });

  it("prints four lines: it runs, the editor, the chat page and the model; both pages answer", async () => {
    started = await start(userDir, { PORT: "0" });
    assert.equal(started.lines.length, 4, started.lines.join("\n"));
    const [runs = "", editor = "", chat = "", model = ""] = started.lines;
    assert.match(runs, /^Redclaw is running/);
    assert.match(model, /^Model: +demo model - set OPENAI_API_KEY or start Ollama/);
    assert.equal((await fetch(addressIn(editor))).status, 200);
    const page = await fetch(addressIn(chat));
    assert.equal(page.status, 200);
    assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
    assert.equal(started.errors(), "");
  });

  it("deploys the example in a fresh folder and keeps flows and secret that are there", async () => {
    started = await start(userDir, { PORT: "0" });
    const secret = fs.readFileSync(path.join(userDir, "credential-secret"), "utf8");
    assert.deepEqual(readFlows(userDir), readExamples().get("01 Start here"));
    await stop(started, "SIGTERM");
    const own = [{ id: "mine", type: "tab", label: "Mine" }];
    fs.writeFileSync(path.join(userDir, "flows.json"), JSON.stringify(own));
    started = await start(userDir, { PORT: "0" });
    assert.deepEqual(readFlows(userDir), own);
    assert.equal(fs.readFileSync(path.join(userDir, "credential-secret"), "utf8"), secret);
    assert.match(started.lines[2] ?? "", /none yet/);
  });

  it("takes the next free port when another program has the wanted one, and says so", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    try {
      started = await start(userDir, { PORT: String(port) });
      assert.match(started.lines[1] ?? "", new RegExp(`port ${port} is taken`));
      assert.notEqual(new URL(addressIn(started.lines[1] ?? "")).port, String(port));
    } finally {
      other.close();
    }
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`stops within 3 s and with exit code 0 on ${signal}, also while a chat page is open`, async () => {
      started = await start(userDir, { PORT: "0" });
      const chat = addressIn(started.lines[2] ?? "");
      const page = await fetch(chat);
      const cookie = page.headers.getSetCookie().map((text) => text.split(";", 1)[0]);
      await page.text();
      const events = await fetch(`${chat}events`, { headers: { cookie: cookie.join("; ") } });
      assert.match(events.headers.get("content-type") ?? "", /^text\/event-stream/);
      events.text().catch(() => "cut off when it stops");
      const before = Date.now();
      assert.equal(await stop(started, signal), 0);
      assert.ok(Date.now() - before < 3_000);
    });
  }

  it("refuses a PORT that is no number with a sentence", async () => {
    const child = spawnStart(userDir, { PORT: "eighty" });
    let text = "";
    child.stderr?.on("data", (chunk) => {
      text += chunk;
    });
    const [code] = await once(child, "exit");
    assert.equal(code, 1);
    assert.match(text, /PORT is "eighty"\. It must be a number/);
  });
});

interface Started {
  child: ChildProcess;
  lines: string[];
  errors(): string;
}

async function start(userDir: string, env: Record<string, string>): Promise<Started> {
  const child = spawnStart(userDir, env);
  let [output, errors] = ["", ""];
  child.stderr?.on("data", (chunk) => {
    errors += chunk;
  });
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  const deadline = Date.now() + 30_000;
  while (!/^Model:.*\n/m.test(output)) {
    assert.ok(child.exitCode === null && Date.now() < deadline, `it did not start:\n${output}${errors}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { child, lines: output.trimEnd().split("\n"), errors: () => errors };
}

function spawnStart(userDir: string, env: Record<string, string>): ChildProcess {
  // No Ollama of this machine may answer: port 9 (discard) refuses.
  const clean = {
    ...process.env,
    OPENAI_API_KEY: "",
    OLLAMA_HOST: "127.0.0.1:9",
    HOST: "",
    NODE_OPTIONS: "",
    ...env,
  };
  const flags = ["--import", "tsx", "scripts/start.ts", "--no-build", "--user-dir", userDir];
  return spawn(process.execPath, flags, { cwd: root, env: clean, stdio: ["ignore", "pipe", "pipe"] });
}

async function stop({ child }: Started, signal: NodeJS.Signals): Promise<number | null> {
  const exit = once(child, "exit");
  child.kill(signal);
  const [code] = (await exit) as [number | null];
  return code;
}

function addressIn(line: string): string {
  return /http:\/\/\S+/.exec(line)?.[0] ?? assert.fail(`no address in "${line}"`);
}

function readFlows(userDir: string): unknown {
  return JSON.parse(fs.readFileSync(path.join(userDir, "flows.json"), "utf8"));
}
