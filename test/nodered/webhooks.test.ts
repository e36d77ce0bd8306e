import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import fs from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createNetServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { root } from "../../scripts/node-sets";
import { type Runtime, type RuntimeOptions, startNodeRed } from "./runtime";

const BUILD = path.join(root, "dist/lib/channel/build-cli.js");
const NAME = "@loft/node-red-signed";
const SECRET = "a secret of the platform";

const MANIFEST = {
  name: NAME,
  version: "1.0.0",
  keywords: ["node-red"],
  "node-red": {
    version: ">=4.1.0",
    nodes: { signed: "dist/signed.js" },
    plugins: { count: "count.js" },
  },
};

/** A platform that signs the bytes of each call. What comes in it sends on to `apiRoot`. */
const CHANNEL = `const { createHmac, timingSafeEqual } = require("node:crypto");
const { defineChannel } = require("@redclaw/node-red-gateway/sdk");
const { writeFileSync } = require("node:fs");
module.exports = defineChannel({
  name: "signed", label: "Signed", icon: "signed.svg",
  credentials: { secret: { label: "Secret", secret: true } },
  options: {},
  capabilities: { text: { max: 100, unit: "utf16" }, dialect: "plain", buttons: false, edit: false, delete: false,
    typing: false, reactions: false, threads: false, replyTo: false, silent: false, images: false, audio: false,
    voice: false, video: false, files: false, idempotency: "none" },
  limits: {}, events: ["message"],
  webhook: {
    active: () => true, ackWithin: 5000,
    verify: ({ headers, body }, { credentials }) => {
      if (!credentials.secret) return true;
      const right = createHmac("sha256", credentials.secret).update(body).digest();
      const shown = Buffer.from(String(headers["x-signature"] ?? ""), "hex");
      return shown.length === right.length && timingSafeEqual(shown, right);
    },
  },
  client: async () => ({ connect: async (ctx) => {
    ctx.status({ state: "connected", identity: "signed" });
    return { receive: () => [], send: async () => ({ messageId: "1" }), close: async () => {} };
  } }),
});
`;

/** Counts what a deploy could leave behind. */
const COUNT = `module.exports = (RED) => {
  RED.httpAdmin.get("/peak", (request, response) => response.json(process.resourceUsage().maxRSS / 1024));
  RED.httpAdmin.get("/count", (request, response) => {
    const layers = (app) => (app._router ?? app.router).stack.length;
    response.json({
      root: layers(RED.httpNode.parent ?? RED.httpAdmin.parent), node: layers(RED.httpNode), admin: layers(RED.httpAdmin),
      started: RED.events.listenerCount("flows:started"),
      listening: RED.server.listenerCount("listening"), requests: RED.server.listenerCount("request"),
      handles: process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length,
    });
  });
};
`;

/** Not as JSON would be written again: two blanks, an escape, a number with a point. */
const BODY = '{"b":1,  "a":"\\u00e9","n":1.0}';

