/** Sending: every part arrives as what it is, and every "no" of Telegram's becomes the right kind of fault. */
import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import type { OpenedFile } from "../../../lib/channel/define";
import { ChannelError, type Fault } from "../../../lib/errors";
import { accountOn, ada, connected, file, quickConnect, sending, startServer, text } from "./bench";

/** Checks the kind of fault and that no secret stands anywhere in it. */
const faultIs = (fault: Fault, words?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ChannelError, inspect(error));
  assert.equal(error.fault, fault, error.message);
  if (words) assert.match(error.message, words);
  assert.equal(/AAE4f0z/.test(inspect(error, { depth: 9 })), false, "the token stands in the error");
  return true;
};

describe("telegram sending text", () => {
  it("sends HTML and answers with Telegram's own number of the message", async () => {
    const { server, client } = await connected();
    const { messageId } = await client.send(text("<b>Hi</b> &amp; bye"), ada, sending());
    assert.deepEqual(server.calls("sendMessage")[0]?.args, {
      chat_id: 4242,
      text: "<b>Hi</b> &amp; bye",
      parse_mode: "HTML",
    });
    assert.equal(messageId, String(server.sent[0]?.message_id));
    assert.equal(server.sent[0]?.text, "Hi & bye");
  });

  it("formatting that Telegram cannot read is a fault of formatting, and the second try goes out plain", async () => {
    const { server, client } = await connected();
    const part = text("<ul>a < b</ul>", { plain: "a < b" });
    await assert.rejects(client.send(part, ada, sending()), faultIs("formatting"));
    await client.send({ ...part, unformatted: true }, ada, sending());
    assert.equal(server.sent[0]?.text, "a < b");
    assert.equal("parse_mode" in (server.calls("sendMessage")[1]?.args ?? {}), false);
  });

  it("puts topic, reply, silence and buttons where Telegram wants them", async () => {
    const { server, client } = await connected();
    const buttons = [
      [
        { label: "On", value: "on" },
        { label: "Site", url: "https://example.com" },
      ],
      [{ label: "Yes" }],
    ];
    await client.send(
      text("x", { replyTo: "77", silent: true, buttons }),
      { conversation: "-1005", thread: "9" },
      sending(),
    );
    assert.deepEqual(server.calls("sendMessage")[0]?.args, {
      chat_id: -1005,
      message_thread_id: 9,
      text: "x",
      parse_mode: "HTML",
      reply_parameters: { message_id: 77, allow_sending_without_reply: true },
      disable_notification: true,
      reply_markup: {
        inline_keyboard: [
          [
            { text: "On", callback_data: "on" },
            { text: "Site", url: "https://example.com" },
          ],
          [{ text: "Yes", callback_data: "Yes" }],
        ],
      },
    });
  });

  it("a button value longer than 64 bytes comes back whole, also after a restart", async () => {
    const { server, account, client } = await connected();
    const long = `{"scene":"${"é".repeat(60)}","room":7}`;
    await client.send(
      text("x", {
        buttons: [
          [
            { label: "A", value: long },
            { label: "B", value: "short" },
          ],
        ],
      }),
      ada,
      sending(),
    );
    const message = server.sent[0];
    const rows = (message as unknown as { reply_markup: { inline_keyboard: { callback_data: string }[][] } })
      .reply_markup;
    const data = rows.inline_keyboard[0]?.[0]?.callback_data as string;
    assert.ok(Buffer.byteLength(data) <= 64);
    assert.equal(rows.inline_keyboard[0]?.[1]?.callback_data, "short");
    await account.close();
    const later = accountOn(server, { disk: account.disk });
    await later.connect();
    server.push({ callback_query: { id: "1", from: server.person(), chat_instance: "1", data, message } });
    await later.until(() => later.events.length === 1 && server.methods.answered.includes("1"));
    assert.equal(later.events[0]?.button?.value, long);
    assert.equal(later.events[0]?.button?.label, "A");
  });

  it("a group that became a supergroup is followed to its new id", async () => {
    const { server, client } = await connected();
    const upgraded = "Bad Request: group chat was upgraded to a supergroup chat";
    server.fail("sendMessage", { kind: "error", code: 400, description: upgraded, migrateTo: -1007 });
    await client.send(text("x"), { conversation: "-42" }, sending());
    await client.send(text("y"), { conversation: "-42" }, sending());
    assert.deepEqual(
      server.calls("sendMessage").map(({ args }) => args["chat_id"]),
      [-42, -1007, -1007],
    );
  });

  it("a chat that is no chat is refused before anything is sent", async () => {
    const { server, client } = await connected();
    for (const conversation of ["", "kitchen", "1 2", "4242x", "@a b"]) {
      await assert.rejects(
        client.send(text("x"), { conversation }, sending()),
        faultIs("refused", /not a Telegram chat/),
      );
    }
    await client.send(text("x"), { conversation: "@garden_news" }, sending());
    assert.equal(server.calls("sendMessage").length, 1);
  });
});

