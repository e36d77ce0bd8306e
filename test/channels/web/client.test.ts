/** The web channel as the engine uses it: sending, changing, files. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ChannelError } from "../../../lib/errors";
import type { PostedMessage } from "../../../nodes/channels/web/parse";
import { filesIn, type Listening, serveWeb, TestVisitor, until, type WebSite } from "../../platforms/web";

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);

describe("web: client", () => {
  let site: WebSite;
  let visitor: TestVisitor;
  let stream: Listening;
  let to: { conversation: string };
  const options = (key = randomBytes(6).toString("hex")) => ({ key, signal: site.ctx.signal });
  const text = (content: string, more = {}) => ({
    kind: "text" as const,
    text: content,
    plain: content,
    ...more,
  });

  beforeEach(async () => {
    site = await serveWeb();
    visitor = new TestVisitor(site.base);
    await visitor.arrive();
    stream = await visitor.listen();
    to = { conversation: stream.heard[0]?.data.visitor };
  });
  afterEach(async () => {
    visitor.leave();
    await site.close();
  });

  it("sends markdown as text and as safe HTML", async () => {
    await site.client.send(text("**Hi** <img src=x onerror=alert(1)>"), to, options());
    await until(() => stream.messages.length === 1);
    assert.match(stream.messages[0].html, /<strong>Hi<\/strong>/);
    assert.doesNotMatch(stream.messages[0].html, /<img/);
  });

  it("a part without formatting goes out as plain text", async () => {
    await site.client.send({ kind: "text", text: "**a**", plain: "**b**", unformatted: true }, to, options());
    await until(() => stream.messages.length === 1);
    assert.equal(stream.messages[0].text, "**b**");
    assert.equal(stream.messages[0].html, undefined);
  });

  it("the same key sends once, also after a restart", async () => {
    const first = await site.client.send(text("once"), to, options("key-1"));
    const second = await site.client.send(text("once"), to, options("key-1"));
    assert.deepEqual(second, first);
    const next = await serveWeb({ kept: site.ctx.kept });
    try {
      assert.deepEqual(await next.client.send(text("once"), to, options("key-1")), first);
      const returning = new TestVisitor(next.base);
      returning.cookie = visitor.cookie;
      assert.equal((await returning.listen()).messages.length, 1);
      returning.leave();
    } finally {
      await next.close();
    }
  });

  it("a conversation as version 0.1 kept it is there after the update, and goes on", async () => {
    const at = Date.now() - 1000;
    const kept = new Map(site.ctx.kept);
    kept.set(
      "visitors",
      JSON.stringify({ [to.conversation]: at, "away-for-too-long": at - 31 * 86_400_000 }),
    );
    const entries = ["one", "two"].map((said, n) => ({
      id: `id-${n}`,
      seq: at + n,
      rev: at + n,
      at,
      text: said,
      from: n === 0 ? "visitor" : "bot",
      ...(n === 0 ? {} : { key: "key-two" }),
    }));
    kept.set(`log:${to.conversation}`, JSON.stringify({ entries, newest: at + 1 }));
    kept.set("log:away-for-too-long", JSON.stringify({ entries, newest: at + 1 }));
    for (const more of [[], ["three"], ["three", "four"]]) {
      const next = await serveWeb({ kept });
      try {
        assert.deepEqual(await next.client.send(text("two"), to, options("key-two")).then(() => 1), 1);
        for (const said of more) await next.client.send(text(said), to, options(said));
        const returning = new TestVisitor(next.base);
        returning.cookie = visitor.cookie;
        const shown = (await returning.listen()).messages.map((message) => message.text);
        returning.leave();
        assert.deepEqual(shown, ["one", "two", ...more]);
      } finally {
        await next.close();
      }
      assert.deepEqual(
        [...kept.keys()].filter((key) => /^visitors$|^log:|too-long/.test(key)),
        [],
      );
    }
  });

  it("a long conversation costs a message no more than a short one, and its last 200 outlive a restart", async () => {
    const { kept } = site.ctx;
    const big = "x".repeat(1000);
    for (let n = 0; n < 230; n += 1) await site.client.send(text(`${n} ${big}`), to, options(`k${n}`));
    const before = new Map(kept);
    await site.client.send(text("the last"), to, options());
    const changed = [...kept].filter(([key, value]) => before.get(key) !== value);
    assert.ok(changed.reduce((sum, [, value]) => sum + value.length, 0) < 1000);
    assert.ok(kept.size < 215, `${kept.size} rows`);
    const next = await serveWeb({ kept });
    try {
      const returning = new TestVisitor(next.base);
      returning.cookie = visitor.cookie;
      const { messages } = await returning.listen();
      returning.leave();
      assert.equal(messages.length, 200);
      assert.equal(messages.at(-1).text, "the last");
      assert.match(messages[0].text, /^31 /);
    } finally {
      await next.close();
    }
  });

  it("only the last 2,000 visitors are kept, and nothing of the others", async () => {
    const { kept } = site.ctx;
    for (let n = 0; n < 2000; n += 1) kept.set(`visitor/visitor-number-${n}`, "10");
    kept.set("said/visitor-number-0/3", "{}");
    const next = await serveWeb({ kept });
    try {
      const newcomer = new TestVisitor(next.base);
      await newcomer.arrive();
      assert.equal((await newcomer.say("hello")).status, 202);
      await until(() => !kept.has("said/visitor-number-0/3") && !kept.has("visitor/visitor-number-0"));
      assert.ok(kept.has("visitor/visitor-number-1"));
    } finally {
      await next.close();
    }
  });

  it("an answer that could not be stored is not sent, and can be sent again in the same place", async () => {
    site.ctx.forgetWith = new Error("disk full");
    await assert.rejects(
      site.client.send(text("answer"), to, options("key-2")),
      (error: ChannelError) => error.fault === "unavailable" && error.retryable,
    );
    site.ctx.forgetWith = undefined;
    const { messageId } = await site.client.send(text("answer"), to, options("key-2"));
    assert.ok(stream.messages.every(({ id }) => id === messageId));
    assert.equal((await visitor.listen()).messages.length, 1);
  });

  it("edits in place, takes away, and puts a reaction on", async () => {
    const { messageId } = await site.client.send(
      text("first", { buttons: [[{ label: "A" }]] }),
      to,
      options(),
    );
    await site.client.edit?.(messageId, text("second"), to, options());
    await site.client.react?.(messageId, "👍", to, options());
    await until(() => stream.messages.length === 3);
    const last = stream.messages.at(-1);
    assert.deepEqual(
      [last.id, last.text, last.edited, last.reaction, last.buttons],
      [messageId, "second", true, "👍", undefined],
    );
    // The second try of one that was cut off changes nothing more.
    for (const key of ["r", "r"]) await site.client.remove?.(messageId, to, options(key));
    const { messages } = await visitor.listen();
    assert.equal(messages.length, 1);
    assert.equal(messages[0].deleted, true);
    assert.equal(messages[0].text, "");
    await assert.rejects(
      site.client.edit?.(messageId, text("x"), to, options()) as Promise<void>,
      /no longer on the chat page/,
    );
  });

  it("a visitor that never was is a clear refusal, nothing is kept for it", async () => {
    for (const conversation of ["nobody", "AAAAAAAAAAAAAAAAAAAAAA", "../../x", ""]) {
      await assert.rejects(
        site.client.send(text("x"), { conversation }, options()),
        (error: ChannelError) =>
          error instanceof ChannelError && error.fault === "gone" && error.code === "no-such-visitor",
      );
    }
  });

  it("a pressed button comes back with its value; one that was not offered does not", async () => {
    const buttons = [
      [
        { label: "Yes", value: "yes:1" },
        { label: "Docs", url: "https://example.org" },
        { label: "Bad", url: "javascript:alert(1)" },
      ],
    ];
    const { messageId } = await site.client.send(text("Sure?", { buttons }), to, options());
    await until(() => stream.messages.length === 1);
    assert.equal(stream.messages[0].buttons[0][2].url, undefined);
    const pressed = await visitor.post("messages", {
      nonce: "nonce-press",
      button: { messageId, value: "yes:1" },
    });
    assert.equal(pressed.status, 202);
    const [event] = site.client.receive(site.ctx.accepted[0]);
    assert.equal(event?.kind, "button");
    assert.deepEqual(event?.button, { value: "yes:1", label: "Yes", messageId });
    for (const button of [
      { messageId, value: "yes:2" },
      { messageId: "other", value: "yes:1" },
      {},
      7,
      null,
    ]) {
      assert.equal((await visitor.post("messages", { nonce: "nonce-forged", button })).status, 410);
    }
  });

  it("typing is told to open pages and not kept", async () => {
    await site.client.typing?.(to);
    await until(() => stream.heard.some(({ event }) => event === "typing"));
    assert.ok(!(await visitor.listen()).heard.some(({ event }) => event === "typing"));
  });

  it("lists visitors who wrote, by name or id", async () => {
    assert.deepEqual(await site.client.targets?.(""), []);
    await visitor.say("hello");
    const [target] = (await site.client.targets?.(to.conversation.slice(2, 8))) ?? [];
    assert.equal(target?.id, to.conversation);
    assert.match(target?.name ?? "", /^Visitor /);
    assert.deepEqual(await site.client.targets?.("nobody like this"), []);
  });

  describe("files", () => {
    it("go up, into the event, down to the flow, and out to the page again", async () => {
      const file = (await (await visitor.upload(PNG, "my pic.png", "text/html")).json()) as { id: string };
      assert.equal(
        (await visitor.post("messages", { nonce: "nonce-file", text: "", files: [file.id] })).status,
        202,
      );
      const [event] = site.client.receive(site.ctx.accepted[0]);
      assert.deepEqual(event?.attachments, [
        { kind: "image", mime: "image/png", name: "my pic.png", size: PNG.length, ref: file.id },
      ]);
      const opened = await site.client.download?.(file.id, site.ctx.signal);
      assert.deepEqual(opened, { data: PNG, name: "my pic.png", mime: "image/png" });
      const shown = await fetch(`${site.base}files/${file.id}`);
      assert.deepEqual(Buffer.from(await shown.arrayBuffer()), PNG);
      assert.equal(shown.headers.get("content-type"), "image/png");
    });

    it("of the bot are kept and shown; their type is what they are, not what they claim", async () => {
      const attachment = {
        kind: "image" as const,
        data: Buffer.from("<svg onload=alert(1)>").toString("base64"),
        name: "x.png",
        mime: "image/png",
      };
      await site.client.send(
        { kind: "file", file: attachment, caption: "*look*", captionPlain: "look" },
        to,
        options(),
      );
      await until(() => stream.messages.length === 1);
      const [file] = stream.messages[0].files;
      assert.equal(file.kind, "file");
      assert.match(stream.messages[0].html, /<em>look/);
      const response = await fetch(`${site.base}files/${file.id}`);
      assert.equal(response.headers.get("content-type"), "application/octet-stream");
    });

    it("that could do something are only saved, never shown", async () => {
      for (const [name, content] of [
        ["a.html", "<script>alert(1)</script>"],
        ["a.svg", "<svg/>"],
        ["a.pdf", "%PDF-1.7"],
        ["a.js", "alert(1)"],
      ] as const) {
        const { id } = (await (await visitor.upload(Buffer.from(content), name, "text/html")).json()) as {
          id: string;
        };
        const { headers } = await fetch(`${site.base}files/${id}`);
        assert.equal(headers.get("content-type"), "application/octet-stream");
        assert.match(headers.get("content-disposition") ?? "", /^attachment/);
        assert.equal(headers.get("x-content-type-options"), "nosniff");
        assert.match(headers.get("content-security-policy") ?? "", /sandbox/);
      }
    });

    it("names cannot carry folders, line breaks or turned writing", async () => {
      const { name, id } = (await (
        await visitor.upload(PNG, '../../etc/\u202egnp\r\nSet-Cookie: x=1".png')
      ).json()) as { name: string; id: string };
      assert.equal(name, "gnpSet-Cookie_ x=1_.png");
      const { headers } = await fetch(`${site.base}files/${id}`);
      assert.equal(headers.get("set-cookie"), null);
    });

    it("over 10 MB and empty ones are refused with a sentence", async () => {
      const big = await visitor.upload(new Uint8Array(10 * 1024 * 1024 + 1), "big.bin");
      assert.equal(big.status, 413);
      assert.match(await big.text(), /10 MB/);
      assert.equal((await visitor.upload(new Uint8Array(0), "empty")).status, 400);
      assert.equal((await visitor.upload(new Uint8Array(10 * 1024 * 1024), "fits.bin")).status, 201);
    });

    it("of somebody else, or unknown ones, cannot be sent along", async () => {
      const { id } = (await (await visitor.upload(PNG, "mine.png")).json()) as { id: string };
      const other = new TestVisitor(site.base);
      await other.arrive();
      for (const file of [id, "v".repeat(23), "../x", 7, null]) {
        assert.equal(
          (await other.post("messages", { nonce: "nonce-theft", text: "x", files: [file] })).status,
          410,
        );
      }
      assert.equal(
        (await other.post("messages", { nonce: "nonce-many", text: "x", files: Array(6).fill(id) })).status,
        400,
      );
    });

    it("can be asked for in part, as players do", async () => {
      const { id } = (await (await visitor.upload(Buffer.from("0123456789"), "a.bin")).json()) as {
        id: string;
      };
      const get = async (Range: string) => {
        const response = await fetch(`${site.base}files/${id}`, { headers: { Range } });
        return [response.status, await response.text(), response.headers.get("content-range")];
      };
      assert.deepEqual(await get("bytes=2-4"), [206, "234", "bytes 2-4/10"]);
      assert.deepEqual(await get("bytes=7-"), [206, "789", "bytes 7-9/10"]);
      assert.deepEqual(await get("bytes=-3"), [206, "789", "bytes 7-9/10"]);
      assert.deepEqual(await get("bytes=50-"), [416, "", "bytes */10"]);
      assert.equal((await get("bytes=x"))[0], 200);
    });

    it("whose account or secret is gone leave the disk after 30 days, and nothing else does", async () => {
      await visitor.upload(PNG, "first.png");
      const long = new Date(Date.now() - 31 * 24 * 3_600_000);
      const left = (name: string, old: boolean) => {
        const folder = path.join(filesIn, name);
        mkdirSync(folder, { recursive: true });
        writeFileSync(path.join(folder, "v"), "x");
        if (old) utimesSync(folder, long, long);
        return folder;
      };
      const gone = left(`redclaw-web-${"0".repeat(32)}`, true);
      const stay = [left(`redclaw-web-${"1".repeat(32)}`, false), left("redclaw-web-notes", true)];
      const next = await serveWeb({ kept: site.ctx.kept });
      try {
        const other = new TestVisitor(next.base);
        await other.arrive();
        assert.equal((await other.upload(PNG, "second.png")).status, 201);
        assert.deepEqual([gone, ...stay].map(existsSync), [false, true, true]);
      } finally {
        await next.close();
      }
    });

    it("outlive a restart, and are unreadable on the disk", async () => {
      const stored = await visitor.upload(Buffer.from("CANARY-1234567890"), "secret-name.txt");
      const { id } = (await stored.json()) as { id: string };
      const kept = readdirSync(filesIn, { recursive: true, encoding: "utf8" }).find((name) =>
        name.endsWith(id),
      );
      assert.ok(kept);
      assert.doesNotMatch(readFileSync(path.join(filesIn, kept), "latin1"), /CANARY|secret-name/);
      const next = await serveWeb({ kept: site.ctx.kept });
      assert.equal(String((await next.client.download?.(id, next.ctx.signal))?.data), "CANARY-1234567890");
      await next.close();
    });
  });

  it("no token or text of a visitor is ever logged", async () => {
    site.ctx.refuseWith = new Error("store is away");
    await visitor.say("very private words");
    assert.ok(site.ctx.logged.length > 0);
    assert.doesNotMatch(site.ctx.logged.join("\n"), /very private words|v1\./);
    assert.ok((site.ctx.accepted as PostedMessage[]).length === 0);
  });
});
