/** Our Telegram server is honest: grammY's own Bot, which nobody here wrote, works against it. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Bot, GrammyError, InlineKeyboard, InputFile } from "grammy";
import { parseTelegramHtml } from "../../platforms/telegram/html";
import { startServer } from "./bench";

describe("the test Telegram server", () => {
  it("grammY's Bot polls it, answers, confirms what it read and stops", async () => {
    const server = await startServer();
    const bot = new Bot(server.token, { client: { apiRoot: server.url } });
    bot.command("start", (ctx) => ctx.reply(`<b>hi ${ctx.from?.first_name}</b>`, { parse_mode: "HTML" }));
    bot.on("callback_query:data", (ctx) => ctx.answerCallbackQuery());
    bot.on("message:photo", (ctx) => ctx.replyWithPhoto(new InputFile(Buffer.from("jpeg"), "a.jpg")));
    const running = bot.start({ timeout: 1 });
    server.say("/start");
    server.say("", {
      extra: { text: undefined, photo: [{ file_id: "a", file_unique_id: "b", width: 1, height: 1 }] },
    });
    await until(() => server.sent.length === 2);
    assert.equal(server.sent[0]?.text, "hi Ada");
    assert.deepEqual(server.sent[0]?.entities, [{ type: "bold", offset: 0, length: 6 }]);
    assert.deepEqual([...server.methods.uploads.values()][0]?.data, Buffer.from("jpeg"));
    server.push({
      callback_query: {
        id: "77",
        from: server.person(),
        chat_instance: "1",
        data: "x",
        message: server.sent[0],
      },
    });
    await until(() => server.methods.answered.includes("77"));
    await bot.stop();
    await running;
    assert.equal(server.pending.length, 0);
  });

  it("gives 409 to a poller when another one comes", async () => {
    const server = await startServer();
    const first = new Bot(server.token, { client: { apiRoot: server.url } }).api;
    const waiting = first.getUpdates({ timeout: 5 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = first.getUpdates({ timeout: 0 });
    await assert.rejects(waiting, (error) => error instanceof GrammyError && error.error_code === 409);
    assert.deepEqual(await second, []);
  });

  it("keeps an update until it is confirmed, and honours limit and negative offsets", async () => {
    const server = await startServer();
    const { api } = new Bot(server.token, { client: { apiRoot: server.url } });
    const [a, b, c] = [server.say("a"), server.say("b"), server.say("c")];
    assert.equal((await api.getUpdates({ limit: 2 })).length, 2);
    assert.equal((await api.getUpdates()).length, 3);
    assert.deepEqual(
      (await api.getUpdates({ offset: b.update_id })).map((one) => one.update_id),
      [b.update_id, c.update_id],
    );
    assert.equal(
      server.pending.some((one) => one.update_id === a.update_id),
      false,
    );
    assert.deepEqual(
      (await api.getUpdates({ offset: -1 })).map((one) => one.update_id),
      [c.update_id],
    );
  });

  it("refuses what Telegram refuses, in Telegram's words", async () => {
    const server = await startServer();
    const { api } = new Bot(server.token, { client: { apiRoot: server.url } });
    const html = (text: string) => api.sendMessage(5, text, { parse_mode: "HTML" });
    const said = (words: RegExp) => (error: unknown) =>
      error instanceof GrammyError && words.test(error.description);
    await assert.rejects(
      html("<b>x"),
      said(/can't parse entities: Can't find end tag corresponding to start tag "b"/),
    );
    await assert.rejects(
      html("<ul>x</ul>"),
      said(/can't parse entities: Unsupported start tag "ul" at byte offset 0/),
    );
    await assert.rejects(
      html("é <i>x</b>"),
      said(/Unmatched end tag at byte offset 7, expected "<\/i>", found "<\/b>"/),
    );
    await assert.rejects(html("a < b > c"), said(/Unsupported start tag ""/));
    await assert.rejects(html("<b> </b>"), said(/message text is empty/));
    await assert.rejects(api.sendMessage(5, "x".repeat(4097)), said(/message is too long/));
    assert.equal((await html(`<b>${"🦞".repeat(2048)}</b>&amp;`.replace("&amp;", ""))).text?.length, 4096);
    await assert.rejects(html(`${"🦞".repeat(2048)}&amp;`), said(/message is too long/));
    const keyboard = new InlineKeyboard().text("a", "é".repeat(33));
    await assert.rejects(api.sendMessage(5, "x", { reply_markup: keyboard }), said(/BUTTON_DATA_INVALID/));
    await assert.rejects(
      api.sendPhoto(5, new InputFile(Buffer.alloc(11 * 1024 * 1024), "a.jpg")),
      said(/Too Large/),
    );
    await assert.rejects(
      new Bot("1:wrong", { client: { apiRoot: server.url } }).api.getMe(),
      said(/Unauthorized/),
    );
  });

  it("reads entities with the offsets Telegram uses", () => {
    assert.deepEqual(parseTelegramHtml('🦞 <a href="https://x.y/?a&amp;b"><i>link</i></a> &lt;&#33;&copy;'), {
      text: "🦞 link <!&copy;",
      entities: [
        { type: "italic", offset: 3, length: 4 },
        { type: "text_link", offset: 3, length: 4, url: "https://x.y/?a&b" },
      ],
    });
  });

  it("delivers to a webhook with the secret, and again until it is taken", async () => {
    const server = await startServer();
    const seen: [string | undefined, number][] = [];
    const receiver = createServer((request, response) => {
      const secret = request.headers["x-telegram-bot-api-secret-token"];
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        seen.push([secret as string, (JSON.parse(body) as { update_id: number }).update_id]);
        response.writeHead(seen.length === 1 ? 503 : 200).end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
    try {
      const { api } = new Bot(server.token, { client: { apiRoot: server.url } });
      const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
      await api.setWebhook(url, { secret_token: "s3cret" });
      assert.equal((await api.getWebhookInfo()).url, url);
      await assert.rejects(
        api.getUpdates(),
        (error) => error instanceof GrammyError && error.error_code === 409,
      );
      const { update_id } = server.say("hello");
      await until(() => server.pending.length === 0);
      assert.deepEqual(seen, [
        ["s3cret", update_id],
        ["s3cret", update_id],
      ]);
    } finally {
      receiver.closeAllConnections();
      await new Promise((resolve) => receiver.close(resolve));
    }
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries += 1) {
    if (tries > 600) throw new Error("it did not happen");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
