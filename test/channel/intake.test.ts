/** What comes in by webhook from somebody who hangs up, is slow, knocks often, or writes an odd address. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, createServer as createNetServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChannelDefinition } from "../../lib/channel/define";
import { installIntake } from "../../lib/channel/intake";
import { Failures } from "../../lib/channel/intake/failures";
import { OwnPort } from "../../lib/channel/intake/own-port";
import { probe } from "../../lib/channel/intake/probe";
import { readProxies, sourceOf } from "../../lib/channel/intake/source";
import { RedclawError } from "../../lib/errors";
import { messageEvent, Scripted, until } from "../delivery/scripted";

type Handler = (request: object, response: object, next: () => void) => void;

interface Knock {
  path?: string;
  method?: string;
  body?: string | Buffer;
  headers?: Record<string, string | string[]>;
  port?: number;
}

const PATH = "/redclaw/scripted/acc";
const SIGNED = { "x-scripted-signature": "right" };
const ACK_WITHIN = 1000;

/** Tests change what the definition says. */
function webhookOf({ definition }: Scripted): unknown {
  return (definition as ChannelDefinition).webhook;
}

describe("webhook intake", () => {
  let channel: Scripted;
  let server: Server;
  let port: number;
  let bodies: Buffer[];

  beforeEach(async () => {
    channel = new Scripted();
    bodies = [];
    Object.assign(channel.definition, {
      webhook: {
        active: () => true,
        ackWithin: ACK_WITHIN,
        verify: ({ headers, body }: { headers: IncomingHttpHeaders; body: Buffer }) => {
          if (body.length > 0) bodies.push(body);
          return headers["x-scripted-signature"] === "right";
        },
      },
    });
    await install({ publicUrl: "https://gateway.invalid" });
    await channel.open().ready(Date.now() + 1000);
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await channel.close();
  });

  async function install(config: object): Promise<void> {
    const stack: { handle: Handler }[] = [{ handle: (_request, _response, next) => next() }];
    const root = { use: (handle: Handler) => void stack.push({ handle }), router: { stack } };
    server = createServer((request, response) =>
      stack[0]?.handle(request, response, () => {
        response.statusCode = 404;
        response.end();
      }),
    );
    const note = (text: string) => void channel.logged.push(text);
    installIntake(channel.gateway, {
      httpNode: { use: () => undefined, parent: root },
      server,
      nodeRoot: "",
      log: { debug: () => undefined, info: note, warn: note, error: note },
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
    channel.gateway.configure("gw", { store: "memory", maxReplyAge: 60_000, ...config });
  }

  const knock = (what: Knock = {}) =>
    new Promise<{ status: number; headers: IncomingHttpHeaders; text: string }>((resolve, reject) => {
      const { path = PATH, method = "POST", body = JSON.stringify(messageEvent()), headers = SIGNED } = what;
      const options = { port: what.port ?? port, host: "127.0.0.1", path, method, headers, agent: false };
      const request = httpRequest(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      });
      request.on("error", reject).end(body);
    });
  const statusOf = async (what?: Knock) => (await knock(what)).status;

  /** Writes raw bytes and answers all that came back until the connection ended. */
  async function raw(write: (socket: ReturnType<typeof connect>) => void | Promise<void>): Promise<string> {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    const over = new Promise<void>((resolve) =>
      socket.on("close", () => resolve()).on("error", () => resolve()),
    );
    await write(socket);
    await over;
    return text;
  }

  it("takes a message with the right signature, on the bytes as they came", async () => {
    const body = `{"n":1.0,  "u":"\\u00e9", "e":"é"}`;
    assert.equal(await statusOf({ body }), 200);
    assert.equal(bodies[0]?.toString(), body);
    assert.equal(await statusOf({ path: `${PATH}/` }), 200);
    assert.equal(await statusOf({ path: `${PATH}?a=1` }), 200);
    assert.equal(await statusOf({ path: `${PATH}/?a=/b` }), 200);
  });

  it("answers odd methods, addresses and bodies without taking anything in", async () => {
    for (const [path, method, status] of [
      [PATH, "GET", 405],
      [PATH, "HEAD", 405],
      [PATH, "PUT", 405],
      [PATH, "OPTIONS", 405],
      [`${PATH}/../../x`, "POST", 404],
      [`${PATH}//[`, "POST", 404],
      [`${PATH}/deeper`, "POST", 404],
      [`${PATH}//`, "POST", 404],
      ["/redclaw/scripted/ACC", "POST", 404],
      ["/redclaw/scripted/%61cc", "POST", 404],
      ["/redclaw//scripted/acc", "POST", 404],
      ["/REDCLAW/scripted/acc", "POST", 404],
      ["/x/redclaw/scripted/acc", "POST", 404],
      ["/redclaw/other/acc", "POST", 404],
      ["/redclaw/scripted/__proto__", "POST", 404],
    ] as const) {
      const body = method === "POST" ? "{}" : "";
      assert.equal(await statusOf({ path, method, body }), status, `${method} ${path}`);
    }
    assert.equal(bodies.length, 0);
    assert.equal((await knock({ method: "GET", body: "" })).headers.allow, "POST");
    assert.equal(await statusOf({ body: "null" }), 200);
    await until(() => channel.logged.some((line) => line.includes("left out")));
  });

  it("says the same 401 to every wrong signature, and nothing about why", async () => {
    const answers = [
      await knock({ headers: {} }),
      await knock({ headers: { "x-scripted-signature": "wrong" } }),
      await knock({ headers: { "x-scripted-signature": "" }, body: "{not json" }),
      await knock({ headers: { "x-scripted-signature": ["right", "right"] } }),
      await knock({ headers: { ...SIGNED, authorization: ["a", "b"] as unknown as string } }),
    ];
    for (const { status, text } of answers) {
      assert.equal(status, 401);
      assert.equal(text, "Unauthorized.");
    }
  });

  it("does not take a compressed body", async () => {
    for (const encoding of ["gzip", "br", "deflate", "gzip, identity"])
      assert.equal(await statusOf({ headers: { ...SIGNED, "content-encoding": encoding } }), 415, encoding);
    assert.equal(await statusOf({ headers: { ...SIGNED, "content-encoding": "identity" } }), 200);
    assert.equal(bodies.length, 1);
  });

  it("reads JSON only after the signature, and none that is nested by the thousand", async () => {
    assert.equal(await statusOf({ body: "{not json", headers: {} }), 401);
    assert.equal(await statusOf({ body: "{not json" }), 400);
    assert.equal(await statusOf({ body: "" }), 400);
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
    ] as const) {
      const nested = (depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`;
      assert.equal(await statusOf({ body: nested(100) }), 200);
      assert.equal(await statusOf({ body: nested(101) }), 400);
      assert.equal(await statusOf({ body: nested(170_000) }), 400);
    }
    const brackets = JSON.stringify(messageEvent({ text: `${"[".repeat(5000)}\\"${"{".repeat(5000)}` }));
    assert.equal(await statusOf({ body: brackets }), 200);
  });

  it("a request that is hung up is not taken for a whole one", async () => {
    for (let count = 0; count < 25; count += 1) {
      const socket = connect(port, "127.0.0.1");
      socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}`);
      await sleep(5);
      socket.destroy();
    }
    await sleep(50);
    assert.equal(bodies.length, 0);
    assert.deepEqual(channel.logged, []);
    assert.equal(await statusOf(), 200);
  });

  it("cuts off a body that comes in drops, and one that never comes", async () => {
    const dropping = raw(async (socket) => {
      socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`);
      const drops = setInterval(() => socket.writable && socket.write("x"), 100);
      socket.on("close", () => clearInterval(drops));
    });
    const silent = raw((socket) => {
      socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab`);
    });
    for (const said of [await dropping, await silent]) {
      assert.match(said, /^HTTP\/1.1 408 /);
      assert.match(said, /connection: close/i);
    }
    assert.equal(bodies.length, 0);
  });

  it("refuses what is too large, announced or not, and closes", async () => {
    const large = Buffer.alloc(1024 * 1024 + 1, 0x20);
    const fits = Buffer.concat([Buffer.from(JSON.stringify(messageEvent())), large]).subarray(0, 1024 * 1024);
    assert.equal(await statusOf({ body: fits }), 200);
    assert.equal(await statusOf({ body: fits, headers: { ...SIGNED, "transfer-encoding": "chunked" } }), 200);
    const announced = await knock({ body: large });
    const chunked = await knock({ body: large, headers: { ...SIGNED, "transfer-encoding": "chunked" } });
    for (const { status, headers } of [announced, chunked]) {
      assert.equal(status, 413);
      assert.equal(headers.connection, "close");
    }
  });

  it("strangers who fill the room for bodies do not keep an ordinary message out", async () => {
    const part = Buffer.alloc(1024 * 1024 - 1, 0x20);
    const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${part.length + 1}\r\n\r\n`;
    const fillers = Array.from({ length: 80 }, () => connect(port, "127.0.0.1"));
    const answers: string[] = [];
    for (const socket of fillers) {
      socket.on("data", (chunk) => answers.push(String(chunk))).on("error", () => undefined);
      socket.write(head);
      socket.write(part);
    }
    await until(() => answers.length > 0);
    assert.match(answers[0] ?? "", /^HTTP\/1.1 503 /);
    assert.equal(await statusOf(), 200);
    assert.equal(await statusOf({ body: part }), 503);
    for (const socket of fillers) socket.destroy();
    await sleep(100);
    assert.equal(await statusOf({ body: `"${"x".repeat(1_000_000)}"` }), 200);
  });

  it("answers 503 when the ledger takes longer than the platform waits; what was stored late is stored", async () => {
    const account = channel.gateway.accounts.get("acc");
    assert.ok(account);
    let stored = 0;
    account.accept = async () => {
      await sleep(1500);
      stored += 1;
    };
    const began = Date.now();
    const { status, headers } = await knock();
    assert.equal(status, 503);
    assert.ok(headers["retry-after"]);
    assert.ok(Date.now() - began < 1400, "after the platform's deadline");
    await until(() => stored === 1);
  });

  it("answers 503 when nothing was stored, and says so once", async () => {
    const account = channel.gateway.accounts.get("acc");
    assert.ok(account);
    account.accept = () => Promise.reject(new RedclawError("store-full", "The disk is full."));
    for (let count = 0; count < 5; count += 1) {
      const { status, headers } = await knock();
      assert.equal(status, 503);
      assert.ok(headers["retry-after"]);
    }
    assert.equal(channel.logged.filter((line) => line.includes("The disk is full.")).length, 1);
  });

  it("a check that cannot be made now gives 503, one that breaks gives 401, one that hangs ends in time", async () => {
    const webhook = webhookOf(channel) as { verify: unknown };
    const verify = async (check: () => unknown, status: number) => {
      webhook.verify = ({ body }: { body: Buffer }) => body.length > 0 && check();
      assert.equal(await statusOf(), status);
    };
    await verify(() => Promise.reject(new RedclawError("no-keys", "The keys could not be fetched.")), 503);
    await verify(() => Buffer.from(undefined as unknown as string), 401);
    await verify(() => new Promise(() => undefined), 503);
    await verify(() => "yes" as unknown as boolean, 401);
    await verify(() => Promise.resolve(true), 200);
  });

  it("answers 503 while the account connects and when it is closed, and takes nothing", async () => {
    let goOn = () => {};
    channel.onConnect = () => new Promise<void>((resolve) => (goOn = resolve));
    const second = channel.open({ id: "second" });
    await until(() => channel.connects === 2);
    const early = await knock({ path: "/redclaw/scripted/second" });
    assert.equal(early.status, 503);
    assert.ok(early.headers["retry-after"]);
    goOn();
    await second.ready(Date.now() + 1000);
    assert.equal(await statusOf({ path: "/redclaw/scripted/second" }), 200);
    await channel.gateway.closeAccount(second);
    assert.equal(await statusOf({ path: "/redclaw/scripted/second" }), 503);
    await channel.gateway.closeAccount(second, true);
    assert.equal(await statusOf({ path: "/redclaw/scripted/second" }), 404);
    assert.equal(bodies.length, 1);
  });

  it("takes nothing for an account whose check lets anybody in, and says so", async () => {
    (webhookOf(channel) as { verify: unknown }).verify = () => true;
    const open = channel.open({ id: "open" });
    await open.ready(Date.now() + 1000);
    assert.equal(await statusOf({ path: "/redclaw/scripted/open" }), 401);
    await until(() => channel.logged.some((line) => line.startsWith("No secret:")));
    assert.equal(open.status.state, "misconfigured");
  });

  it("tells a stranger who guesses to wait, and never the platform behind the same proxy", async () => {
    const guess = () => knock({ headers: { "x-scripted-signature": "guess" } });
    for (let count = 0; count < 20; count += 1) assert.equal((await guess()).status, 401);
    const { status, headers } = await guess();
    assert.equal(status, 429);
    assert.ok(Number(headers["retry-after"]) > 50);
    assert.equal(await statusOf(), 200);
    assert.equal((await guess()).status, 429);
  });

  it("counts behind a proxy by the caller, only where the owner trusts that proxy", async () => {
    const from = (address: string) => ({ "x-scripted-signature": "guess", "x-forwarded-for": address });
    for (let count = 0; count < 21; count += 1) await knock({ headers: from(`203.0.113.${count}`) });
    assert.equal(await statusOf({ headers: from("203.0.113.99") }), 429, "anybody can write this header");
    channel.gateway.configure("gw", { store: "memory", maxReplyAge: 60_000, trustedProxies: ["127.0.0.1"] });
    await sleep(20);
    for (let count = 0; count < 21; count += 1) await knock({ headers: from("203.0.113.7") });
    assert.equal(await statusOf({ headers: from("203.0.113.7") }), 429);
    assert.equal(await statusOf({ headers: from("203.0.113.8") }), 401);
    assert.equal(await statusOf({ headers: from("203.0.113.9, 203.0.113.7") }), 429, "the first is invented");
  });

  it("closing a gateway in the middle of a message is no fault", async () => {
    const account = channel.gateway.accounts.get("acc");
    assert.ok(account);
    account.accept = () => new Promise((_, reject) => setTimeout(reject, 100, new Error("closing")));
    const answered = statusOf();
    await sleep(30);
    await channel.gateway.closeAccount(account);
    assert.equal(await answered, 503);
  });

  it("answers its own test call, and nobody else's", async () => {
    assert.deepEqual(await probe(`http://127.0.0.1:${port}${PATH}`), { kind: "fine" });
    assert.equal(await statusOf({ headers: { "x-redclaw-probe": "guess" } }), 401);
    assert.equal(bodies.length, 1);
  });
});

describe("the self-test", () => {
  const CASES: [string, number, Record<string, string>, string, RegExp | "unreachable"][] = [
    [
      "a login",
      401,
      { "www-authenticate": 'Basic realm="door"' },
      "",
      /asks for a login.*Let \/api\/redclaw\/ pass/,
    ],
    [
      "httpNodeAuth",
      401,
      { "www-authenticate": 'Basic realm="Authorization Required"' },
      "",
      /asks for a login.*httpNodeAuth/,
    ],
    ["a firewall", 403, {}, "", /asks for a login.*403/],
    ["a wrong prefix", 404, { "content-type": "text/html" }, "<html>", /does not lead.*prefix/],
    ["another site", 200, { "content-type": "text/html" }, "<html>", /another site/],
    ["an empty answer", 204, {}, "", /another site/],
    [
      "a redirect to https",
      308,
      { location: "https://127.0.0.1/x?token=1" },
      "",
      /Begin the public address with https/,
    ],
    ["a redirect", 302, { location: "http://elsewhere.invalid/" }, "", /elsewhere\.invalid.*final address/],
    ["a proxy without Node-RED", 502, {}, "", /does not reach Node-RED/],
    ["a limit", 429, {}, "", /refuses.*429/],
  ];
  for (const [name, status, headers, body, sentence] of CASES) {
    it(`says what stands in the way: ${name}`, async () => {
      const server = createServer((_request, response) => response.writeHead(status, headers).end(body));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const finding = await probe(`http://127.0.0.1:${port}/api/redclaw/telegram/acc`);
      server.close();
      assert.equal(finding.kind, "obstacle");
      assert.match("sentence" in finding ? finding.sentence : "", sentence as RegExp);
      assert.doesNotMatch("sentence" in finding ? finding.sentence : "", /token=1/);
    });
  }

  it("says what is wrong with a certificate, and with https where there is none", async () => {
    const plain = createServer((_request, response) => response.end());
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const finding = await probe(`https://127.0.0.1:${(plain.address() as AddressInfo).port}/redclaw/a/b`);
    plain.close();
    assert.equal(finding.kind, "obstacle");
    const file = (name: string) => readFileSync(join(__dirname, "../http/fixtures", name));
    const tls = { cert: file("self-signed.pem"), key: file("self-signed-key.pem") };
    const secure = createTlsServer(tls, (_request, response) => response.end());
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    const { port } = secure.address() as AddressInfo;
    const made = await probe(`https://127.0.0.1:${port}/redclaw/a/b`);
    const ours = await probe(`https://127.0.0.1:${port}/redclaw/a/b`, true);
    secure.close();
    assert.match("sentence" in made ? made.sentence : "", /A platform could not connect.*certificate/);
    assert.match(
      "sentence" in ours ? ours.sentence : "",
      /another site/,
      "our own certificate may be of any name",
    );
  });

  it("takes an address that cannot be reached from inside for no fault", async () => {
    const silent = createNetServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const hanging = await probe(`http://127.0.0.1:${port}/redclaw/a/b`);
    silent.close();
    const refused = await probe(`http://127.0.0.1:${port}/redclaw/a/b`);
    const unknown = await probe("https://gateway.invalid/redclaw/a/b");
    for (const { kind } of [hanging, refused, unknown]) assert.equal(kind, "unreachable");
  });
});

describe("a port of its own", () => {
  it("that is in use gives a sentence, is tried again, and opens when it is free", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const reports: (string | undefined)[] = [];
    const own = new OwnPort(
      (_request, response) => response.end("ours"),
      (sentence) => reports.push(sentence),
      50,
    );
    own.want({ port, host: "127.0.0.1" });
    await until(() => reports.length >= 2);
    assert.match(reports[0] ?? "", new RegExp(`Port ${port} for webhooks is in use`));
    other.close();
    await until(() => reports.at(-1) === undefined);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), "ours");
    own.want({ port, host: "127.0.0.1" });
    own.want(undefined);
    own.want({ port, host: "127.0.0.1" });
    assert.equal(await (await fetch(`http://127.0.0.1:${port}`)).text(), "ours");
    own.close();
    await assert.rejects(fetch(`http://127.0.0.1:${port}`));
  });

  it("on an address that this machine does not have gives a sentence", async () => {
    const reports: (string | undefined)[] = [];
    const own = new OwnPort(
      () => undefined,
      (sentence) => reports.push(sentence),
    );
    own.want({ port: 65_000, host: "203.0.113.1" });
    await until(() => reports.length > 0);
    assert.match(reports[0] ?? "", /no address 203\.0\.113\.1/);
    own.close();
  });
});