describe("telegram sending files", () => {
  const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.alloc(70_000, 7)]);

  it("bytes, a file on disk and a received file are uploaded whole, with their names", async () => {
    const { server, account, client } = await connected();
    const path = join(await mkdtemp(join(tmpdir(), "redclaw-telegram-")), "Rechnung März; 7.pdf");
    await writeFile(path, "%PDF-1.7");
    await client.send(
      file({ kind: "image", data: jpeg.toString("base64"), mime: "image/jpeg", name: "cat.jpg" }),
      ada,
      sending(),
    );
    await client.send(file({ kind: "file", path, mime: "application/pdf" }), ada, sending());
    account.ctx.open = async () => ({ data: Buffer.from("OggS"), name: "v.oga", mime: "audio/ogg" });
    await client.send(file({ kind: "voice", ref: "acc1:AwAC" }), ada, sending());
    const uploads = [...server.methods.uploads.values()];
    assert.deepEqual(uploads[0], { filename: "cat.jpg", data: jpeg });
    assert.deepEqual(uploads[1], { filename: "Rechnung März_ 7.pdf", data: Buffer.from("%PDF-1.7") });
    assert.deepEqual(uploads[2]?.data, Buffer.from("OggS"));
    assert.deepEqual(
      server.journal.map(({ method }) => method).filter((method) => method.startsWith("send")),
      ["sendPhoto", "sendDocument", "sendVoice"],
    );
  });

  it("a caption keeps its formatting, and goes out plain on the second try", async () => {
    const { server, client } = await connected();
    const part = file(
      { kind: "image", url: "https://example.com/cat.png" },
      { caption: "<i>cat</i> &amp; dog", captionPlain: "cat & dog", buttons: [[{ label: "A", value: "a" }]] },
    );
    await client.send(part, ada, sending());
    await client.send({ ...part, unformatted: true }, ada, sending());
    const [first, second] = server.calls("sendPhoto").map(({ args }) => args);
    assert.equal(first?.["photo"], "https://example.com/cat.png");
    assert.equal(first?.["parse_mode"], "HTML");
    assert.deepEqual([second?.["caption"], second?.["parse_mode"]], ["cat & dog", undefined]);
    assert.equal(server.sent[0]?.caption, "cat & dog");
    assert.ok(server.sent[0]?.reply_markup);
  });

  it("an address that Telegram cannot fetch is fetched by us and uploaded", async () => {
    const { server, account, client } = await connected();
    const url = "https://camera.example.com/now.jpg";
    server.methods.unreachable.add(url);
    account.ctx.open = async () => ({ data: jpeg, name: "now.jpg", mime: "image/jpeg" });
    await client.send(file({ kind: "image", url }), ada, sending());
    assert.deepEqual([...server.methods.uploads.values()][0]?.data, jpeg);
    assert.equal(server.sent.length, 1);
  });

  it("an address on the local network is never shown to Telegram", async () => {
    const { server, account, client } = await connected();
    account.ctx.open = async () => ({ data: jpeg, name: "now.jpg", mime: "image/jpeg" });
    const local = [
      "http://192.168.1.7/a.jpg",
      "https://10.0.0.3/a.jpg",
      "https://camera.local/a.jpg",
      "https://camera/a.jpg",
      "https://[::1]/a.jpg",
      "https://u:p@example.com/a.jpg",
    ];
    for (const url of local) await client.send(file({ kind: "image", url }), ada, sending());
    const shown = JSON.stringify(server.calls("sendPhoto").map(({ args }) => args));
    assert.equal(/192\.168|10\.0|camera|::1|u:p/.test(shown), false, shown);
    assert.equal(server.methods.uploads.size, local.length);
  });

  it("what is no photo for Telegram goes as a file: too large, of another kind, or refused", async () => {
    const { server, account, client } = await connected();
    const opened: OpenedFile[] = [
      { data: Buffer.alloc(11 * 1024 * 1024, 1), name: "big.jpg", mime: "image/jpeg" },
      { data: Buffer.from("<svg/>"), name: "plan.svg", mime: "image/svg+xml" },
      { data: jpeg, name: "wide.jpg", mime: "image/jpeg" },
      { data: Buffer.from("GIF89a"), name: "a.gif", mime: "image/gif" },
    ];
    server.fail("sendPhoto", {
      kind: "error",
      code: 400,
      description: "Bad Request: PHOTO_INVALID_DIMENSIONS",
    });
    for (const one of opened) {
      account.ctx.open = async () => one;
      await client.send(file({ kind: "image", path: "/x" }), ada, sending());
    }
    assert.deepEqual(
      server.journal.map(({ method }) => method).filter((method) => method.startsWith("send")),
      ["sendDocument", "sendDocument", "sendPhoto", "sendDocument", "sendAnimation"],
    );
    assert.equal(server.sent.length, 4);
  });

  it("a file that could not be fetched is no half-sent message", async () => {
    const { account, client } = await connected();
    account.ctx.open = () => Promise.reject(new ChannelError("interrupted", "The download broke off."));
    await assert.rejects(
      client.send(file({ kind: "file", path: "/x" }), ada, sending()),
      faultIs("unreachable"),
    );
  });

  it("50 MB arrive whole", async () => {
    const { server, account, client } = await connected();
    const data = Buffer.alloc(50 * 1024 * 1024 - 2000, 3);
    account.ctx.open = async () => ({ data, name: "film.mp4", mime: "video/mp4" });
    await client.send(file({ kind: "video", path: "/x" }), ada, sending());
    assert.equal([...server.methods.uploads.values()][0]?.data.length, data.length);
  });
});

