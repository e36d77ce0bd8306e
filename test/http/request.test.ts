/** `request`: whole answers, with the same guards, limits and errors as `fetch`. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:https";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { ChannelError } from "../../lib/errors";
import { createHttp, type Http, type HttpOptions } from "../../lib/http/client";
import { bodyOf, serve, serveTcp, start, stopServers } from "./servers";

describe("http request", () => {
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

  async function faultOf(call: Promise<unknown>): Promise<ChannelError> {
    const error = await call.then(
      () => assert.fail("it did not fail"),
      (thrown) => thrown,
    );
    assert.ok(error instanceof ChannelError, String(error?.stack));
    assert.match(error.message, /^\S.*\.$/s);
    assert.doesNotMatch(error.message, /SECRET/);
    return error;
  }

  it("sends method, headers and body, and brings status, headers and the whole answer", async () => {
    const server = await serve(async (request, response) => {
      const body = String(await bodyOf(request));
      response.writeHead(201, { "X-Two": ["a", "b"], "content-type": "application/json" });
      response.end(
        JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }),
      );
    });
    const answer = await http.request({
      url: `${server.url}/a?b=c#d`,
      headers: { "content-type": "application/json" },
      body: '{"text":"schön"}',
    });
    assert.deepEqual([answer.status, answer.header("content-type")], [201, "application/json"]);
    assert.deepEqual([answer.header("x-two"), answer.header("nothing")], ["a", undefined]);
    const seen = answer.json() as Record<string, Record<string, string>>;
    assert.deepEqual([seen["method"], seen["url"], seen["body"]], ["POST", "/a?b=c", '{"text":"schön"}']);
    assert.equal(seen["headers"]?.["user-agent"], "Redclaw");
    assert.equal(seen["headers"]?.["content-length"], "17");
    const got = (await http.request({ url: new URL(server.url) })).json() as Record<string, unknown>;
    assert.equal(got["method"], "GET");
  });

  it("brings a name and password of an address as a header, never in an error", async () => {
    const server = await serve((request, response) => response.end(request.headers.authorization));
    const url = `http://ada:SECRET@127.0.0.1:${server.port}/`;
    assert.equal(
      (await http.request({ url })).text(),
      `Basic ${Buffer.from("ada:SECRET").toString("base64")}`,
    );
    await stopServers();
    assert.equal((await faultOf(http.request({ url }))).code, "connection-refused");
  });

  it("undoes what the server packed, and no more of it than is allowed", async () => {
    const packers = { gzip: gzipSync, deflate: deflateSync, raw: deflateRawSync, br: brotliCompressSync };
    const text = "lobster ".repeat(10_000);
    const server = await serve((request, response) => {
      const name = (request.url ?? "").slice(1) as keyof typeof packers;
      response.writeHead(200, { "content-encoding": name === "raw" ? "deflate" : name });
      response.end(packers[name](text));
    });
    for (const name of Object.keys(packers)) {
      assert.equal((await http.request({ url: `${server.url}/${name}` })).text(), text, name);
      const error = await faultOf(http.request({ url: `${server.url}/${name}`, maxBytes: 9999 }));
      assert.equal(error.code, "too-large", name);
    }
    const damaged = await serve((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end("this is not gzip");
    });
    assert.equal((await faultOf(http.request({ url: damaged.url }))).code, "damaged");
  });

  it("reads no more than it may, announced or not", async () => {
    const server = await serve((request, response) => {
      if (request.url === "/announced") response.end("x".repeat(1001));
      else {
        const more = setInterval(() => response.write("x".repeat(100)), 1);
        response.once("close", () => clearInterval(more));
      }
    });
    for (const path of ["/announced", "/drip"]) {
      const error = await faultOf(http.request({ url: server.url + path, maxBytes: 1000 }));
      assert.deepEqual([error.fault, error.code], ["refused", "too-large"]);
    }
    assert.equal((await http.request({ url: `${server.url}/announced`, maxBytes: 1001 })).bytes.length, 1001);
  });

  it("answers without a body are answers", async () => {
    const server = await serve((request, response) => {
      response.writeHead(request.method === "HEAD" ? 200 : 204, { "x-a": "1" }).end();
    });
    assert.equal((await http.request({ url: server.url })).text(), "");
    assert.equal((await http.request({ url: server.url, method: "HEAD" })).header("x-a"), "1");
  });

  it("does not follow a redirect: whoever calls an API decides where its secret goes", async () => {
    const other = await serve();
    const server = await serve((_, response) => response.writeHead(307, { location: other.url }).end());
    const answer = await http.request({ url: server.url, body: "x" });
    assert.deepEqual([answer.status, answer.header("location"), other.requests], [307, other.url, 0]);
  });

  it("an answer that is no JSON has the fault of its status", async () => {
    const server = await serve((request, response) => {
      response.writeHead(Number(request.headers["x-status"])).end("<html>SECRET</html>");
    });
    const faults = {
      200: "interrupted",
      401: "auth",
      404: "refused",
      502: "unavailable",
      504: "interrupted",
    };
    for (const [status, fault] of Object.entries(faults)) {
      const answer = await http.request({ url: server.url, headers: { "x-status": status } });
      const error = await faultOf(Promise.resolve().then(() => answer.json()));
      assert.deepEqual([error.code, error.fault], ["not-json", fault]);
    }
  });

  it("the guard against private addresses stands before it, too", async () => {
    await http.close();
    const server = await serve();
    client({ allowPrivate: (host) => host === "allowed.example" });
    assert.equal((await faultOf(http.request({ url: server.url }))).code, "private-address");
    assert.equal(server.connections, 0);
    assert.equal((await faultOf(http.request({ url: "file:///SECRET" }))).code, "bad-address");
  });

  it("a line break in a header is refused and sent nowhere", async () => {
    const server = await serve();
    const error = await faultOf(http.request({ url: server.url, headers: { authorization: "SECRET\nx" } }));
    assert.deepEqual([error.fault, error.code, server.requests], ["refused", "bad-request", 0]);
  });

  it("a certificate that nobody vouches for: nothing is sent", async () => {
    const pem = (name: string) => readFileSync(join(__dirname, "fixtures", name));
    let requests = 0;
    const tls = createTlsServer({ key: pem("self-signed-key.pem"), cert: pem("self-signed.pem") }, () => {
      requests += 1;
    });
    const { port } = await start(tls, (_, server) => server.on("tlsClientError", () => {}));
    const error = await faultOf(http.request({ url: `https://127.0.0.1:${port}/SECRET`, body: "x" }));
    assert.deepEqual([error.fault, error.code, requests], ["unreachable", "tls", 0]);
  });

  it("a name that does not exist, and a server that is not there: nothing is sent", async () => {
    const gone = await serve();
    await stopServers();
    const refused = await faultOf(http.request({ url: gone.url, body: "x" }));
    assert.deepEqual([refused.fault, refused.code], ["unreachable", "connection-refused"]);
    await http.close();
    http = createHttp({ allowPrivate: true }, (name, _, callback) =>
      callback(Object.assign(new Error(name), { code: "ENOTFOUND" }), "", 0),
    );
    const unknown = await faultOf(http.request({ url: "http://bot.example", body: "x" }));
    assert.deepEqual([unknown.fault, unknown.code], ["unreachable", "dns"]);
  });

  it("out of time: never left, no answer, or half of one", async () => {
    const silent = await serveTcp(() => {});
    const late = await faultOf(http.request({ url: silent.url, timeoutMs: 60 }));
    assert.deepEqual([late.fault, late.code], ["interrupted", "timeout"]);
    const half = await serve((_, response) => response.write("half"));
    assert.equal((await faultOf(http.request({ url: half.url, timeoutMs: 60 }))).fault, "interrupted");
    await http.close();
    http = createHttp({ allowPrivate: true, headersTimeoutMs: 100 }, () => {});
    const never = await faultOf(http.request({ url: "http://slow.example", timeoutMs: 60 }));
    assert.deepEqual([never.fault, never.code], ["unreachable", "timeout"]);
  });

  it("between two pieces of an answer no more time may pass than the client allows", async () => {
    client({ headersTimeoutMs: 100 });
    const half = await serve((_, response) => response.write("half"));
    const error = await faultOf(http.request({ url: half.url, timeoutMs: 20_000 }));
    assert.deepEqual([error.fault, error.code], ["interrupted", "timeout"]);
  });

  it("given up: the error says whether anything had left, and no listener stays", async () => {
    const server = await serveTcp(() => {});
    const early = await faultOf(http.request({ url: server.url, signal: AbortSignal.abort() }));
    assert.deepEqual([early.fault, early.code, server.connections], ["unreachable", "aborted", 0]);
    const giveUp = new AbortController();
    const call = http.request({ url: server.url, body: "x", signal: giveUp.signal });
    while (server.connections === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    giveUp.abort();
    assert.deepEqual((await faultOf(call)).fault, "interrupted");
    const quick = await serve();
    const { signal } = new AbortController();
    for (let index = 0; index < 15; index += 1) await http.request({ url: quick.url, signal });
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("one signal ends many at once, and none that is not its own", async () => {
    const server = await serveTcp(() => {});
    const [mine, other] = [new AbortController(), new AbortController()];
    const ask = ({ signal }: AbortController) =>
      faultOf(http.request({ url: server.url, body: "x", signal }));
    let ended = 0;
    const mines = Array.from({ length: 20 }, () => ask(mine).finally(() => (ended += 1)));
    const others = Array.from({ length: 5 }, () => ask(other).finally(() => (ended += 1)));
    assert.equal(getEventListeners(mine.signal, "abort").length, 1);
    while (server.connections < 25) await new Promise((resolve) => setTimeout(resolve, 2));
    mine.abort();
    for (const error of await Promise.all(mines)) assert.equal(error.code, "aborted");
    assert.equal(ended, 20);
    other.abort();
    await Promise.all(others);
  });

  it("closing ends what is under way, each with its fault, and refuses what comes after", async () => {
    const server = await serveTcp(() => {});
    const calls = Array.from({ length: 20 }, () => faultOf(http.request({ url: server.url, body: "x" })));
    while (server.connections < 20) await new Promise((resolve) => setTimeout(resolve, 2));
    await http.close();
    for (const error of await Promise.all(calls)) assert.equal(error.code, "http-closed");
    const after = await faultOf(http.request({ url: server.url }));
    assert.deepEqual([after.fault, after.code], ["unreachable", "http-closed"]);
  });

  it("many at once come back to whom they belong, over connections that are used again", async () => {
    const server = await serve(async (request, response) => response.end(await bodyOf(request)));
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(
        Array.from({ length: 40 }, async (_, index) => {
          const body = `${round}:${index}:${"x".repeat(index * 700)}`;
          assert.equal((await http.request({ url: server.url, body })).text(), body);
        }),
      );
    }
    // One that has just answered rests for a turn of the loop, in case its server closes it.
    assert.ok(server.connections <= 80, `${server.connections} connections for 200 requests`);
  });

  describe("an idle connection", () => {
    it("that the server closed is not written to", async () => {
      const server = await serve();
      for (let index = 0; index < 20; index += 1) {
        await http.request({ url: server.url, body: "x" });
        for (const socket of server.sockets) socket.end();
        while (server.sockets.size > 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(server.requests, 20);
    });

    it("that the server closed while this thread was busy is not written to", async () => {
      const worker = new Worker(
        `const { parentPort } = require("node:worker_threads");
         const server = require("node:http").createServer((request, response) => {
           request.resume().once("end", () => { response.end("ok"); setTimeout(() => request.socket.destroy(), 30); });
         });
         server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`,
        { eval: true },
      );
      try {
        const port = await new Promise((resolve) => worker.once("message", resolve));
        for (let index = 0; index < 5; index += 1) {
          await http.request({ url: `http://127.0.0.1:${port}`, body: "x" });
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
        }
      } finally {
        await worker.terminate();
      }
    });

    it("is given up before the time that the server names", async () => {
      const server = await serve((_, response) => {
        response.writeHead(200, { connection: "keep-alive", "keep-alive": "timeout=3" }).end("ok");
      });
      // Node's own server would close it after five seconds.
      await http.request({ url: server.url });
      const idle = performance.now();
      while (server.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.ok(performance.now() - idle < 3000, `${performance.now() - idle} ms`);
      const short = await serve((_, response) => {
        response.writeHead(200, { connection: "keep-alive", "keep-alive": "timeout=1" }).end("ok");
      });
      for (let index = 0; index < 3; index += 1) await http.request({ url: short.url });
      assert.equal(short.connections, 3);
    });
  });
});
