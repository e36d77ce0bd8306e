/** What the channel says of itself, and the check of a webhook's secret. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { AccountSettings, WebhookRequest } from "../../../lib/channel/define";
import definition from "../../../nodes/channels/telegram/channel";
import { webhookSecret } from "../../../nodes/channels/telegram/webhook";

const account = (credentials: Record<string, string>): AccountSettings => ({
  id: "acc1",
  name: "",
  credentials,
  options: { mode: "webhook" },
});
const request = (secret?: string | string[]): WebhookRequest => ({
  method: "POST",
  url: new URL("http://x/"),
  headers: secret === undefined ? {} : { "x-telegram-bot-api-secret-token": secret as string },
  body: Buffer.from("{}"),
});
const verify = (secret: string | string[] | undefined, credentials: Record<string, string>) =>
  definition.webhook.verify(request(secret), account(credentials));

describe("telegram channel", () => {
  it("takes a webhook call only with the account's secret", () => {
    const credentials = { token: "1:a", webhookSecret: "s3cret" };
    assert.equal(verify("s3cret", credentials), true);
    for (const wrong of [undefined, "", "s3cre", "s3cret ", "S3CRET", ["s3cret", "s3cret"]]) {
      assert.equal(verify(wrong, credentials), false, String(wrong));
    }
  });

  it("makes a secret of its own when none is given, and fails closed without any", () => {
    const derived = webhookSecret(account({ token: "1:a" })) as string;
    assert.match(derived, /^[\w-]{43}$/);
    assert.equal(verify(derived, { token: "1:a" }), true);
    assert.equal(verify("", { token: "1:a" }), false);
    assert.notEqual(webhookSecret(account({ token: "1:b" })), derived);
    assert.equal(verify("", {}), false);
    assert.equal(verify("undefined", {}), false);
    assert.equal(verify(undefined, { token: "", webhookSecret: "" }), false);
  });

  it("receives by webhook only when that is chosen", () => {
    assert.equal(definition.webhook.active(account({})), true);
    assert.equal(definition.webhook.active({ ...account({}), options: {} }), false);
  });

  it("knows two accounts of one bot, whatever the rest of the token is", () => {
    const identity = (token: string | undefined, apiRoot?: string) =>
      definition.identity({
        ...account(token === undefined ? {} : { token }),
        ...(apiRoot === undefined ? {} : { apiRoot }),
      });
    const one = identity("123:old");
    assert.ok(one);
    for (const same of [
      identity(" 123:new "),
      identity("123:x", ""),
      identity("123:x", "https://API.telegram.org:443/"),
    ]) {
      assert.equal(same, one);
    }
    for (const other of [identity("124:old"), identity("123:old", "http://localhost:8081")]) {
      assert.ok(other);
      assert.notEqual(other, one);
    }
    assert.equal(/old|new/.test(one), false, "a part of the secret stands in it");
    for (const nothing of [identity(undefined), identity(""), identity("hello")])
      assert.equal(nothing, undefined);
  });

  it("an account at work loads no SDK before the first upload", () => {
    const script = `require("tsx/cjs");
      require("./nodes/channels/telegram/client.ts");
      console.log(Object.keys(require.cache).filter((path) => /node_modules.(grammy|node-fetch)/.test(path)).length)`;
    assert.equal(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }).trim(), "0");
  });

  it("loading what the channel is loads no SDK", () => {
    const script = `require("tsx/cjs"); require("./nodes/channels/telegram/channel.ts");
      console.log(Object.keys(require.cache).filter((path) => /node_modules.(grammy|node-fetch)/.test(path)).length)`;
    assert.equal(execFileSync(process.execPath, ["-e", script], { encoding: "utf8" }).trim(), "0");
  });
});
