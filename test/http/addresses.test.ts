/** The guard: nothing a message names leads into the private network, whatever it looks like or resolves to. */
import assert from "node:assert/strict";
import type { LookupFunction } from "node:net";
import fc from "fast-check";
import { isPrivateAddress } from "../../lib/http/addresses";
import { createHttp, type Http, type HttpOptions } from "../../lib/http/client";
import { serve, stopServers } from "./servers";

const PRIVATE = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "100.64.0.1",
  "100.100.100.200",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.254",
  "168.63.129.16",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.168.1.1",
  "198.18.0.1",
  "224.0.0.1",
  "239.255.255.250",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::127.0.0.1",
  "::ffff:127.0.0.1",
  "::ffff:8.8.8.8",
  "::ffff:7f00:1",
  "64:ff9b::7f00:1",
  "64:ff9b::8.8.8.8",
  "64:ff9b:1::1",
  "100::1",
  "2001::1",
  "2001:0:4136:e378:8000:63bf:3fff:fdd2",
  "2001:db8::1",
  "2002:7f00:1::",
  "3fff::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "",
  "localhost",
  "1.2.3",
  "not an address",
  "[::1]",
];
const PUBLIC = [
  "1.1.1.1",
  "8.8.8.8",
  "100.63.255.255",
  "100.128.0.0",
  "149.154.167.220",
  "172.15.255.255",
  "172.32.0.0",
  "192.167.255.255",
  "223.255.255.255",
  "2606:4700:4700::1111",
  "2a00:1450:4001::1",
  "[2606:4700::1]",
];

describe("isPrivateAddress", () => {
  for (const address of PRIVATE)
    it(`"${address}" is private`, () => assert.equal(isPrivateAddress(address), true));
  for (const address of PUBLIC)
    it(`"${address}" is public`, () => assert.equal(isPrivateAddress(address), false));

  it("never takes an IPv4 address inside an IPv6 one for public", () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        const hex = ip.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
        const [high, low] = [`${hex[0]}${hex[1]}`, `${hex[2]}${hex[3]}`];
        for (const address of [
          `::ffff:${ip}`,
          `::${high}:${low}`,
          `64:ff9b::${ip}`,
          `2002:${high}:${low}::1`,
        ]) {
          assert.equal(isPrivateAddress(address), true, address);
        }
      }),
    );
  });

  it("answers for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => typeof isPrivateAddress(text) === "boolean"),
    );
  });
});

describe("http guard", () => {
  let http: Http;
  const client = (options: HttpOptions = {}, lookup?: LookupFunction): void => {
    http = createHttp(options, lookup);
  };
  afterEach(async () => {
    await http.close();
    await stopServers();
  });
  const refused = { code: "private-address", fault: "refused", message: /private network/ };
  /** Answers with the given addresses, one list per call, the last one for ever. */
  const resolver = (...answers: string[][]): { lookup: LookupFunction; calls: () => number } => {
    let calls = 0;
    const lookup: LookupFunction = (_, options, callback) => {
      const found = (answers[Math.min(calls++, answers.length - 1)] ?? []).map((address) => ({
        address,
        family: address.includes(":") ? 6 : 4,
      }));
      if (options.all) callback(null, found);
      else callback(null, found[0]?.address ?? "", found[0]?.family);
    };
    return { lookup, calls: () => calls };
  };

  it("refuses addresses in every notation a URL knows, and connects to none", async () => {
    const server = await serve();
    client();
    const hosts = [
      "127.0.0.1",
      "localhost",
      "LOCALHOST",
      "127.1",
      "2130706433",
      "0x7f000001",
      "0x7f.1",
      "0177.0.0.1",
      "0",
      "0.0.0.0",
      "[::]",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "[::ffff:7f00:1]",
      "\uff11\uff12\uff17.0.0.1",
      "127\u30020\u30020\u30021",
    ];
    for (const host of hosts)
      await assert.rejects(http.fetch(`http://${host}:${server.port}/`), refused, host);
    assert.equal(server.connections, 0);
  });

  it("refuses a name when any of its addresses is private", async () => {
    const server = await serve();
    for (const found of [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::1", "2606:4700::1"], []]) {
      client({}, resolver(found).lookup);
      await assert.rejects(http.fetch(`http://name.example:${server.port}`), refused);
      await http.close();
    }
    assert.equal(server.connections, 0);
  });

  it("is not fooled by a name that resolves differently each time", async () => {
    const server = await serve();
    const { lookup, calls } = resolver(["1.1.1.1"], ["127.0.0.1"]);
    client({ timeoutMs: 300 }, lookup);
    // The first answer is public: we may try it (nobody answers here). The second must not be used.
    await assert.rejects(http.fetch(`http://name.example:${server.port}`));
    await assert.rejects(http.fetch(`http://name.example:${server.port}`), refused);
    assert.deepEqual([server.connections, calls()], [0, 2]);
  });

  it("lets a host through that the user named, and only that", async () => {
    const server = await serve();
    const { lookup } = resolver(["127.0.0.1"]);
    client({ allowPrivate: (hostname) => hostname === "camera.lan" }, lookup);
    assert.equal(await (await http.fetch(`http://camera.lan:${server.port}`)).text(), "ok");
    await assert.rejects(http.fetch(`http://other.lan:${server.port}`), refused);
    await assert.rejects(http.fetch(`http://127.0.0.1:${server.port}`), refused);
  });

  it("never uses a connection that was made without the guard for a call with it", async () => {
    const server = await serve();
    client();
    const open = http.fetchWith({ allowPrivate: true });
    assert.equal(await (await open(server.url)).text(), "ok");
    await assert.rejects(http.fetch(server.url), refused);
    assert.equal(await (await open(server.url)).text(), "ok");
    assert.equal(server.requests, 2);
  });

  it("checks every redirect, and a strange server cannot lead to a host the user named", async () => {
    const inside = await serve();
    const outside = await serve((_, response) =>
      response.writeHead(302, { location: `http://camera.lan:${inside.port}/` }).end(),
    );
    // Both are on this machine; the guard sees "public.example" only through the predicate.
    const { lookup } = resolver(["127.0.0.1"]);
    client({ allowPrivate: (hostname) => hostname === "public.example" }, lookup);
    await assert.rejects(http.fetch(`http://public.example:${outside.port}`), refused);
    assert.deepEqual([outside.requests, inside.connections], [1, 0]);
    const allowed = http.fetchWith({
      allowPrivate: (hostname) => hostname.endsWith(".lan") || hostname === "public.example",
    });
    assert.equal(await (await allowed(`http://public.example:${outside.port}`)).text(), "ok");
  });
});