describe("telegram changing what was said", () => {
  it("edits, and an edit that changes nothing is a success", async () => {
    const { server, client } = await connected();
    const { messageId } = await client.send(text("one"), ada, sending());
    await client.edit?.(
      messageId,
      text("<b>two</b>", { buttons: [[{ label: "A", value: "a" }]] }),
      ada,
      sending(),
    );
    await client.edit?.(
      messageId,
      text("<b>two</b>", { buttons: [[{ label: "A", value: "a" }]] }),
      ada,
      sending(),
    );
    assert.equal(server.sent[0]?.text, "two");
    await assert.rejects(
      async () => client.edit?.(messageId, text("<b>three"), ada, sending()),
      faultIs("formatting"),
    );
  });

  it("edits the caption of a picture", async () => {
    const { server, client } = await connected();
    const { messageId } = await client.send(
      file({ kind: "image", url: "https://example.com/a.png" }, { caption: "one" }),
      ada,
      sending(),
    );
    await client.edit?.(messageId, text("two"), ada, sending());
    assert.equal(server.sent[0]?.caption, "two");
  });

  it("deletes, and what is gone already is a success", async () => {
    const { server, client } = await connected();
    const { messageId } = await client.send(text("one"), ada, sending());
    await client.remove?.(messageId, ada, sending());
    await client.remove?.(messageId, ada, sending());
    assert.equal(server.sent.length, 0);
  });

  it("reacts, takes the reaction back, and says which emoji work", async () => {
    const { server, client } = await connected();
    await client.react?.("7", "❤️", ada, sending());
    assert.deepEqual(server.methods.reactions.get("4242:7"), [{ type: "emoji", emoji: "❤" }]);
    await client.react?.("7", "", ada, sending());
    assert.deepEqual(server.methods.reactions.get("4242:7"), []);
    await assert.rejects(
      async () => client.react?.("7", "🦞", ada, sending()),
      faultIs("refused", /does not allow this emoji/),
    );
  });

  it("shows that somebody is typing, in the topic too", async () => {
    const { server, client } = await connected();
    await client.typing?.({ conversation: "-1005", thread: "9" });
    assert.deepEqual(server.calls("sendChatAction")[0]?.args, {
      chat_id: -1005,
      action: "typing",
      message_thread_id: 9,
    });
  });
});

