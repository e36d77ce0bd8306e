/** Files to send, from wherever they stand: the bytes, the true type, a safe name, and clear words when it fails. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createHttp, type Http } from "../../lib/http/client";
import { safeFileName } from "../../lib/http/file-name";
import { mimeOf } from "../../lib/http/mime";
import { type OpenOptions, openAttachment } from "../../lib/http/open";
import type { OutgoingAttachment } from "../../lib/message/types";
import { serve, stopServers } from "./servers";

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

describe("openAttachment", () => {
  const folder = mkdtempSync(join(tmpdir(), "redclaw-open-"));
  let http: Http;
  beforeEach(() => {
    http = createHttp({ allowPrivate: true });
  });
  afterEach(async () => {
    await http.close();
    await stopServers();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const open = (attachment: Omit<OutgoingAttachment, "kind">, options: Partial<OpenOptions> = {}) =>
    openAttachment(
      { kind: "file", ...attachment },
      { fetch: http.fetch, maxBytes: 1000, signal: new AbortController().signal, ...options },
    );

  describe("at an address", () => {
    it("has the name of the address and the type of its bytes, whatever the server claims", async () => {
      const server = await serve((_, response) => response.setHeader("content-type", "text/html").end(PNG));
      const file = await open({ url: `${server.url}/my%20cat?token=1` });
      assert.deepEqual(file, { data: PNG, name: "my cat.png", mime: "image/png" });
    });

    it("says what is wrong: missing, not given, empty, too large, private", async () => {
      const server = await serve((request, response) => {
        if (request.url === "/large") response.end(Buffer.alloc(1001));
        else if (request.url === "/endless") {
          const drops = setInterval(() => response.write(Buffer.alloc(600)), 5);
          response.once("close", () => clearInterval(drops));
        } else response.writeHead(Number((request.url ?? "").slice(1))).end();
      });
      for (const [path, code] of Object.entries({
        "404": "file-missing",
        "410": "file-missing",
        "401": "file-unreadable",
        "500": "file-unreadable",
        "200": "file-empty",
        large: "file-too-large",
        endless: "file-too-large",
      })) {
        await assert.rejects(open({ url: `${server.url}/${path}` }), { code, message: /^[^?]*\.$/ }, path);
      }
      const small = http.fetchWith({ maxBytes: 100 });
      await assert.rejects(open({ url: `${server.url}/large` }, { fetch: small }), {
        code: "file-too-large",
      });
      const guarded = http.fetchWith({ allowPrivate: false });
      await assert.rejects(open({ url: server.url }, { fetch: guarded }), { code: "private-address" });
      await assert.rejects(open({ url: "file:///etc/passwd" }), { code: "bad-address" });
    });

    it("ends with the reason of an abort", async () => {
      const server = await serve((_, response) => response.write("x"));
      const abort = new AbortController();
      const opening = open({ url: server.url }, { signal: abort.signal });
      setTimeout(() => abort.abort(new Error("enough")), 50);
      await assert.rejects(opening, /enough/);
      await assert.rejects(open({ data: "eA==" }, { signal: abort.signal }), /enough/);
    });
  });

  describe("on this machine", () => {
    const path = join(folder, "photo.txt");
    writeFileSync(path, PNG);

    it("has its own name; a link to a file is a file", async () => {
      const link = join(folder, "link.png");
      symlinkSync(path, link);
      assert.deepEqual(await open({ path }), { data: PNG, name: "photo.txt", mime: "image/png" });
      assert.equal((await open({ path: link })).name, "link.png");
    });

    it("says what is wrong: missing, empty, too large", async () => {
      writeFileSync(join(folder, "empty"), "");
      writeFileSync(join(folder, "large"), Buffer.alloc(1001));
      await assert.rejects(open({ path: join(folder, "none") }), { code: "file-missing" });
      await assert.rejects(open({ path: join(path, "below") }), { code: "file-missing" });
      await assert.rejects(open({ path: join(folder, "empty") }), { code: "file-empty" });
      await assert.rejects(open({ path: join(folder, "large") }), {
        code: "file-too-large",
        message: /1000 bytes/,
      });
      await assert.rejects(open({ path: "a\0b" }), { code: "file-unreadable" });
    });

    it("is a real file: no folder, no device, no pipe that would wait for ever", async () => {
      const pipe = join(folder, "pipe");
      execFileSync("sh", ["-c", `mkfifo "${pipe}"`]);
      mkdirSync(join(folder, "sub"));
      for (const wrong of [pipe, join(folder, "sub"), "/dev/zero", "/dev/null"]) {
        await assert.rejects(
          open({ path: wrong }),
          { code: "file-unreadable", message: /not a file/ },
          wrong,
        );
      }
    });

    it("is read to its end and no further than allowed, even when its size is a lie", async () => {
      assert.ok((await open({ path: "/proc/self/status" }, { maxBytes: 1_000_000 })).data.length > 100);
      await assert.rejects(open({ path: "/proc/self/status" }, { maxBytes: 10 }), { code: "file-too-large" });
    });
  });

  describe("in the message", () => {
    it("is base64, base64url, a data address or a Buffer", async () => {
      const base64 = PNG.toString("base64");
      const wrapped = base64.replace(/.{20}/g, "$&\r\n");
      for (const data of [
        base64,
        PNG.toString("base64url"),
        wrapped,
        `data:image/png;base64,${base64}`,
        PNG,
        new Uint8Array(PNG),
      ]) {
        assert.deepEqual(await open({ data: data as string }), {
          data: PNG,
          name: "file.png",
          mime: "image/png",
        });
      }
      assert.deepEqual((await open({ url: `data:image/png;base64,${base64}` })).data, PNG);
      assert.deepEqual(await open({ url: "data:text/plain,a%20b" }), {
        data: Buffer.from("a b"),
        name: "file.txt",
        mime: "text/plain",
      });
    });

    it("says what is wrong: not base64, empty, too large", async () => {
      for (const data of ["not base64!", "data:nothing", {} as string, 7 as unknown as string]) {
        await assert.rejects(open({ data }), { code: "file-unreadable" });
      }
      for (const data of ["", "data:,", Buffer.alloc(0)])
        await assert.rejects(open({ data: data as string }), { code: "file-empty" });
      for (const data of [
        Buffer.alloc(1001),
        Buffer.alloc(1001).toString("base64"),
        "A".repeat(1e6),
        `data:,${"a".repeat(1001)}`,
      ]) {
        await assert.rejects(open({ data: data as string }), { code: "file-too-large" });
      }
      await assert.rejects(open({}), { code: "file-missing", message: /url, path, data or ref/ });
    });
  });

  describe("on a platform", () => {
    const { signal } = new AbortController();

    it("comes from the account, under the same rules", async () => {
      const download = async (ref: string) => ({ data: PNG, name: `../${ref}`, mime: "text/plain" });
      assert.deepEqual(await open({ ref: "r1" }, { download, signal }), {
        data: PNG,
        name: "r1.png",
        mime: "image/png",
      });
      assert.equal((await open({ ref: "r1", name: "mine.png" }, { download })).name, "mine.png");
      const large = async () => ({ data: Buffer.alloc(1001), name: "x", mime: "" });
      await assert.rejects(open({ ref: "r1" }, { download: large }), { code: "file-too-large" });
      await assert.rejects(open({ ref: "r1" }), { code: "file-missing" });
    });
  });
});

describe("safeFileName", () => {
  const cases: [string, string, string][] = [
    ["cat.png", "image/png", "cat.png"],
    ["../../etc/passwd", "text/plain", "passwd.txt"],
    ["C:\\Users\\me\\cat.PNG", "image/png", "cat.PNG"],
    ["..", "image/png", "file.png"],
    ["", "application/pdf", "file.pdf"],
    [".htaccess", "text/plain", "htaccess.txt"],
    ["a\0b\r\nc\u202egpj.exe", "x/y", "abcgpj.exe"],
    ["con.txt", "text/plain", "_con.txt"],
    ['a<b>:"|?*.txt', "text/plain", "a_b______.txt"],
    ["  spaced \u2028 out  .txt ", "text/plain", "spaced out.txt"],
    ["\u00fcml\u00e4ut \u{1f408}.jpg", "image/jpeg", "\u00fcml\u00e4ut \u{1f408}.jpg"],
    ["\ud800.jpg", "image/jpeg", "jpg.jpg"],
    ["unknown", "application/octet-stream", "unknown"],
  ];
  for (const [wanted, mime, expected] of cases) {
    it(`makes "${expected}" of ${JSON.stringify(wanted)}`, () =>
      assert.equal(safeFileName(wanted, mime), expected));
  }

  it("keeps the extension of a name that is too long", () => {
    const name = safeFileName(`${"\u00e4".repeat(500)}.jpeg`, "image/jpeg");
    assert.ok(Buffer.byteLength(name) <= 200 && name.endsWith("\u00e4.jpeg"));
  });

  it("is safe for any text: one part, visible, not hidden, not empty, not too long", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 300 }),
        fc.constantFrom("image/png", "a/b"),
        (wanted, mime) => {
          const name = safeFileName(wanted, mime);
          assert.match(name, /^[^/\\<>:"|?*\p{C}]+$/u);
          assert.doesNotMatch(name, /^[.\s]|[.\s]$/);
          assert.ok(Buffer.byteLength(name) <= 200);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe("mimeOf", () => {
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
  const files: [string, Buffer][] = [
    ["image/jpeg", hex("ffd8ffe000104a46")],
    ["image/gif", Buffer.from("GIF89a")],
    ["image/webp", Buffer.from("RIFF\0\0\0\0WEBPVP8 ")],
    ["audio/wav", Buffer.from("RIFF\0\0\0\0WAVEfmt ")],
    ["audio/ogg", Buffer.concat([Buffer.from("OggS"), Buffer.alloc(24), Buffer.from("OpusHead")])],
    ["audio/mpeg", Buffer.from("ID3\x04")],
    ["audio/mpeg", hex("fffb9064")],
    ["audio/mp4", Buffer.from("\0\0\0\x20ftypM4A ")],
    ["video/mp4", Buffer.from("\0\0\0\x20ftypisom")],
    ["video/webm", hex("1a45dfa3")],
    ["video/quicktime", Buffer.from("\0\0\0\x14ftypqt  ")],
    ["application/pdf", Buffer.from("%PDF-1.7")],
    ["application/zip", hex("504b0304")],
    ["text/plain", Buffer.from("caf\u00e9")],
    ["application/octet-stream", hex("00010203")],
    ["application/octet-stream", hex("fffefdfcfbfa")],
  ];
  for (const [mime, bytes] of files) {
    it(`knows ${mime}`, () => {
      assert.equal(mimeOf(bytes), mime);
    });
  }

  it("believes a claim only where the bytes do not say otherwise", () => {
    assert.equal(mimeOf(PNG, "x.pdf", "application/pdf"), "image/png");
    assert.equal(mimeOf(Buffer.from("plain text"), "", "image/png"), "text/plain");
    assert.equal(mimeOf(Buffer.from("a,b"), "x.csv"), "text/csv");
    assert.equal(mimeOf(Buffer.from("{}"), "", "application/json; charset=utf-8"), "application/json");
    assert.equal(mimeOf(Buffer.from("a,b"), "x.csv", "application/octet-stream"), "text/csv");
    assert.equal(
      mimeOf(hex("504b0304"), "report.docx"),
      "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    );
    assert.equal(mimeOf(hex("1a45dfa3"), "", "audio/webm;codecs=opus"), "audio/webm");
    assert.equal(mimeOf(Buffer.from("x"), "", "evil\r\nheader: 1"), "text/plain");
  });

  it("answers for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.string(), fc.string(), (bytes, name, claim) => {
        assert.match(mimeOf(Buffer.from(bytes), name, claim), /^[\w.+-]+\/[\w.+-]+$/);
      }),
    );
  });
});