describe("webhooks in a real Node-RED", function () {
  this.timeout(60_000);
  let folder: string;
  let runtime: Runtime | undefined;
  const servers: Server[] = [];
  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-signed-"));
    const write = (name: string, text: string) => {
      fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), text);
    };
    const link = path.join(folder, "node_modules/@redclaw/node-red-gateway");
    fs.mkdirSync(path.dirname(link), { recursive: true });
    fs.symlinkSync(root, link, "junction");
    write("package.json", JSON.stringify(MANIFEST));
    write("channels/signed/channel.js", CHANNEL);
    write("channels/signed/help.md", "Calls are signed.\n");
    write("icons/signed.svg", '<svg xmlns="http://www.w3.org/2000/svg"/>');
    write("count.js", COUNT);
    execFileSync(process.execPath, [BUILD], { cwd: folder });
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));
  afterEach(async () => {
    await runtime?.stop();
    runtime = undefined;
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const prepare = (userDir: string) => {
    fs.mkdirSync(path.join(userDir, "node_modules/@loft"), { recursive: true });
    fs.symlinkSync(folder, path.join(userDir, "node_modules", NAME), "junction");
  };
  const start = async (options: RuntimeOptions = {}) => {
    runtime = await startNodeRed({
      ...options,
      prepare,
      settings: { logging: { console: { level: "debug" } }, ...options.settings },
    });
    return runtime;
  };
  const flow = (gateway: object = {}, more: object[] = [], credentials: object = { secret: SECRET }) =>
    [
      { id: "tab", type: "tab", label: "Test" },
      { id: "gw", type: "redclaw-gateway", store: "memory", ...gateway },
      { id: "acc", type: "redclaw-signed", name: "signed", apiRoot: "http://127.0.0.1:9", credentials },
      { id: "in", z: "tab", type: "redclaw-signed-in", account: "acc", x: 1, y: 1, wires: [[]] },
      ...more,
    ] as never;
  const statusOf = async (red: Runtime) =>
    (await red.get<{ status: { state: string; reason?: string } }[]>("redclaw/api/accounts"))[0]?.status;
  const connected = (red: Runtime) =>
    until(async () => (await statusOf(red))?.state === "connected", red.logs);
  const call = async (address: string, body = BODY, secret = SECRET) => {
    const signature = createHmac("sha256", secret).update(body).digest("hex");
    const headers = { "content-type": "application/json", "x-signature": signature };
    const answer = await fetch(address, { method: "POST", body, headers });
    await answer.arrayBuffer();
    return answer.status;
  };
  const listen = async (server: Server) => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  };

  // bcrypt of some word
  const visitor = { user: "u", pass: "$2b$08$wJq9Hq7n1VQ8o5aDpQkq3.Xp0v0QmYV6o9m0m5Y1Xq0a9b8c7d6e5" };
  const LAYOUTS: [string, RuntimeOptions][] = [
    ["the standard layout", {}],
    ["httpNodeRoot /api", { nodeRoot: "/api" }],
    ["httpAdminRoot /admin", { adminRoot: "/admin" }],
    ["httpNodeAuth", { settings: { httpNodeAuth: visitor } }],
    [
      "httpNodeAuth, /api and /admin",
      { nodeRoot: "/api", adminRoot: "/admin", settings: { httpNodeAuth: visitor } },
    ],
    ["adminAuth", { adminAuth: { username: "owner", password: "long-enough" } }],
    ["disableEditor", { settings: { disableEditor: true } }],
  ];
  for (const [name, options] of LAYOUTS) {
    it(`${name}: signed bytes come in as they are, others do not, and no alarm is raised`, async () => {
      const red = await start(options);
      await red.deploy(flow({ publicUrl: red.url }));
      await connected(red);
      const address = `${red.nodeUrl}/redclaw/signed/acc`;
      assert.equal(await call(address), 200);
      assert.equal(await call(`${address}/?x=1`), 200);
      assert.equal(await call(address, BODY, "another secret"), 401);
      assert.equal(await call(address, " ".repeat(1024 * 1024 + 1)), 413);
      const deeper = await call(`${address}/deeper`);
      assert.equal(deeper, options.settings?.["httpNodeAuth"] ? 401 : 404);
      await until(() => /our own call got through[\s\S]*our own call got through/.test(red.logs()), red.logs);
      assert.deepEqual(await red.get("redclaw/api/accounts/acc/webhook"), { warnings: [] });
      assert.doesNotMatch(red.logs(), /\[warn\].*(redclaw|webhook|signed)/i);
      assert.equal(await call(address, "[".repeat(200_000)), 400);
      if (options.adminAuth) {
        const { status } = await fetch(`${red.adminUrl}/redclaw/api/accounts/acc/webhook`);
        assert.equal(status, 401, "a stranger asks what stands in the way");
      }
      if (options.settings?.["httpNodeAuth"])
        assert.equal((await fetch(`${red.nodeUrl}/redclaw/web/x`)).status, 401, "pages ask for the login");
    });
  }

  it("httpNodeRoot false: says that no platform can call, and a port of its own mends it", async () => {
    const red = await start({ settings: { httpNodeRoot: false } });
    await red.deploy(flow({ publicUrl: "https://gateway.invalid" }));
    await until(async () => (await statusOf(red))?.state === "misconfigured", red.logs);
    assert.match((await statusOf(red))?.reason ?? "", /httpNodeRoot is false.*port of its own/);
    assert.match(red.logs(), /\[warn\].*httpNodeRoot is false/);
    const { warnings } = await red.get<{ warnings: string[] }>("redclaw/api/accounts/acc/webhook");
    assert.match(warnings.join(), /httpNodeRoot is false/);
    const port = await freePort();
    await red.deploy(flow({ publicUrl: "https://gateway.invalid", webhookPort: String(port) }));
    await connected(red);
    assert.equal(await call(`http://127.0.0.1:${port}/redclaw/signed/acc`), 200);
  });

  /** Starts with flows that are there already; without the admin API nothing could be deployed. */
  const startWith = async (settings: Record<string, unknown>) => {
    const flows = flow({ publicUrl: "https://gateway.invalid" }) as unknown as { credentials?: object }[];
    runtime = await startNodeRed({
      settings: { credentialSecret: false, ...settings },
      flows: flows.map(({ credentials: _, ...node }) => node) as never,
      prepare: (userDir) => {
        prepare(userDir);
        fs.writeFileSync(path.join(userDir, "flows_cred.json"), JSON.stringify({ acc: { secret: SECRET } }));
      },
    });
    return runtime;
  };

  it("httpAdminRoot false: webhooks come in all the same", async () => {
    const red = await startWith({ httpAdminRoot: false });
    const address = `${red.url}/redclaw/signed/acc`;
    await until(async () => (await call(address).catch(() => 0)) === 200, red.logs);
  });

  it("from the start of Node-RED to its end, a call is taken or refused for now, never unknown", async () => {
    const uiPort = await freePort();
    const answers = new Set<number>();
    let running = true;
    const calling = (async () => {
      while (running) answers.add(await call(`http://127.0.0.1:${uiPort}/redclaw/signed/acc`).catch(() => 0));
    })();
    const red = await startWith({ uiPort });
    await until(() => answers.has(200), red.logs);
    await red.stop();
    running = false;
    await calling;
    assert.deepEqual(
      [...answers].filter((status) => ![0, 200, 503].includes(status)),
      [],
    );
  });

  it("says once what is missing: a public address, https, a secret", async () => {
    const red = await start();
    await red.deploy(flow());
    await until(async () => (await statusOf(red))?.state === "misconfigured", red.logs);
    assert.match((await statusOf(red))?.reason ?? "", /^Needs a public address: /);
    await red.deploy(flow({}, [{ id: "c", type: "comment", z: "tab" }]));
    await until(async () => (await statusOf(red))?.state === "misconfigured", red.logs);
    assert.equal(red.logs().match(/\[warn\].*Needs a public address/g)?.length, 1);
    assert.equal(await call(`${red.nodeUrl}/redclaw/signed/acc`), 200);
    assert.equal(
      (await statusOf(red))?.state,
      "connected",
      "the owner has told the platform the address by hand",
    );

    const official = flow({ publicUrl: "http://gateway.invalid" }) as unknown as {
      id: string;
      apiRoot?: string;
    }[];
    await red.deploy(official.map((node) => (node.id === "acc" ? { ...node, apiRoot: "" } : node)) as never);
    await until(() => /\[warn\].*begins with http:\/\/.*only https/.test(red.logs()), red.logs);

    await red.deploy(flow({ publicUrl: red.url }, [], { secret: "" }));
    await until(async () => /^No secret: /.test((await statusOf(red))?.reason ?? ""), red.logs);
    assert.equal(await call(`${red.nodeUrl}/redclaw/signed/acc`), 401);
  });

  it("a proxy that asks for a login is named in the log and in the form, until it lets us through", async () => {
    const red = await start();
    let closed = true;
    const port = await listen(
      createServer((request, response) => {
        if (closed) return response.writeHead(401, { "www-authenticate": "Basic" }).end();
        const { port: target } = new URL(red.url);
        const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
        const socket = connect(Number(target), "127.0.0.1", () => {
          socket.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
          request.pipe(socket, { end: false });
        });
        socket.pipe(response.socket as never);
        return undefined;
      }),
    );
    await red.deploy(flow({ publicUrl: `http://127.0.0.1:${port}` }));
    await until(
      () => /\[warn\].*did not get through: http:\/\/127\.0\.0\.1:\d+ asks for a login/.test(red.logs()),
      red.logs,
    );
    const warnings = async () =>
      (await red.get<{ warnings: string[] }>("redclaw/api/accounts/acc/webhook")).warnings.join();
    assert.match(await warnings(), /asks for a login.*Let \/redclaw\/ pass/);
    closed = false;
    await red.deploy(flow({ publicUrl: `http://127.0.0.1:${port}` }));
    await until(async () => (await warnings()) === "", red.logs);
  });

  it("a port of its own serves webhooks and nothing else, and is gone when it is not wanted any more", async () => {
    const red = await start({ settings: { httpNodeAuth: visitor } });
    const port = await freePort();
    const own = `http://127.0.0.1:${port}`;
    const web = { id: "web", type: "redclaw-web" };
    const webIn = { id: "wi", z: "tab", type: "redclaw-web-in", account: "web", x: 1, y: 2, wires: [[]] };
    const gateway = {
      publicUrl: own,
      webhookPort: port,
      webhookHost: "127.0.0.1",
      trustedProxies: "127.0.0.1 , x",
    };
    await red.deploy(flow(gateway, [web, webIn]));
    await connected(red);
    assert.equal(await call(`${own}/redclaw/signed/acc`), 200);
    assert.equal(await call(`${own}/redclaw/signed/acc`, BODY, "wrong"), 401);
    assert.equal(
      await call(`${red.nodeUrl}/redclaw/signed/acc`),
      200,
      "Node-RED's own port takes them as well",
    );
    for (const address of [
      "/",
      "/flows",
      "/red/red.min.js",
      "/redclaw/api/accounts",
      "/redclaw/web/web/",
      "/redclaw/",
    ])
      assert.equal((await fetch(own + address)).status, 404, address);
    await until(() => /our own call got through[\s\S]*our own call got through/.test(red.logs()), red.logs);
    const { warnings } = await red.get<{ warnings: string[] }>("redclaw/api/accounts/acc/webhook");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /trusted proxy "x"/);

    const began = Date.now();
    const slow = connect(port, "127.0.0.1", () =>
      slow.write("POST /redclaw/signed/acc HTTP/1.1\r\nHost: x\r\n"),
    );
    await new Promise((resolve) =>
      slow
        .on("close", resolve)
        .on("error", () => undefined)
        .resume(),
    );
    assert.ok(Date.now() - began < 15_000, "headers that never end are cut off");

    for (let deploys = 0; deploys < 5; deploys += 1) {
      await red.deploy(flow(gateway, [web, webIn, { id: `c${deploys}`, type: "comment", z: "tab" }]));
      assert.notEqual(
        await call(`${own}/redclaw/signed/acc`).catch(() => 0),
        0,
        "the port is open through a deploy",
      );
    }
    await connected(red);
    assert.equal(await call(`${own}/redclaw/signed/acc`), 200);
    await red.deploy(flow({ publicUrl: red.url }));
    await until(async () => (await call(`${own}/redclaw/signed/acc`).catch(() => 0)) === 0, red.logs);
  });

  it("a port in use is a sentence, not a crash, and messages come in on Node-RED's own", async () => {
    const red = await start();
    const port = await listen(createServer((_request, response) => response.end("another program")));
    await red.deploy(flow({ publicUrl: red.url, webhookPort: port, webhookHost: "127.0.0.1" }));
    await until(
      () => new RegExp(`\\[warn\\].*Port ${port} for webhooks is in use`).test(red.logs()),
      red.logs,
    );
    await connected(red);
    assert.equal(await call(`${red.nodeUrl}/redclaw/signed/acc`), 200);
    const { warnings } = await red.get<{ warnings: string[] }>("redclaw/api/accounts/acc/webhook");
    assert.match(warnings.join(), /is in use/);
    await red.deploy(flow({ publicUrl: red.url, webhookPort: "70000" }));
    await until(() => /"70000" is no port for webhooks/.test(red.logs()), red.logs);
  });

  it("an upload of 300 MB, and bodies in crumbs, leave the memory of Node-RED as it was", async () => {
    const red = await start();
    await red.deploy(flow({ publicUrl: red.url }));
    await connected(red);
    const before = await red.get<number>("peak");
    const { port } = new URL(red.url);
    const head = "POST /redclaw/signed/acc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    /** Writes until the other side has closed, and answers what it said. */
    const upload = async (piece: Buffer, most: number) => {
      const socket = connect(Number(port), "127.0.0.1");
      socket.write(head);
      let said = "";
      socket.on("data", (chunk) => {
        said += chunk;
      });
      const closed = new Promise((resolve) => socket.on("close", resolve).on("error", resolve));
      for (let sent = 0; sent < most && socket.writable; sent += piece.length) {
        if (!socket.write(piece)) await Promise.race([new Promise((go) => socket.once("drain", go)), closed]);
      }
      if (socket.writable) socket.write("0\r\n\r\n");
      await closed;
      return said;
    };
    const large = Buffer.concat([
      Buffer.from("100000\r\n"),
      Buffer.alloc(0x100000, 0x20),
      Buffer.from("\r\n"),
    ]);
    assert.match(await upload(large, 300 * large.length), /^HTTP\/1.1 413 /);
    const grown = async () => (await red.get<number>("peak")) - before;
    assert.ok((await grown()) < 40, `${await grown()} MB more after 300 MB`);
    const crumbs = Buffer.from("1\r\nx\r\n".repeat(10_000));
    const answers = await Promise.all(Array.from({ length: 8 }, () => upload(crumbs, 110 * crumbs.length)));
    for (const said of answers) assert.match(said, /^HTTP\/1.1 (413|408) /);
    assert.ok((await grown()) < 120, `${await grown()} MB more after bodies in crumbs`);
  });

  it("twenty deploys leave no handler, listener or port behind", async () => {
    const red = await start();
    const port = await freePort();
    const gateway = { publicUrl: red.url, webhookPort: port, webhookHost: "127.0.0.1" };
    await red.deploy(flow(gateway));
    await connected(red);
    const before = await red.get("count");
    const types = ["full", "nodes", "flows", "reload"] as const;
    for (let deploys = 0; deploys < 20; deploys += 1) {
      const more = deploys % 3 === 0 ? { maxReplyAge: String(5 + deploys) } : {};
      await red.deploy(
        flow({ ...gateway, ...more }, [{ id: `c${deploys}`, type: "comment", z: "tab" }]),
        types[deploys % types.length],
      );
    }
    await red.deploy(flow(gateway));
    await connected(red);
    assert.equal(await call(`${red.nodeUrl}/redclaw/signed/acc`), 200);
    // A deploy is answered before its flows run; what it holds until then is let go.
    const deadline = Date.now() + 5000;
    while (!isDeepStrictEqual(await red.get("count"), before) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(await red.get("count"), before);
  });

  it("through deploys, a call is taken or refused for now, never unknown", async () => {
    const red = await start();
    await red.deploy(flow({ publicUrl: red.url }));
    await connected(red);
    const answers = new Set<number>();
    let running = true;
    const calling = (async () => {
      while (running) answers.add(await call(`${red.nodeUrl}/redclaw/signed/acc`).catch(() => 0));
    })();
    for (const type of ["full", "full", "reload"] as const)
      await red.deploy(flow({ publicUrl: red.url }, [{ id: type, type: "comment", z: "tab" }]), type);
    await connected(red);
    running = false;
    await calling;
    for (const status of answers) assert.ok([200, 503].includes(status), `${status}`);
  });
});

async function until(condition: () => boolean | Promise<boolean>, explain: () => string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`did not happen in 15 s. ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function freePort(): Promise<number> {
  const server = createNetServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