describe("telegram saying no", () => {
  it("every answer of Telegram's is the right kind of fault", async () => {
    const { server, client } = await connected();
    const cases: [number, string, Fault][] = [
      [400, 'Bad Request: can\'t parse entities: Unsupported start tag "x"', "formatting"],
      [400, "Bad Request: chat not found", "gone"],
      [400, "Bad Request: message thread not found", "gone"],
      [403, "Forbidden: bot was blocked by the user", "gone"],
      [403, "Forbidden: bot was kicked from the supergroup chat", "gone"],
      [403, "Forbidden: something new", "gone"],
      [400, "Bad Request: not enough rights to send text messages to the chat", "refused"],
      [400, "Bad Request: message is too long", "refused"],
      [413, "Request Entity Too Large", "refused"],
      [404, "Not Found: method not found", "refused"],
      [409, "Conflict: terminated by other getUpdates request", "conflict"],
      [500, "Internal Server Error", "unavailable"],
      [502, "Bad Gateway", "unavailable"],
      [504, "Gateway Timeout", "interrupted"],
    ];
    for (const [code, description, fault] of cases) {
      server.fail("sendMessage", { kind: "error", code, description });
      await assert.rejects(client.send(text("x"), ada, sending()), faultIs(fault), description);
    }
    assert.equal(server.sent.length, 0);
  });

  it("too fast: the fault says for how long, to the millisecond", async () => {
    const { server, client } = await connected();
    server.fail("sendMessage", { kind: "rate", retryAfter: 17 });
    await assert.rejects(client.send(text("x"), ada, sending()), (error) => {
      faultIs("rate")(error);
      assert.equal((error as ChannelError).retryAfterMs, 17_000);
      return true;
    });
  });

  it("too fast in one chat concerns that chat; in two people's chats at once, or without a chat, the whole bot", async () => {
    const { server, account, client } = await connected();
    const scopeOf = async (conversation: string, retryAfter = 1) => {
      server.fail("sendMessage", { kind: "rate", retryAfter });
      const error = await client.send(text("x"), { conversation }, sending()).catch((thrown) => thrown);
      faultIs("rate")(error);
      return (error as ChannelError).scope;
    };
    assert.equal(await scopeOf("11"), "chat");
    assert.equal(await scopeOf("11"), "chat");
    assert.equal(await scopeOf("-100"), "chat");
    assert.equal(await scopeOf("-200"), "chat");
    assert.equal(await scopeOf("22"), "account");
    server.fail("sendChatAction", { kind: "rate", retryAfter: 2 });
    await assert.rejects(async () => client.typing?.({ conversation: "-300" }), faultIs("rate"));
    assert.deepEqual(account.ctx.slowed, [{ forMs: 2000, chat: "-300" }]);
    server.fail("getFile", { kind: "rate", retryAfter: 2 });
    const error = await client.download?.("F", new AbortController().signal).catch((thrown) => thrown);
    assert.equal((error as ChannelError).scope, "account");
  });

  it("a gateway in front that says slow down, sends us on or asks for a login is read as that", async () => {
    const { server, client } = await connected();
    const pages: [number, Fault][] = [
      [429, "rate"],
      [301, "refused"],
      [401, "refused"],
      [500, "interrupted"],
      [502, "unavailable"],
      [503, "unavailable"],
      [504, "interrupted"],
      [200, "interrupted"],
    ];
    for (const [status, fault] of pages) {
      server.fail("sendMessage", { kind: "page", status });
      await assert.rejects(client.send(text("x"), ada, sending()), faultIs(fault), String(status));
      server.fail("sendMessage", { kind: "page", status, body: '{"hello":"world"}' });
      await assert.rejects(client.send(text("x"), ada, sending()), faultIs(fault), `${status} with JSON`);
    }
    server.fail("sendMessage", { kind: "page", status: 200, body: '{"ok":true,"result":true}' });
    await assert.rejects(client.send(text("x"), ada, sending()), faultIs("interrupted"));
    assert.equal(server.sent.length, 0);
  });

  it("a request cut off after sending is ambiguous, a server that is not there is not", async () => {
    const { server, client } = await connected();
    server.fail("sendMessage", { kind: "drop-after" });
    await assert.rejects(client.send(text("x"), ada, sending()), faultIs("interrupted"));
    assert.equal(server.sent.length, 1);
    server.fail("sendMessage", { kind: "slow", ms: 1500 });
    await assert.rejects(client.send(text("x"), ada, sending()), faultIs("interrupted", /in time/));
    server.fail("sendMessage", { kind: "page", status: 500 });
    await assert.rejects(client.send(text("x"), ada, sending()), faultIs("interrupted"));
    server.fail("sendMessage", { kind: "page", status: 503 });
    await assert.rejects(client.send(text("x"), ada, sending()), faultIs("unavailable"));
    await server.stop();
    // The line that was open just now ends; from then on nobody is there.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await assert.rejects(client.send(text("x"), ada, sending()), faultIs("unreachable"));
  });

  it("an upload cut off in the middle is ambiguous and leaves nothing behind", async () => {
    const server = await startServer();
    const trap = createTcpServer((socket) =>
      socket.once("data", () => setTimeout(() => socket.destroy(), 20)),
    );
    await new Promise<void>((resolve) => trap.listen(0, "127.0.0.1", resolve));
    const account = accountOn(server);
    const client = await account.connect();
    const trapped = accountOn(server, {
      apiRoot: `http://127.0.0.1:${(trap.address() as AddressInfo).port}`,
    });
    const uploading = await trapped.connect(quickConnect, { test: true });
    const part = file({ kind: "file", data: Buffer.alloc(5_000_000).toString("base64"), name: "a.bin" });
    await assert.rejects(uploading.send(part, ada, sending()), faultIs("interrupted"));
    await client.send(text("still fine"), ada, sending());
    await new Promise((resolve) => trap.close(resolve));
  });

  it("a send that its lane gives up ends at once", async () => {
    const { server, client } = await connected();
    server.fail("sendMessage", { kind: "slow", ms: 900 });
    const giveUp = new AbortController();
    const started = Date.now();
    const sent = client.send(text("x"), ada, { key: "k", signal: giveUp.signal });
    setTimeout(() => giveUp.abort(), 50);
    await assert.rejects(sent, faultIs("interrupted"));
    assert.ok(Date.now() - started < 500);
    await assert.rejects(
      client.send(text("x"), ada, { key: "k", signal: giveUp.signal }),
      faultIs("unreachable"),
    );
  });
});

