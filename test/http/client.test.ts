/** The one HTTP client, against real servers: what it sends, what it takes, and how it ends. */
import assert from "node:assert/strict";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { createHttp, type Http, type HttpOptions } from "../../lib/http/client";
import { bodyOf, serve, stopServers, until } from "./servers";

describe("http client", () => {
  let http: Http;
  const client = (options: HttpOptions = {}): Http => {
    http = createHttp({ allowPrivate: true, ...options });
    return http;
  };
  beforeEach(() => {
    client();
  });
  afterEach(async () => {
    await http.close();
    await stopServers();
  });

  it("gives an answer as a Response", async () => {
    const server = await serve((_, response) => {
      response.writeHead(201, "Made", {
        "X-One": "1",
        "Set-Cookie": ["a=1", "b=2"],
        "content-type": "application/json",
      });
      response.end('\ufeff{"a":"\u00fc"}');
    });
    const response = await http.fetch(`${server.url}/path?q=1#hash`);
    assert.deepEqual([response.status, response.statusText, response.ok], [201, "Made", true]);
    assert.deepEqual([response.redirected, response.bodyUsed], [false, false]);
    assert.equal(response.url, `${server.url}/path?q=1`);
    assert.equal(response.headers.get("x-one"), "1");
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.deepEqual(await response.json(), { a: "\u00fc" });
    assert.equal(response.bodyUsed, true);
    await assert.rejects(response.text(), TypeError);
  });

  it("gives the body in every form", async () => {
    const server = await serve((request, response) => {
      response.setHeader(
        "content-type",
        request.url === "/form" ? "application/x-www-form-urlencoded" : "text/x-test",
      );
      response.end(request.url === "/form" ? "a=1&b=2" : "caf\u00e9");
    });
    const get = (path = "") => http.fetch(server.url + path);
    const bytes = Buffer.from("caf\u00e9");
    assert.equal(await (await get()).text(), "caf\u00e9");
    assert.deepEqual(Buffer.from(await (await get()).bytes()), bytes);
    assert.deepEqual(Buffer.from(await (await get()).arrayBuffer()), bytes);
    const blob = await (await get()).blob();
    assert.deepEqual([blob.type, await blob.text()], ["text/x-test", "caf\u00e9"]);
    assert.equal((await (await get("/form")).formData()).get("b"), "2");
    const original = await get();
    const copy = original.clone();
    assert.deepEqual([await original.text(), await copy.text()], ["caf\u00e9", "caf\u00e9"]);
    const stream = (await get()).body;
    assert.ok(stream instanceof ReadableStream);
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.deepEqual(Buffer.concat(chunks), bytes);
  });

  it("has no body where there can be none", async () => {
    const server = await serve((request, response) => {
      response.setHeader("content-encoding", "gzip");
      response.writeHead(request.url === "/204" ? 204 : 200, {
        ...(request.method === "HEAD" ? { "content-length": "999999999" } : {}),
      });
      response.end();
    });
    for (const response of [
      await http.fetch(`${server.url}/204`),
      await http.fetch(server.url, { method: "HEAD" }),
    ]) {
      assert.equal(response.body, null);
      assert.equal(await response.text(), "");
    }
  });

  it("sends every kind of body", async () => {
    const server = await serve(async (request, response) => {
      const body = await bodyOf(request);
      response.end(
        JSON.stringify({
          type: request.headers["content-type"],
          length: request.headers["content-length"],
          body: body.toString("latin1"),
        }),
      );
    });
    const sent = async (
      body: unknown,
      headers?: HeadersInit,
    ): Promise<{ type?: string; length?: string; body: string }> => {
      const init = { method: "POST", body, headers, duplex: "half" } as RequestInit;
      return (await (await http.fetch(server.url, init)).json()) as never;
    };
    const text = "text/plain;charset=UTF-8";
    assert.deepEqual(await sent("abc"), { type: text, length: "3", body: "abc" });
    assert.deepEqual(await sent("{}", [["Content-Type", "application/json"]]), {
      type: "application/json",
      length: "2",
      body: "{}",
    });
    assert.deepEqual(await sent("x", new Headers({ "content-length": "77" })), {
      type: text,
      length: "1",
      body: "x",
    });
    assert.deepEqual(await sent(Buffer.from([0, 255])), { length: "2", body: "\0\xff" });
    assert.deepEqual(await sent(new Uint8Array([9, 1, 2, 9]).subarray(1, 3)), {
      length: "2",
      body: "\x01\x02",
    });
    assert.deepEqual(await sent(new Uint8Array([1]).buffer), { length: "1", body: "\x01" });
    const encoded = { type: "application/x-www-form-urlencoded;charset=UTF-8", length: "6", body: "a=1%26" };
    assert.deepEqual(await sent(new URLSearchParams({ a: "1&" })), encoded);
    assert.deepEqual(await sent(new Blob(["bl"], { type: "a/b" })), { type: "a/b", length: "2", body: "bl" });
    const form = new FormData();
    form.set("field", "value");
    form.set("file", new Blob(["content"]), "name.txt");
    const posted = await sent(form);
    assert.match(posted.type ?? "", /^multipart\/form-data; boundary=/);
    assert.match(posted.body, /name="file"; filename="name\.txt"[\s\S]*content/);
    assert.equal(Number(posted.length), posted.body.length);
    async function* pieces() {
      yield "a";
      yield Buffer.from("b");
    }
    assert.equal((await sent(pieces())).body, "ab");
    assert.equal((await sent(Readable.from([Buffer.from("c"), Buffer.from("d")]))).body, "cd");
    assert.equal((await sent(new Blob(["stream"]).stream())).body, "stream");
    const request = new Request(server.url, { method: "PUT", body: "from a Request" });
    assert.equal(((await (await http.fetch(request)).json()) as { body: string }).body, "from a Request");
  });

  it("sends a user and password of the address as a header, and never in the address", async () => {
    const server = await serve((request, response) =>
      response.end(`${request.headers.authorization} ${request.url}`),
    );
    const response = await http.fetch(`http://user:p%40ss@127.0.0.1:${server.port}/x`);
    assert.equal(response.url, `${server.url}/x`);
    assert.equal(await response.text(), `Basic ${Buffer.from("user:p@ss").toString("base64")} /x`);
  });

  it("uses a connection again, also when an answer was not read", async () => {
    const server = await serve();
    for (let i = 0; i < 20; i++) {
      const response = await http.fetch(server.url);
      if (i % 2) await response.text();
      else await until(() => server.requests === i + 1);
    }
    assert.deepEqual([server.requests, server.connections <= 3], [20, true]);
  });

  it("runs many requests at once", async () => {
    const server = await serve((request, response) => setTimeout(() => response.end(request.url), 5));
    const answers = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => (await http.fetch(`${server.url}/${i}`)).text()),
    );
    assert.deepEqual(
      answers,
      answers.map((_, i) => `/${i}`),
    );
  });

  it("decodes gzip, brotli and both kinds of deflate, also stacked", async () => {
    const text = "hello ".repeat(20_000);
    const coders: Record<string, (bytes: Buffer) => Buffer> = {
      gzip: gzipSync,
      br: brotliCompressSync,
      deflate: deflateSync,
      "x-gzip": gzipSync,
      identity: (bytes) => bytes,
      "gzip, br": (bytes) => brotliCompressSync(gzipSync(bytes)),
      raw: deflateRawSync,
    };
    const server = await serve((request, response) => {
      const name = decodeURIComponent((request.url ?? "").slice(1));
      response.setHeader("content-encoding", name === "raw" ? "deflate" : name);
      response.end(coders[name]?.(Buffer.from(text)));
    });
    for (const name of Object.keys(coders)) {
      const response = await http.fetch(`${server.url}/${encodeURIComponent(name)}`);
      assert.equal(await response.text(), text, name);
    }
  });

  it("stops a decompression bomb at the size limit", async () => {
    const bomb = gzipSync(gzipSync(Buffer.alloc(300 * 1024 * 1024)));
    const server = await serve((_, response) =>
      response.setHeader("content-encoding", "gzip, gzip").end(bomb),
    );
    client({ maxBytes: 1024 * 1024 });
    const before = process.memoryUsage().rss;
    await assert.rejects((await http.fetch(server.url)).text(), {
      code: "too-large",
      fault: "refused",
      message: /larger than 1 MB/,
    });
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
  });

  it("says that an answer arrived damaged", async () => {
    const server = await serve((_, response) =>
      response.setHeader("content-encoding", "gzip").end("not gzip at all"),
    );
    await assert.rejects((await http.fetch(server.url)).text(), { code: "damaged", fault: "interrupted" });
    const cut = gzipSync("hello".repeat(1000)).subarray(0, 20);
    const second = await serve((_, response) => response.setHeader("content-encoding", "gzip").end(cut));
    await assert.rejects((await http.fetch(second.url)).text(), { code: "damaged" });
  });

  it("refuses an answer that is too large, by its length or as it comes", async () => {
    const server = await serve((request, response) => {
      const large = Buffer.alloc(200_000);
      if (request.url === "/length") response.end(large);
      else {
        response.write(large);
        setInterval(() => response.write(large), 1).unref();
        response.on("error", () => {});
      }
    });
    client({ maxBytes: 100_000 });
    await assert.rejects(http.fetch(`${server.url}/length`), { code: "too-large" });
    await assert.rejects((await http.fetch(`${server.url}/stream`)).text(), { code: "too-large" });
    const roomy = http.fetchWith({ maxBytes: 300_000 });
    assert.equal((await (await roomy(`${server.url}/length`)).bytes()).length, 200_000);
  });

  it("makes a server wait when nobody reads, instead of filling the memory", async () => {
    let written = 0;
    const server = await serve(async (_, response) => {
      const piece = Buffer.alloc(1024 * 1024);
      for (let i = 0; i < 40 && !response.destroyed; i++) {
        written += piece.length;
        if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve));
      }
      response.end();
    });
    const response = await http.fetch(server.url);
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(written < 20 * 1024 * 1024, `${written} bytes were taken`);
    assert.equal((await response.bytes()).length, 40 * 1024 * 1024);
  });

  it("uploads a file as a stream", async () => {
    const folder = mkdtempSync(join(tmpdir(), "redclaw-http-"));
    const path = join(folder, "file.bin");
    writeFileSync(path, Buffer.alloc(3_000_000, 7));
    const server = await serve(async (request, response) =>
      response.end(String((await bodyOf(request)).length)),
    );
    const init = { method: "POST", body: createReadStream(path) as unknown as BodyInit };
    assert.equal(await (await http.fetch(server.url, init)).text(), "3000000");
    rmSync(folder, { recursive: true });
  });

  describe("redirects", () => {
    it("are followed up to three times", async () => {
      const server = await serve((request, response) => {
        const left = Number((request.url ?? "").slice(1));
        if (left === 0) response.end("there");
        else response.writeHead(302, { location: `/${left - 1}` }).end("moved");
      });
      const response = await http.fetch(`${server.url}/3`);
      assert.deepEqual(
        [await response.text(), response.redirected, response.url],
        ["there", true, `${server.url}/0`],
      );
      await assert.rejects(http.fetch(`${server.url}/4`), { code: "too-many-redirects", fault: "refused" });
      await assert.rejects(http.fetch(`${server.url}/1`, { redirect: "error" }), {
        code: "too-many-redirects",
      });
      const manual = await http.fetch(`${server.url}/1`, { redirect: "manual" });
      assert.deepEqual([manual.status, manual.headers.get("location")], [302, "/0"]);
    });

    it("turn a POST into a GET where the standard says so, and keep it where it says so", async () => {
      const server = await serve(async (request, response) => {
        const status = Number((request.url ?? "").slice(1));
        if (status) response.writeHead(status, { location: "/" }).end();
        else response.end(`${request.method} ${request.headers["content-type"]} ${await bodyOf(request)}`);
      });
      const post = async (status: number, body: unknown = "x"): Promise<string> =>
        (await http.fetch(`${server.url}/${status}`, { method: "POST", body: body as BodyInit })).text();
      for (const status of [301, 302, 303]) assert.equal(await post(status), "GET undefined ");
      for (const status of [307, 308]) assert.equal(await post(status), "POST text/plain;charset=UTF-8 x");
      await assert.rejects(post(307, Readable.from(["x"])), { code: "redirect-body" });
    });

    it("do not carry secrets to another host", async () => {
      const names = ["authorization", "cookie", "x-api-key", "x-plain"];
      const other = await serve((request, response) =>
        response.end(names.filter((name) => name in request.headers).join()),
      );
      const server = await serve((request, response) => {
        const location = request.url === "/away" ? `${other.url}/` : "/here";
        if (request.url === "/here") response.end(names.filter((name) => name in request.headers).join());
        else response.writeHead(307, { location }).end();
      });
      const headers = Object.fromEntries(names.map((name) => [name, "secret"]));
      assert.equal(await (await http.fetch(`${server.url}/away`, { headers })).text(), "x-plain");
      assert.equal(await (await http.fetch(`${server.url}/stay`, { headers })).text(), names.join());
    });

    it("do not lead to other protocols", async () => {
      const server = await serve((request, response) => {
        response.writeHead(302, { location: decodeURIComponent((request.url ?? "").slice(1)) }).end();
      });
      for (const location of ["file:///etc/passwd", "ftp://example.org", "javascript:1", "http://"]) {
        await assert.rejects(http.fetch(`${server.url}/${encodeURIComponent(location)}`), {
          code: "bad-address",
        });
      }
    });

    it("keep the time limit over all hops", async () => {
      const server = await serve((_, response) => {
        setTimeout(() => response.writeHead(302, { location: "/again" }).end(), 60);
      });
      client({ timeoutMs: 150 });
      await assert.rejects(http.fetch(server.url), { code: "timeout" });
    });
  });

  describe("an abort", () => {
    it("rejects with its reason: before, while waiting, and in the middle of the answer", async () => {
      let cut = 0;
      const server = await serve((request, response) => {
        response.once("close", () => cut++);
        if (request.url === "/half") response.write("half");
      });
      const reason = new Error("changed my mind");
      await assert.rejects(http.fetch(server.url, { signal: AbortSignal.abort(reason) }), reason);
      assert.equal(server.requests, 0);
      const waiting = new AbortController();
      const pending = http.fetch(server.url, { signal: waiting.signal });
      await until(() => server.requests === 1);
      waiting.abort(reason);
      await assert.rejects(pending, reason);
      const reading = new AbortController();
      const text = (await http.fetch(`${server.url}/half`, { signal: reading.signal })).text();
      reading.abort(reason);
      await assert.rejects(text, reason);
      await until(() => cut === 2);
    });

    it("ends a stream that is being read, and cancelling a stream ends the request", async () => {
      const server = await serve((_, response) => response.write("half"));
      const abort = new AbortController();
      const response = await http.fetch(server.url, { signal: abort.signal });
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), "half");
      abort.abort(new Error("enough"));
      await assert.rejects(reader.read(), /enough/);
      const second = await http.fetch(server.url);
      await second.body?.cancel();
      await until(() => server.sockets.size === 0);
    });

    it("leaves no listener on a signal that many requests share", async () => {
      const server = await serve();
      const { signal } = new AbortController();
      let listeners = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listeners++;
        add(...args);
      };
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listeners--;
        remove(...args);
      };
      const texts = Array.from({ length: 30 }, async () => (await http.fetch(server.url, { signal })).text());
      await Promise.all(texts);
      await assert.rejects(http.fetch("http://127.0.0.1:1", { signal }));
      assert.equal(listeners, 0);
    });
  });

  describe("close", () => {
    it("ends requests in flight with a sentence, and leaves no socket and no timer", async () => {
      const server = await serve((request, response) => {
        if (request.url === "/half") response.write("half");
      });
      const timersBefore = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
      const waiting = assert.rejects(http.fetch(server.url), { code: "http-closed", fault: "interrupted" });
      const text = assert.rejects((await http.fetch(`${server.url}/half`)).text(), { code: "http-closed" });
      await until(() => server.requests === 2);
      const start = performance.now();
      await http.close();
      assert.ok(performance.now() - start < 500);
      await Promise.all([waiting, text]);
      await until(() => server.sockets.size === 0);
      const timersAfter = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
      assert.ok(timersAfter <= timersBefore + 1, `${timersAfter} timers, ${timersBefore} before`);
      await assert.rejects(http.fetch(server.url), { code: "http-closed", fault: "unreachable" });
    });

    it("also ends a connection that is not made yet", async () => {
      const sockets = () =>
        process.getActiveResourcesInfo().filter((name) => /TCP.*Wrap|GetAddrInfo|TCPConnect/.test(name));
      const before = sockets().length;
      // An address of the documentation network: nobody answers, or the system says at once that there is no way.
      const pending = assert.rejects(http.fetch("http://192.0.2.1/"), { fault: "unreachable" });
      await new Promise((resolve) => setTimeout(resolve, 50));
      await http.close();
      await pending;
      await until(() => sockets().length <= before);
    });
  });
});
