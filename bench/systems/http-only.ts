/**
 * The platform's HTTP calls alone: polls and sends with the same client of `dist/` that our Telegram channel uses, and
 * does nothing in between. Ours minus this is "our own part".
 */
import path from "node:path";
import type { createHttp as CreateHttp } from "../../lib/http/client";
import { pollAndEcho } from "./echo";

const { createHttp } = require(path.join(__dirname, "../../dist/lib/http/client.js")) as {
  createHttp: typeof CreateHttp;
};
const [, , apiRoot = "", token = ""] = process.argv;
const { fetch } = createHttp({ allowPrivate: true });
const headers = { "content-type": "application/json" };

pollAndEcho(async (method, args) => {
  const address = `${apiRoot}/bot${token}/${method}`;
  const response = await fetch(address, { method: "POST", headers, body: JSON.stringify(args) });
  return ((await response.json()) as { result: unknown }).result;
});
