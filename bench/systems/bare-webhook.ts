/** The least that a webhook echo costs on Node: node:http answers, keep-alive connections send. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { bareCall } from "./bare-call";
import { Echo } from "./echo";

const [, , apiRoot = "", token = ""] = process.argv;
const call = bareCall(apiRoot, token);
const echo = new Echo(call);
const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on("data", (part: Buffer) => parts.push(part));
  request.on("end", () => {
    response.writeHead(200, { "Content-Length": 0 }).end();
    echo.take(JSON.parse(String(Buffer.concat(parts))));
  });
});
server.listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await call("setWebhook", { url: `${url}/hook` });
  process.send?.({ url });
});
