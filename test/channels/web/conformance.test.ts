import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { channelConformance } from "../../../lib/testing";
import web from "../../../nodes/channels/web/channel";
import { TestVisitor, until } from "../../platforms/web";

const PLACE = "/redclaw/web/acc1";

let server: Server;
let visitor: TestVisitor;
let heard: Awaited<ReturnType<TestVisitor["listen"]>>;

const posted = {
  type: "message",
  visitor: "abcdefghijklmnop",
  nonce: "n1",
  text: "hello",
  files: [],
  at: "2026-11-23T10:00:00.000Z",
};

channelConformance(
  {
    definition: web,
    updates: [
      { name: "a text", update: posted, kinds: ["message"] },
      { name: "a command", update: { ...posted, nonce: "n2", text: "/help me" }, kinds: ["command"] },
      {
        name: "a button",
        update: { ...posted, nonce: "n3", button: { value: "yes", label: "Yes", messageId: "m1" } },
        kinds: ["button"],
      },
    ],
    own: [],
    destination: () => ({ conversation: heard.heard.find(({ event }) => event === "hello")?.data.visitor }),
    async start(client) {
      server = createServer((request, response) => {
        const found = client();
        if (found) void found.handle?.(request, response, (request.url ?? "").slice(PLACE.length));
        else response.writeHead(503).end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return { credentials: {}, options: {} };
    },
    async arrive() {
      visitor = new TestVisitor(`http://127.0.0.1:${(server.address() as AddressInfo).port}${PLACE}/`);
      heard = await visitor.listen();
    },
    async stop() {
      visitor.leave();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    async delivered() {
      const bots = () => heard.messages.filter(({ from }) => from === "bot");
      let count = -1;
      // What was sent is on its way through a socket: wait until nothing more arrives.
      while (bots().length !== count) {
        count = bots().length;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return bots().map(({ html, text }) => (html === undefined ? text : visible(html)));
    },
    async write(text) {
      const answer = await visitor.say(text);
      if (answer.status !== 202) throw new Error(`${answer.status} ${await answer.text()}`);
      await until(() => heard.messages.some((message) => message.text === text));
    },
  },
  { describe, it },
);

/** What a person sees of the HTML. */
function visible(html: string): string {
  return html
    .replace(/<[^>]+>/g, "")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&quot;/g, '"')
    .replace(/&amp;/g, "&");
}
