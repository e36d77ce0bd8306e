import assert from "node:assert/strict";
import { Gateway } from "../../../lib/gateway";
import telegram from "../../../nodes/channels/telegram/channel";
import { until } from "../../delivery/scripted";
import { TelegramServer } from "../../platforms/telegram";

describe("telegram on a server of one's own", () => {
  it("that knows neither webhooks nor typing, the bot connects and stays connected", async () => {
    const server = await new TelegramServer().start();
    const unknown = { kind: "error", code: 404, description: "Not Found" } as const;
    server.fail("deleteWebhook", unknown, 9);
    server.fail("sendChatAction", unknown, 9);
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const gateway = new Gateway({ log: silent });
    const account = gateway.openAccount(
      telegram,
      { id: "a", name: "own", apiRoot: server.url, credentials: { token: server.token }, options: {} },
      silent,
    );
    account.start();
    await until(() => account.status.state === "connected" && account.client !== undefined);
    const conversation = String(server.person().id);
    await assert.rejects(async () => account.client?.typing?.({ conversation }));
    assert.equal(account.status.state, "connected");
    await gateway.send({ key: "k", account: "a", to: { conversation }, response: { text: "here" } });
    assert.equal(server.sent.at(-1)?.text, "here");
    await gateway.closeAccount(account);
    await gateway.close();
    await server.stop();
  });
});