describe("telegram files and identity", () => {
  it("downloads a received file through the account's own server", async () => {
    const { server, client } = await connected();
    server.addFile({ file_id: "F1", file_path: "photos/file 7.jpg", data: Buffer.from("jpeg!") });
    const opened = await client.download?.("F1", new AbortController().signal);
    assert.deepEqual(opened, { data: Buffer.from("jpeg!"), name: "file 7.jpg", mime: "image/jpeg" });
  });

  it("above 20 MB it says what the limit is", async () => {
    const { server, client } = await connected();
    server.addFile({
      file_id: "BIG",
      file_path: "videos/a.mp4",
      data: Buffer.alloc(1),
      file_size: 21 * 1024 * 1024,
    });
    await assert.rejects(
      async () => client.download?.("BIG", new AbortController().signal),
      (error) => {
        assert.match((error as Error).message, /20 MB/);
        assert.equal((error as ChannelError).code, "too-large");
        return faultIs("refused")(error);
      },
    );
  });

  it("a file that is gone, a place and a broken download are faults with a sentence", async () => {
    const { server, client } = await connected();
    const { signal } = new AbortController();
    await assert.rejects(async () => client.download?.("nope", signal), faultIs("refused"));
    await assert.rejects(async () => client.download?.("geo:1,2", signal), faultIs("refused"));
    server.addFile({ file_id: "F2", file_path: "a/b.bin", data: Buffer.from("x") });
    server.fail("getFile", { kind: "drop-before" });
    await assert.rejects(async () => client.download?.("F2", signal), faultIs("interrupted"));
  });

  it("the connection test names the bot and shows its picture without its address", async () => {
    const server = await startServer();
    server.addFile({ file_id: "profile", file_path: "profile/a.jpg", data: Buffer.from("face") });
    const client = await accountOn(server).connect(quickConnect, { test: true });
    assert.deepEqual(await client.test?.(), {
      name: "@crayfish_test_bot",
      sentence: "Connected as @crayfish_test_bot.",
      picture: `data:image/jpeg;base64,${Buffer.from("face").toString("base64")}`,
    });
    assert.deepEqual(
      [...new Set(server.journal.map(({ method }) => method))],
      ["getMe", "getUserProfilePhotos", "getFile", "file"],
    );
  });

  it("the connection test of a wrong token says where to get the right one", async () => {
    const server = await startServer();
    const client = await accountOn(server, { credentials: { token: "99:wrong" } }).connect(quickConnect, {
      test: true,
    });
    await assert.rejects(async () => client.test?.(), faultIs("auth", /@BotFather/));
  });

  it("a server that answers nonsense is no reason to fall over", async () => {
    const server = await startServer();
    const nonsense = createServer((_, response) =>
      response.writeHead(200, { "content-type": "application/json" }).end("{"),
    );
    await new Promise<void>((resolve) => nonsense.listen(0, "127.0.0.1", resolve));
    const account = accountOn(server, {
      apiRoot: `http://127.0.0.1:${(nonsense.address() as AddressInfo).port}`,
    });
    await assert.rejects(account.connect(), faultIs("interrupted"));
    nonsense.closeAllConnections();
    await new Promise((resolve) => nonsense.close(resolve));
  });
});
