/** Every way a connection can fail, made to fail for real: was the request sent, and what does a person read? */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:https";
import type { LookupFunction, Socket } from "node:net";
import { join } from "node:path";
import { ChannelError } from "../../lib/errors";
import { createHttp, type Http, type HttpOptions } from "../../lib/http/client";
import { toFault } from "../../lib/http/faults";
import { serve, serveTcp, start, stopServers } from "./servers";

const SECRET_PATH = "/bot123456:SECRETSECRET/sendMessage?key=SECRETSECRET";

describe("http faults", () => {
  let http: Http;
  const client = (options: HttpOptions = {}, lookup?: LookupFunction): Http => {
    http = createHttp({ allowPrivate: true, ...options }, lookup);
    return http;
  };
  beforeEach(() => {
    client();
  });
  afterEach(async () => {
    await http.close();
    await stopServers();
  });

  /** The error of a call, checked for what every error must keep: a class, a sentence, no secret. */
  async function faultOf(call: Promise<unknown>): Promise<ChannelError> {
    const error = await call.then(
      () => assert.fail("it did not fail"),
      (thrown) => thrown,
    );
    assert.ok(error instanceof ChannelError, String(error?.stack));
    assert.match(error.message, /^\S.*\.$/s);
    assert.doesNotMatch(`${error.message}`, /SECRET/);
    return error;
  }
  const post = (url: string): Promise<Response> =>
    http.fetch(url + SECRET_PATH, { method: "POST", body: "hello" });
  const failing =
    (code: string): LookupFunction =>
    (hostname, _, callback) =>
      callback(Object.assign(new Error(`getaddrinfo ${code} ${hostname}`), { code }), "", 0);

  it("a name that does not exist: never left", async () => {
    client({}, failing("ENOTFOUND"));
    const error = await faultOf(post("http://bot.example.org"));
    assert.deepEqual([error.fault, error.code, error.retryable], ["unreachable", "dns", true]);
    assert.match(error.message, /no server named bot\.example\.org/);
    await http.close();
    client({}, failing("EAI_AGAIN"));
    assert.match((await faultOf(post("http://bot.example.org"))).message, /could not be looked up/);
  });

  it("a refused connection: never left, also when a name has several addresses", async () => {
    const gone = await serve();
    await stopServers();
    const error = await faultOf(post(gone.url));
    assert.deepEqual([error.fault, error.code], ["unreachable", "connection-refused"]);
    await http.close();
    client({}, (_, options, callback) => {
      const found = [
        { address: "127.0.0.1", family: 4 },
        { address: "127.0.0.2", family: 4 },
      ];
      if (options.all) callback(null, found);
      else callback(null, "127.0.0.1", 4);
    });
    assert.equal((await faultOf(post(`http://two.example:${gone.port}`))).code, "connection-refused");
  });

  it("a reset before the answer: may have arrived", async () => {
    const server = await serveTcp((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const error = await faultOf(post(server.url));
    assert.deepEqual([error.fault, error.code, error.retryable], ["interrupted", "interrupted", false]);
    assert.match(error.message, /may have received the request/);
  });

  it("a server that hangs up without a word, or talks nonsense: may have arrived", async () => {
    for (const answer of ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le"]) {
      const server = await serveTcp((socket) => socket.once("data", () => socket.end(answer)));
      assert.equal((await faultOf(post(server.url))).fault, "interrupted");
    }
  });

  it("a cut in the middle of the answer: may have arrived, told when the body is read", async () => {
    const heads = [
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ];
    for (const head of heads) {
      for (const cut of [(socket: Socket) => socket.end(), (socket: Socket) => socket.resetAndDestroy()]) {
        const server = await serveTcp((socket) =>
          socket.once("data", () => {
            socket.write(head);
            setTimeout(() => cut(socket), 20);
          }),
        );
        const response = await post(server.url);
        assert.equal(response.status, 200);
        assert.equal((await faultOf(response.text())).fault, "interrupted");
      }
    }
  });

  it("a server that takes a connection and never answers: may have arrived, after the time for the head", async () => {
    const server = await serveTcp(() => {});
    client({ headersTimeoutMs: 100 });
    const error = await faultOf(post(server.url));
    assert.deepEqual([error.fault, error.code], ["interrupted", "timeout"]);
    assert.match(error.message, /did not finish its answer in time/);
  });

  it("an answer that stalls: ends after the time between two pieces", async () => {
    const server = await serve((_, response) => response.write("half"));
    client({ headersTimeoutMs: 100 });
    const response = await post(server.url);
    assert.equal((await faultOf(response.text())).code, "timeout");
  });

  it("an answer that drips for ever: ends after the total time", async () => {
    const server = await serve((_, response) => {
      const drops = setInterval(() => response.write("."), 10);
      response.once("close", () => clearInterval(drops));
    });
    client({ timeoutMs: 200 });
    const response = await post(server.url);
    const start = performance.now();
    const error = await faultOf(response.text());
    assert.deepEqual([error.fault, error.code], ["interrupted", "timeout"]);
    assert.ok(performance.now() - start < 1000);
  });

  it("a connection that cannot be made in time: never left", async () => {
    client({ timeoutMs: 100 }, () => {});
    const error = await faultOf(post("http://slow.example"));
    assert.deepEqual([error.fault, error.code], ["unreachable", "timeout"]);
  });

  it("a token with a line break: refused in words", async () => {
    const server = await serve();
    const error = await faultOf(http.fetch(server.url, { headers: { authorization: "SECRET\nx" } }));
    assert.deepEqual([error.fault, error.code, server.requests], ["refused", "bad-request", 0]);
    assert.match(error.message, /line break/);
  });

  it("something that is no web address: refused without repeating it", async () => {
    for (const address of [
      "",
      "SECRET",
      "/SECRET",
      "file:///SECRET",
      "http://",
      "http://[SECRET",
      "data:,SECRET",
    ]) {
      assert.equal((await faultOf(http.fetch(address))).code, "bad-address");
    }
  });

  it("an answer that is no JSON: the fault fits the status, and nothing of the answer is repeated", async () => {
    const faults = {
      200: "interrupted",
      401: "auth",
      404: "refused",
      429: "rate",
      500: "interrupted",
      502: "unavailable",
      503: "unavailable",
      504: "interrupted",
    };
    const server = await serve((request, response) => {
      response.writeHead(Number(request.headers["x-status"])).end("<html>SECRET</html>");
    });
    for (const [status, fault] of Object.entries(faults)) {
      const response = await http.fetch(server.url, { headers: { "x-status": status } });
      const error = await faultOf(response.json());
      assert.deepEqual([error.code, error.fault], ["not-json", fault]);
    }
  });

  it("a body that fails while it is sent: says so", async () => {
    const server = await serve();
    async function* broken() {
      yield "half";
      throw new Error("SECRET disk");
    }
    const error = await faultOf(
      http.fetch(server.url, { method: "POST", body: broken() as unknown as BodyInit }),
    );
    assert.deepEqual([error.fault, error.code], ["interrupted", "body-failed"]);
  });

  describe("TLS", () => {
    const pem = (name: string) => readFileSync(join(__dirname, "fixtures", name));
    let requests = 0;
    const serveTls = async () => {
      requests = 0;
      const options = { key: pem("self-signed-key.pem"), cert: pem("self-signed.pem") };
      return start(createTlsServer(options), (_, server) => {
        server.on("request", (_request, response) => {
          requests++;
          response.end("secure");
        });
        server.on("tlsClientError", () => {});
      });
    };

    it("a certificate of its own making is refused by name, and no request is sent", async () => {
      const { port } = await serveTls();
      const error = await faultOf(post(`https://127.0.0.1:${port}`));
      assert.deepEqual([error.fault, error.code, requests], ["unreachable", "tls", 0]);
      assert.match(error.message, /made its certificate itself.*NODE_EXTRA_CA_CERTS/);
    });

    it("a server without TLS behind https is explained", async () => {
      const { port } = await serve();
      const error = await faultOf(post(`https://127.0.0.1:${port}`));
      assert.deepEqual([error.fault, error.code], ["unreachable", "tls"]);
      assert.match(error.message, /http:\/\/ or https:\/\//);
    });

    it("a known authority is accepted, a certificate for another name is not; https does not lead to http", async () => {
      const { port } = await serveTls();
      const plain = await serve((_, response) => response.end("plain"));
      const away = await start(
        createTlsServer({ key: pem("self-signed-key.pem"), cert: pem("self-signed.pem") }, (_, response) => {
          response.writeHead(302, { location: plain.url }).end();
        }),
        () => {},
      );
      const script = `
        const { createHttp } = require("./lib/http/client.ts");
        const lookup = (_, options, done) => options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
        const http = createHttp({ allowPrivate: true }, lookup);
        const tell = (address) => http.fetch(address).then((r) => r.text(), (e) => e.code + ": " + e.message).then(console.log);
        (async () => {
          await tell("https://localhost:${port}");
          await tell("https://other.example:${port}");
          await tell("https://localhost:${away.port}");
          await http.close();
        })();`;
      const lines = await runChild(script, {
        NODE_EXTRA_CA_CERTS: join(__dirname, "fixtures", "self-signed.pem"),
      });
      assert.equal(lines[0], "secure");
      assert.match(
        lines[1] ?? "",
        /^tls: other\.example:\d+ was not contacted: its certificate is for another name/,
      );
      assert.match(lines[2] ?? "", /^redirect-downgrade: /);
      assert.deepEqual([requests, plain.requests], [1, 0]);
    });

    it("an expired certificate is named in plain words", () => {
      const error = toFault(Object.assign(new Error("x"), { code: "CERT_HAS_EXPIRED" }), {
        origin: "https://a.example",
        left: false,
      });
      assert.match(error.message, /^a\.example was not contacted: its certificate has expired\./);
    });
  });

  it("proxy settings of the environment are not followed", async () => {
    const proxy = await serve((_, response) => response.end("proxied"));
    const server = await serve((_, response) => response.end("direct"));
    const script = `
      const http = require("./lib/http/client.ts").createHttp({ allowPrivate: true });
      http.fetch(${JSON.stringify(server.url)}).then((r) => r.text()).then(console.log).then(() => http.close());`;
    const env = { HTTP_PROXY: proxy.url, http_proxy: proxy.url, ALL_PROXY: proxy.url };
    assert.deepEqual(await runChild(script, env), ["direct"]);
  });

  it("loads nothing of undici before the first call", () => {
    const script = `
      const { createHttp } = require("./lib/http/client.ts");
      const http = createHttp();
      console.log(Object.keys(require.cache).filter((file) => /node_modules.undici/.test(file)).length);`;
    const output = execFileSync(process.execPath, ["--require", "tsx/cjs", "-e", script], {
      encoding: "utf8",
    });
    assert.equal(output.trim(), "0");
  });
});

async function runChild(script: string, env: Record<string, string>): Promise<string[]> {
  const { promisify } = await import("node:util");
  const { execFile } = await import("node:child_process");
  const args = ["--require", "tsx/cjs", "-e", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } });
  return stdout.trim().split("\n");
}
