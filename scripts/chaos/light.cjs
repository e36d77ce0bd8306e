/**
 * The gateway without Node-RED: starts in a tenth of a second, so that a script can be killed at each of its steps.
 * `CHAOS_LIGHT` is JSON: the built package, the database and the accounts. Every message is answered with its echo.
 */
const { createServer } = require("node:http");
const path = require("node:path");

const { from, database, port, accounts } = JSON.parse(process.env["CHAOS_LIGHT"]);
const { Gateway } = require(path.join(from, "dist/lib/gateway.js"));
const say = (level) => (text) => console.log(`[${level}] ${text}`);
const log = { debug() {}, info: say("info"), warn: say("warn"), error: say("error") };

const gateway = new Gateway({ log });
gateway.configure("gw", { store: "sqlite", path: database, maxReplyAge: 600_000 });

const opened = accounts.map(({ channel, ...settings }) => {
  const definition = require(path.join(from, `dist/nodes/channels/${channel}/channel.js`)).default;
  const account = gateway.openAccount(definition, settings, log);
  gateway.inbox.listen(account.id, (event, chat) => {
    gateway
      .send({
        key: `${chat.eventId}/reply/0`,
        account: account.id,
        to: { conversation: chat.conversation.id },
        response: { text: `echo ${event.text}` },
        eventId: chat.eventId,
        about: chat.messageId,
      })
      .catch((error) => log.warn(error.message));
  });
  return account;
});
for (const account of opened) account.start();

if (port) {
  const server = createServer((request, response) => {
    const [, id, rest = "/"] = /^\/redclaw\/[a-z]+\/([^/?]+)(.*)$/.exec(request.url ?? "") ?? [];
    const client = opened.find((account) => account.id === id)?.client;
    if (client?.handle) client.handle(request, response, rest);
    else response.writeHead(503).end();
  });
  server.listen(port, "127.0.0.1");
}

/** Rows that are still on their way. */
async function open() {
  const store = await gateway.store();
  const events = await store.count({ space: "event", state: ["accepted", "emitted"] });
  const responses = await store.count({ space: "response", state: ["intended", "sending"] });
  return events + responses;
}

process.on("message", async (message) => {
  if (message === "open") {
    try {
      process.send({ open: await open() });
    } catch (error) {
      process.send({ open: -1, reason: String(error) });
    }
    return;
  }
  for (const account of opened) await gateway.closeAccount(account);
  await gateway.close();
  process.exit(0);
});
