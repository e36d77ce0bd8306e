/** The web channel over real HTTP: who may come in, what is taken, what is replayed. */
import assert from "node:assert/strict";
import { request } from "node:http";
import fc from "fast-check";
import { checkEvent } from "../../../lib/message/check";
import type { PostedMessage } from "../../../nodes/channels/web/parse";
import { Passes } from "../../../nodes/channels/web/visitors";
import {
  Listening,
  type SiteSettings,
  serveWeb,
  TestVisitor,
  until,
  type WebSite,
} from "../../platforms/web";

describe("web: protocol", () => {
  const opened: WebSite[] = [];
  const visitors: TestVisitor[] = [];

  async function open(settings: SiteSettings = {}): Promise<WebSite> {
    const site = await serveWeb(settings);
    opened.push(site);
    return site;
  }

  async function visit(site: WebSite): Promise<TestVisitor> {
    const visitor = new TestVisitor(site.base);
    visitors.push(visitor);
    await visitor.arrive();
    return visitor;
  }

  function sayTo(site: WebSite, visitor: string, text: string, key = Math.random().toString()) {
    return site.client.send(
      { kind: "text", text, plain: text },
      { conversation: visitor },
      { key, signal: site.ctx.signal },
    );
  }

  /** Posts megabytes without saying how many; answers the status. */
  function chunked(visitor: TestVisitor, megabytes: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = { "Content-Type": "application/json", ...visitor.known };
      const posting = request(`${visitor.base}messages`, { method: "POST", headers }, (response) => {
        resolve(response.statusCode ?? 0);
        posting.destroy();
      });
      posting.on("error", reject);
      let left = megabytes;
      const write = () => {
        while (left-- > 0)
          if (!posting.write(Buffer.alloc(1024 * 1024, 120))) return void posting.once("drain", write);
        posting.end();
      };
      write();
    });
  }

  const accepted = (site: WebSite) => site.ctx.accepted as PostedMessage[];
  const refusal = async (response: Response) => ({
    status: response.status,
    ...((await response.json()) as object),
  });

  afterEach(async () => {
    for (const visitor of visitors.splice(0)) visitor.leave();
    for (const site of opened.splice(0)) await site.close();
  });

  describe("messages", () => {
    it("a posted message becomes an event with an id of its own, and is answered 202 only when it is durable", async () => {
      const site = await open();
      const visitor = await visit(site);
      let durable = false;
      site.ctx.onAccept = async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        durable = true;
      };
      const response = await visitor.say("hello");
      assert.equal(response.status, 202);
      assert.ok(durable);
      const [event] = site.client.receive(accepted(site)[0]);
      assert.ok(event);
      checkEvent(event);
      assert.equal(event.text, "hello");
      assert.equal(event.conversation.id, event.sender.id);
      assert.equal(event.trusted, false);
      assert.equal(event.id, `web:a1b2c3d4:${((await response.json()) as { messageId: string }).messageId}`);
    });

    it("the same nonce is taken once, also when both tries arrive together", async () => {
      const site = await open();
      const visitor = await visit(site);
      site.ctx.onAccept = () => new Promise((resolve) => setTimeout(resolve, 30));
      const answers = await Promise.all([1, 2, 3].map(() => visitor.say("once", "the-same-nonce")));
      answers.push(await visitor.say("once", "the-same-nonce"));
      assert.deepEqual(
        answers.map(({ status }) => status),
        [202, 202, 202, 202],
      );
      assert.equal(accepted(site).length, 1);
    });

    it("the same nonce of another visitor is another message", async () => {
      const site = await open();
      await (await visit(site)).say("a", "the-same-nonce");
      await (await visit(site)).say("b", "the-same-nonce");
      const ids = accepted(site).map((update) => site.client.receive(update)[0]?.id);
      assert.equal(new Set(ids).size, 2);
    });

    it("what could not be stored is answered 503, disappears from all tabs, and is taken on the next try", async () => {
      const site = await open();
      const visitor = await visit(site);
      const stream = await visitor.listen();
      site.ctx.refuseWith = new Error("disk full");
      const first = await visitor.say("keep me", "nonce-of-this");
      assert.equal(first.status, 503);
      assert.ok(first.headers.get("retry-after"));
      assert.doesNotMatch(await first.text(), /disk full/);
      await until(() => stream.messages.at(-1)?.deleted === true);
      site.ctx.refuseWith = undefined;
      assert.equal((await visitor.say("keep me", "nonce-of-this")).status, 202);
      await until(() => stream.messages.at(-1)?.text === "keep me");
      assert.equal(accepted(site).length, 1);
    });

    it("an answer that comes while the message is still being stored stands behind it", async () => {
      const site = await open();
      const visitor = await visit(site);
      const stream = await visitor.listen();
      site.ctx.onAccept = async (update) => {
        await sayTo(site, (update as PostedMessage).visitor, "quick answer");
      };
      await visitor.say("question");
      await until(() => stream.messages.length === 2);
      assert.deepEqual(
        stream.messages.map(({ text }) => text),
        ["question", "quick answer"],
      );
      assert.ok(stream.messages[0].seq < stream.messages[1].seq);
    });

    it("a visitor without an open page can be answered right after the message", async () => {
      const site = await open();
      const visitor = await visit(site);
      site.ctx.onAccept = async (update) =>
        void (await sayTo(site, (update as PostedMessage).visitor, "answer"));
      assert.equal((await visitor.say("hi")).status, 202);
      assert.deepEqual(
        (await visitor.listen()).messages.map(({ text }) => text),
        ["hi", "answer"],
      );
    });

    it("a slash makes a command", async () => {
      const site = await open();
      const visitor = await visit(site);
      await visitor.say("/Start  with this");
      const [event] = site.client.receive(accepted(site)[0]);
      assert.equal(event?.kind, "command");
      assert.deepEqual(event?.command, { name: "start", args: "with this" });
    });

    it("NUL and lone surrogates do not get through", async () => {
      const site = await open();
      const visitor = await visit(site);
      await visitor.post("messages", '{"nonce":"nonce-12345","text":"a\\u0000b\\ud800c"}');
      assert.equal(accepted(site)[0]?.text, "ab\ufffdc");
    });

    it("a text over 16 kB is refused with a sentence, a body far over it without being read", async () => {
      const site = await open();
      const visitor = await visit(site);
      const long = await refusal(await visitor.say("ä".repeat(8 * 1024 + 1)));
      assert.equal(long.status, 413);
      assert.match(JSON.stringify(long), /16 kB/);
      assert.equal((await visitor.say("x".repeat(10 * 1024 * 1024))).status, 413);
      assert.equal(await chunked(visitor, 300), 413);
      assert.equal((await visitor.say("ä".repeat(8 * 1024))).status, 202);
    });

    it("malformed bodies are 400 with a sentence, and nothing stops", async () => {
      const site = await open();
      const visitor = await visit(site);
      const bodies = [
        "{",
        "[]",
        "null",
        "7",
        '"x"',
        "",
        "{}",
        '{"nonce":"x"}',
        '{"nonce":{"a":1},"text":"x"}',
      ];
      bodies.push('{"nonce":"nonce-12345","text":7}', '{"nonce":"nonce-12345","text":"  "}');
      for (const body of bodies) {
        const { status, ...rest } = await refusal(await visitor.post("messages", body));
        if (status === 429) break;
        assert.equal(status, 400, body);
        assert.match(JSON.stringify(rest), /"sentence":"[A-Z].+\."/);
      }
      assert.deepEqual(accepted(site), []);
    });

    it("whatever JSON is posted, the answer is a 2xx or 4xx and never a message of somebody else", async () => {
      const site = await open();
      await fc.assert(
        fc.asyncProperty(fc.json(), fc.constantFrom("messages", "access", "files"), async (body, place) => {
          const visitor = await visit(site);
          visitor.headers = {
            "X-Forwarded-For": `198.51.${Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}`,
          };
          const { status } = await visitor.post(place, body);
          assert.ok(status >= 200 && status < 500, `${status} for ${body}`);
        }),
        { numRuns: 60 },
      );
    });

    it("update shapes nobody knows give no event and no throw", async () => {
      const { client } = await open();
      fc.assert(
        fc.property(fc.anything(), (update) => {
          assert.deepEqual(client.receive(update), []);
        }),
      );
    });
  });

  describe("who may come in", () => {
    it("the visitor's cookie is httpOnly, lax, without a path of our own, and secure behind https", async () => {
      const site = await open();
      const [plain = ""] = (await fetch(site.base)).headers.getSetCookie();
      assert.match(plain, /; HttpOnly; SameSite=Lax$/);
      assert.doesNotMatch(plain, /Path=|Secure/i);
      const [secure = ""] = (
        await fetch(site.base, { headers: { "X-Forwarded-Proto": "https" } })
      ).headers.getSetCookie();
      assert.match(secure, /; Secure$/);
    });

    it("a known visitor stays the same, a forged or expired cookie makes a new one", async () => {
      const site = await open();
      const visitor = await visit(site);
      const first = (await visitor.listen()).heard[0]?.data.visitor;
      assert.equal((await visitor.listen()).heard[0]?.data.visitor, first);
      const secret = JSON.parse(site.ctx.kept.get("secret") as string);
      const forged = visitor.cookie.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
      const other = `redclaw_visitor=${new Passes(secret, "another-account").issue(first).pass}`;
      const old = `redclaw_visitor=${new Passes(secret, "a1b2c3d4").issue(first, Date.now() - 31 * 24 * 3_600_000).pass}`;
      for (const cookie of [
        forged,
        other,
        old,
        "redclaw_visitor=",
        "redclaw_visitor=v1.x.y.z",
        "redclaw_visitor=%00",
      ]) {
        visitor.cookie = cookie;
        assert.equal((await refusal(await visitor.say("x"))).status, 401);
        const heard = (await visitor.listen()).heard[0]?.data.visitor;
        assert.notEqual(heard, first);
      }
    });

    it("a page without cookies gets a pass for its header", async () => {
      const site = await open();
      const frame = new TestVisitor(site.base);
      visitors.push(frame);
      frame.headers = { "X-Redclaw-Visitor": "new" };
      const { visitor, pass } = (await frame.listen()).heard[0]?.data ?? {};
      assert.equal(frame.cookie, "");
      frame.headers = { "X-Redclaw-Visitor": pass };
      assert.equal((await frame.listen()).heard[0]?.data.visitor, visitor);
      assert.equal((await frame.say("from the widget")).status, 202);
      assert.equal(accepted(site)[0]?.visitor, visitor);
    });

    it("a foreign site is refused with a sentence, its own and listed ones are not", async () => {
      const site = await open({
        settings: { options: { allowOrigins: "https://shop.example/, https://*.friends.example" } },
      });
      const visitor = await visit(site);
      const { host } = new URL(site.base);
      const from = (headers: Record<string, string>) =>
        visitor.post("messages", { nonce: `n-${Math.random()}`.replace(".", ""), text: "x" }, headers);
      for (const Origin of [
        "https://evil.example",
        "null",
        "https://shop.example.evil.example",
        "https://friends.example",
        "http://shop.example",
      ]) {
        const { status, ...rest } = await refusal(await from({ Origin }));
        assert.equal(status, 403, Origin);
        assert.match(JSON.stringify(rest), /may not use this chat/);
        const events = await Listening.open(`${site.base}events`, { ...visitor.known, Origin });
        assert.equal(events.response.status, 403);
      }
      assert.equal((await from({ "Sec-Fetch-Site": "cross-site" })).status, 403);
      assert.equal((await from({ Origin: `http://${host}` })).status, 202);
      assert.equal(
        (await from({ Origin: "https://chat.example", "X-Forwarded-Host": "chat.example:443" })).status,
        202,
      );
      assert.equal(
        (await from({ Origin: "https://behind-a-proxy.example", "Sec-Fetch-Site": "same-origin" })).status,
        202,
      );
      const listed = await from({ Origin: "https://shop.example" });
      assert.equal(listed.status, 202);
      assert.equal(listed.headers.get("access-control-allow-origin"), "https://shop.example");
      assert.equal(listed.headers.get("access-control-allow-credentials"), null);
      assert.equal((await from({ Origin: "https://a.friends.example" })).status, 202);
    });

    it("the page may only be framed by itself and the listed sites", async () => {
      const site = await open({
        settings: { options: { allowOrigins: "https://shop.example javascript:x ; 'unsafe-inline'" } },
      });
      const policy = (await fetch(`${site.base}?embed=1`)).headers.get("content-security-policy") ?? "";
      assert.match(policy, /frame-ancestors 'self' https:\/\/shop\.example$/);
      assert.match(policy, /script-src 'self';/);
      assert.match(policy, /default-src 'none'/);
    });

    it("a post without our header or without JSON is refused: another site could have made it", async () => {
      const site = await open();
      const visitor = await visit(site);
      const body = JSON.stringify({ nonce: "nonce-12345", text: "x" });
      const plain = await fetch(`${site.base}messages`, {
        method: "POST",
        headers: { Cookie: visitor.cookie, "Content-Type": "application/json" },
        body,
      });
      assert.equal(plain.status, 403);
      assert.equal((await visitor.post("messages", body, { "Content-Type": "text/plain" })).status, 415);
      assert.equal(
        (await visitor.post("messages", "nonce=1", { "Content-Type": "application/x-www-form-urlencoded" }))
          .status,
        415,
      );
      assert.deepEqual(accepted(site), []);
    });

    it("too many messages of a visitor are 429 with the seconds to wait", async () => {
      const site = await open();
      const visitor = await visit(site);
      const answers = await Promise.all(Array.from({ length: 14 }, (_, n) => visitor.say(`message ${n}`)));
      const late = answers.filter(({ status }) => status === 429);
      assert.equal(late.length, 4);
      assert.equal(accepted(site).length, 10);
      assert.ok(Number(late[0]?.headers.get("retry-after")) >= 1);
      assert.equal((await (await visit(site)).say("somebody else")).status, 202);
    });

    it("too many messages of an address are 429, also with ever new visitors; names before a proxy's own do not count", async () => {
      const site = await open();
      let refused = 0;
      for (let person = 0; person < 6; person += 1) {
        const visitor = await visit(site);
        for (let n = 0; n < 9; n += 1) {
          visitor.headers = { "X-Forwarded-For": `203.0.113.${n}, 198.51.100.7` };
          if ((await visitor.say("x")).status === 429) refused += 1;
        }
      }
      assert.ok(refused >= 10, `${refused}`);
      const elsewhere = await visit(site);
      elsewhere.headers = { "X-Forwarded-For": "198.51.100.8" };
      assert.equal((await elsewhere.say("x")).status, 202);
    });

    it("all addresses of one IPv6 network count as one: whoever has one has them all", async () => {
      const site = await open();
      const visitor = await visit(site);
      const from = (address: string) => {
        visitor.headers = { "X-Forwarded-For": address };
        return fetch(`${site.base}events`, { headers: visitor.headers });
      };
      let last = 200;
      for (let n = 1; n <= 40 && last === 200; n += 1) {
        const response = await from(`2001:db8:1:2::${n.toString(16)}`);
        last = response.status;
        await response.body?.cancel();
      }
      assert.equal(last, 429);
      const elsewhere = await from("2001:db8:1:3::1");
      assert.equal(elsewhere.status, 200);
      await elsewhere.body?.cancel();
    });

    it("new visitors of one address are limited, known ones are not", async () => {
      const site = await open();
      const known = await visit(site);
      let last = 200;
      for (let n = 0; n < 40 && last === 200; n += 1) {
        const { response, stream } = await Listening.open(`${site.base}events`);
        last = response.status;
        stream.stop();
      }
      assert.equal(last, 429);
      await known.listen();
    });
  });

  describe("a private page", () => {
    const settings = { credentials: { token: "maple-river" }, options: { greeting: "secret greeting" } };

    it("says nothing to whoever has no code, and everything to whoever has", async () => {
      const site = await open({ settings });
      const visitor = await visit(site);
      assert.doesNotMatch(await (await fetch(site.base)).text(), /secret greeting/);
      assert.equal((await refusal(await visitor.say("x"))).status, 401);
      await assert.rejects(visitor.listen(), /401/);
      assert.equal((await visitor.post("access", { token: "maple-rivers" })).status, 401);
      const right = await visitor.post("access", { token: "maple-river" });
      assert.equal(right.status, 200);
      visitor.keepCookies(right);
      assert.match(JSON.stringify((await visitor.listen()).heard[0]), /secret greeting/);
      assert.equal((await visitor.say("x")).status, 202);
    });

    it("a code in the address becomes a cookie and leaves the address", async () => {
      const site = await open({ settings });
      const visitor = new TestVisitor(site.base);
      visitors.push(visitor);
      const response = await fetch(`${site.base}?token=maple-river`, { redirect: "manual" });
      assert.equal(response.status, 302);
      assert.equal(response.headers.get("location"), "./");
      visitor.keepCookies(response);
      await visitor.listen();
    });

    it("guessing is slowed down", async () => {
      const site = await open({ settings });
      const visitor = await visit(site);
      const answers = [];
      for (let n = 0; n < 12; n += 1)
        answers.push((await visitor.post("access", { token: `guess ${n}` })).status);
      assert.equal(answers.at(-1), 429);
      assert.equal((await visitor.post("access", { token: "maple-river" })).status, 429);
    });

    it("guessing is slowed down also for whoever comes from ever new addresses", async () => {
      const site = await open({ settings });
      const visitor = await visit(site);
      const answers = new Set<number>();
      for (let n = 0; n < 80; n += 1) {
        visitor.headers = { "X-Forwarded-For": `198.51.100.${n}` };
        answers.add((await visitor.post("access", { token: `guess ${n}` })).status);
      }
      assert.deepEqual([...answers], [401, 429]);
      assert.equal((await visitor.post("access", { token: "maple-river" })).status, 429);
    });

    it("a new code shuts out whoever only knew the old one", async () => {
      const site = await open({ settings });
      const visitor = await visit(site);
      visitor.keepCookies(await visitor.post("access", { token: "maple-river" }));
      const changed = await open({
        settings: { ...settings, credentials: { token: "other" } },
        kept: site.ctx.kept,
      });
      const response = await fetch(`${changed.base}events`, { headers: visitor.known });
      assert.equal(response.status, 401);
    });
  });

  describe("streams", () => {
    it("all tabs of a visitor hear everything, other visitors nothing", async () => {
      const site = await open();
      const visitor = await visit(site);
      const other = await (await visit(site)).listen();
      const tabs = [await visitor.listen(), await visitor.listen()];
      await visitor.say("from one tab");
      await sayTo(site, tabs[0]?.heard[0]?.data.visitor, "answer");
      for (const tab of tabs) await until(() => tab.messages.length === 2);
      assert.equal(other.messages.length, 0);
    });

    it("after an interruption only what was missed comes, by Last-Event-ID or ?after=, with growing ids", async () => {
      const site = await open();
      const visitor = await visit(site);
      const stream = await visitor.listen();
      const id = stream.heard[0]?.data.visitor;
      await visitor.say("one");
      await sayTo(site, id, "two");
      await until(() => stream.messages.length === 2);
      const seen = stream.heard.at(-1)?.id as number;
      stream.stop();
      const { messageId } = await sayTo(site, id, "three");
      await sayTo(site, id, "four");
      await site.client.edit?.(
        messageId,
        { kind: "text", text: "three, edited", plain: "" },
        { conversation: id },
        { key: "e", signal: site.ctx.signal },
      );
      const again = await visitor.listen(seen);
      assert.deepEqual(
        again.messages.map(({ text }) => text),
        ["four", "three, edited"],
      );
      visitor.headers = { "Last-Event-ID": String(seen) };
      const third = await visitor.listen();
      assert.equal(third.messages.length, 2);
      const ids = third.heard.flatMap(({ id: rev }) => (rev ? [rev] : []));
      assert.ok(ids.every((rev, index) => rev > (ids[index - 1] ?? seen)));
    });

    it("a restart keeps visitors, history and the order of ids", async () => {
      const site = await open();
      const visitor = await visit(site);
      const before = await visitor.listen();
      const id = before.heard[0]?.data.visitor;
      await visitor.say("before");
      await until(() => before.messages.length === 1);
      const seen = before.heard.at(-1)?.id as number;
      await site.close();
      opened.splice(opened.indexOf(site), 1);
      const next = await open({ kept: site.ctx.kept, port: site.port });
      await sayTo(next, id, "while nobody looked");
      const stream = await visitor.listen(seen);
      assert.equal(stream.heard[0]?.data.visitor, id);
      assert.deepEqual(
        stream.messages.map(({ text }) => text),
        ["while nobody looked"],
      );
      assert.ok((stream.heard.find(({ event }) => event === "message")?.id as number) > seen);
      assert.equal((await visitor.listen()).messages.length, 2);
    });

    it("the last 200 messages are kept, not more", async () => {
      const site = await open();
      const visitor = await visit(site);
      const id = (await visitor.listen()).heard[0]?.data.visitor;
      for (let n = 0; n < 230; n += 1) await sayTo(site, id, `message ${n}`);
      const { messages } = await visitor.listen();
      assert.equal(messages.length, 200);
      assert.equal(messages.at(-1).text, "message 229");
    });

    it("says something every heartbeat, so that proxies and pages know that it lives", async () => {
      const site = await open({ heartbeatMs: 20 });
      const stream = await (await visit(site)).listen();
      await until(() => stream.comments >= 3);
    });

    it("proxies are told not to hold it back", async () => {
      const site = await open();
      const { response, stream } = await Listening.open(`${site.base}events`);
      assert.equal(response.headers.get("x-accel-buffering"), "no");
      assert.match(response.headers.get("cache-control") ?? "", /no-cache.*no-transform/);
      stream.stop();
    });

    it("a sixth tab takes the place of the oldest, which is told why", async () => {
      const site = await open();
      const visitor = await visit(site);
      const tabs: Listening[] = [];
      for (let n = 0; n < 6; n += 1) tabs.push(await visitor.listen());
      await until(() => tabs[0]?.ended === true);
      assert.deepEqual(tabs[0]?.heard.at(-1), { event: "bye", data: { reason: "tabs" } });
      assert.equal(tabs[5]?.ended, false);
    });

    it("the status counts visitors, not tabs", async () => {
      const site = await open();
      const visitor = await visit(site);
      await visitor.listen();
      await visitor.listen();
      assert.deepEqual(site.ctx.statuses.at(-1), { state: "connected", identity: "1 visitor" });
      await (await visit(site)).listen();
      assert.deepEqual(site.ctx.statuses.at(-1), { state: "connected", identity: "2 visitors" });
      visitor.leave();
      await until(() => JSON.stringify(site.ctx.statuses.at(-1)).includes("1 visitor"));
    });

    it("closing ends all streams at once and answers 503 from then on", async () => {
      const site = await open();
      const stream = await (await visit(site)).listen();
      const start = Date.now();
      await site.client.close();
      assert.ok(Date.now() - start < 1000);
      await until(() => stream.ended);
      const after = await fetch(site.base);
      assert.equal(after.status, 503);
      assert.ok(after.headers.get("retry-after"));
    });
  });

  describe("addresses", () => {
    it("without its last slash the page leads to the one with it, relatively", async () => {
      const site = await open({ root: "/some/prefix" });
      const response = await fetch(`${site.base.slice(0, -1)}?a=1`, { redirect: "manual" });
      assert.equal(response.status, 302);
      assert.equal(response.headers.get("location"), "./a1b2c3d4/?a=1");
    });

    it("the page names nothing by an absolute address", async () => {
      const html = await (await fetch((await open()).base)).text();
      for (const [, address = ""] of html.matchAll(/(?:src|href|action)="([^"]*)"/g))
        assert.doesNotMatch(address, /^(\/|https?:)/);
    });

    it("a title with markup in it stays text", async () => {
      const site = await open({ settings: { options: { title: `</title><script>x</script>"'&{{js}}` } } });
      assert.doesNotMatch(await (await fetch(site.base)).text(), /<script>x/);
    });

    it("unknown places are 404, and none leads out of the page's folder", async () => {
      const site = await open();
      for (const place of [
        "nothing",
        "files/",
        "files/x",
        "..%2fclient.ts",
        "files/..%2f..%2fetc%2fpasswd",
        "page.html",
        "__proto__",
        "constructor",
      ]) {
        const response = await fetch(site.base + place);
        assert.equal(response.status, 404, place);
      }
      assert.equal((await fetch(site.base, { method: "DELETE" })).status, 404);
    });
  });

  it("Node-RED's own body parser in front changes nothing", async () => {
    const express = (await import("express")).default;
    const site = await open({
      around: (handle) => {
        const app = express();
        app.use(express.json({ limit: "5mb" }), express.urlencoded({ extended: true }));
        app.use(handle);
        return app;
      },
    });
    const visitor = await visit(site);
    assert.equal((await visitor.say("parsed already")).status, 202);
    assert.equal(accepted(site)[0]?.text, "parsed already");
    assert.equal((await visitor.upload(Buffer.from("raw bytes"), "a.txt")).status, 201);
    assert.equal((await visitor.post("messages", "[1]")).status, 400);
  });

  it("nor does one that leaves no mark of its own, nor one that takes every kind of body", async () => {
    const express = (await import("express")).default;
    const site = await open({
      around: (handle) => {
        const app = express();
        app.use(express.json(), express.raw({ type: "*/*", limit: "20mb" }), (request, _response, next) => {
          delete (request as { _body?: boolean })._body; // as Express 5
          next();
        });
        app.use(handle);
        return app;
      },
    });
    const visitor = await visit(site);
    assert.equal((await visitor.say("parsed already")).status, 202);
    assert.equal(accepted(site)[0]?.text, "parsed already");
    assert.equal((await visitor.upload(Buffer.from("raw bytes"), "a.txt")).status, 201);
    assert.equal((await visitor.upload(Buffer.alloc(11 * 1024 * 1024, 1), "a.bin")).status, 413);
  });
});
