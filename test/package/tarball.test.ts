/** The package as a user gets it: what is in the tarball, and that a fresh Node-RED can install and use it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { install, manifest, type Packed, pack, tryOut } from "../../scripts/matrix";

describe("the published package", function () {
  this.timeout(300_000);
  let folder: string;
  let packed: Packed;
  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-package-"));
    packed = await pack(folder);
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  it("holds the nodes with their forms, help and icons, the examples, the schemas, README and LICENSE", () => {
    const entries = Object.values(manifest()["node-red"].nodes).concat(
      Object.values(manifest()["node-red"].plugins),
    );
    const forms = Object.values(manifest()["node-red"].nodes).flatMap((file) => {
      const set = path.basename(file, ".js");
      return [`dist/${set}.html`, `dist/locales/en-US/${set}.json`, `dist/locales/en-US/${set}.html`];
    });
    for (const file of [
      ...entries,
      ...forms,
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "examples/01 Start here.json",
    ]) {
      assert.ok(packed.files.includes(file), `${file} is missing`);
    }
    assert.ok(
      packed.files.some((file) => /^dist\/icons\/redclaw-.*\.svg$/.test(file)),
      "icons",
    );
    for (const name of ["message-event", "chat-context", "response"]) {
      assert.ok(
        packed.files.some((file) => file.startsWith(`resources/${name}`) && file.endsWith(".json")),
        name,
      );
    }
  });

  it("holds no sources, tests, scripts or local files", () => {
    const strange = packed.files.filter(
      (file) =>
        !/^(dist|examples|icons|resources)\//.test(file) &&
        !["package.json", "README.md", "LICENSE", "CHANGELOG.md"].includes(file),
    );
    assert.deepEqual(strange, []);
    const sources = packed.files.filter(
      (file) => /(^|[^d])\.ts$|\.test\.|fixtures|\.tgz$|\.tsbuildinfo$/.test(file) && !file.endsWith(".d.ts"),
    );
    assert.deepEqual(sources, []);
  });

  it("is smaller than 3 MB", () => {
    assert.ok(packed.unpackedSize < 3e6, `${(packed.unpackedSize / 1e6).toFixed(1)} MB`);
  });

  it("runs no script when it is installed", () => {
    const hooks = [
      "preinstall",
      "install",
      "postinstall",
      "prepare",
      "prepublish",
      "preprepare",
      "postprepare",
    ];
    assert.deepEqual(
      Object.keys(manifest().scripts).filter((name) => hooks.includes(name)),
      [],
    );
  });

  describe("installed into a fresh user directory", () => {
    let userDir: string;
    before(async () => {
      userDir = path.join(folder, "user");
      await install(packed.file, userDir);
    });

    it("loads every node set, imports and deploys every example and serves the chat page", async () => {
      assert.deepEqual(await tryOut(userDir), []);
    });

    it("takes at most 110 MB with everything it brings along", () => {
      const kilobytes = Number.parseInt(
        execFileSync("du", ["-sk", path.join(userDir, "node_modules")], { encoding: "utf8" }),
        10,
      );
      assert.ok(kilobytes < 110 * 1024, `${Math.round(kilobytes / 1024)} MB`);
    });
  });
});