describe("the source of a call", () => {
  const { proxies, wrong } = readProxies([
    "127.0.0.1",
    "10.0.0.0/8",
    "fd00::/8",
    "10.0.0.0/33",
    "proxy",
    "::1/",
    "1.2.3.4/8/8",
  ]);
  const source = (remoteAddress: string, forwarded?: string) =>
    sourceOf({ socket: { remoteAddress }, headers: { "x-forwarded-for": forwarded } } as never, proxies);

  it("is what trusted proxies say, up to the first stranger", () => {
    assert.deepEqual(wrong, ["10.0.0.0/33", "proxy", "::1/", "1.2.3.4/8/8"]);
    assert.equal(source("203.0.113.1", "198.51.100.1"), "203.0.113.1");
    assert.equal(source("127.0.0.1"), "127.0.0.1");
    assert.equal(source("::ffff:127.0.0.1", "198.51.100.1"), "198.51.100.1");
    assert.equal(source("127.0.0.1", "1.1.1.1, 198.51.100.1, 10.1.2.3"), "198.51.100.1");
    assert.equal(source("127.0.0.1", "1.1.1.1, nonsense, 10.1.2.3"), "10.1.2.3");
    assert.equal(source("127.0.0.1", "198.51.100.1:4711"), "198.51.100.1");
    assert.equal(source("127.0.0.1", "[2001:db8:1:2:3:4:5:6]:443"), "2001:db8:1:2::/64");
    assert.equal(source("fd00::1", "2001:db8::7"), "2001:db8:0:0::/64");
  });

  it("may err again when a minute is over, and 10,000 others are remembered", () => {
    const failures = new Failures();
    for (let count = 0; count < 20; count += 1) assert.equal(failures.add("a", 0), 0);
    assert.equal(failures.add("a", 10_000), 50);
    assert.equal(failures.add("a", 60_001), 0);
    for (let count = 0; count < 21; count += 1) failures.add("b", 0);
    for (let count = 0; count < 9000; count += 1) failures.add(`other ${count}`, 0);
    assert.ok(failures.add("b", 1) > 0);
  });
});
