/** What comes in by webhook from somebody who hangs up, knocks often, or writes an odd address. */
import assert from "node:assert/strict";
import { createServer, request as httpRequest, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { installIntake } from "../../lib/channel/intake";
import { messageEvent, Scripted, until } from "./scripted";

type Handler = (request: object, response: object, next: () => void) => void;

describe("webhook intake", () => {
  let channel: Scripted;
  let server: Server;
  let port: number;
  let verified: number;
  let good: boolean;
  beforeEach(async () => {
    channel = new Scripted();
    verified = 0;
    good = true;
    Object.assign(channel.definition, {
      webhook: {
        active: () => true,
        ackWithin: 1000,
        verify: () => {
          verified += 1;
          return good;
        },
      },
    });
    const handlers: Handler[] = [];
    const root = {
      use: (handler: Handler) => void handlers.push(handler),
      router: { stack: [] as { handle: Handler }[] },
    };
    installIntake(channel.gateway, { httpNode: { use: () => undefined, parent: root }, nodeRoot: "" });
    server = createServer((request, response) =>
      handlers[0]?.(request, response, () => {
        response.statusCode = 404;
        response.end();
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = (server.address() as AddressInfo).port;
    const account = channel.open();
    await account.ready(Date.now() + 1000);
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await channel.close();
  });

  const knock = (path: string, method = "POST", body = "") =>
    new Promise<number>((resolve, reject) => {
      const request = httpRequest({ port, host: "127.0.0.1", path, method }, (response) => {
        response.resume().on("end", () => resolve(response.statusCode ?? 0));
      });
      request.on("error", reject).end(body);
    });

  it("a request that is hung up is not taken for a whole one", async () => {
    good = false;
    for (let count = 0; count < 25; count += 1) {
      const socket = connect(port, "127.0.0.1");
      socket.write("POST /redclaw/scripted/acc HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}");
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(verified, 0);
    assert.deepEqual(channel.logged, []);
    good = true;
    assert.equal(await knock("/redclaw/scripted/acc", "POST", JSON.stringify(messageEvent())), 200);
  });

  it("answers odd methods, addresses and bodies without taking anything in", async () => {
    for (const [path, method, status] of [
      ["/redclaw/scripted/acc", "GET", 400],
      ["/redclaw/scripted/acc", "HEAD", 400],
      ["/redclaw/scripted/acc/../../x", "POST", 400],
      ["/redclaw/scripted/acc//[", "POST", 400],
      ["/redclaw/scripted/ACC", "POST", 404],
      ["/redclaw/scripted/%61cc", "POST", 404],
      ["/redclaw/other/acc", "POST", 404],
      ["/redclaw/scripted/__proto__", "POST", 404],
    ] as const) {
      assert.equal(await knock(path, method), status, `${method} ${path}`);
    }
    assert.equal(await knock("/redclaw/scripted/acc", "POST", "null"), 200);
    await until(() => channel.logged.some((line) => line.includes("left out")));
  });
});
