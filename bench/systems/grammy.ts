/** Peer: the bare echo of grammY with its runner, as in the runner's documentation. */
import { createRequire } from "node:module";
import path from "node:path";

const [, , apiRoot = "", token = "", folder = ""] = process.argv;
const peer = createRequire(path.join(folder, "package.json"));

interface Context {
  message: { text: string };
  reply(text: string): Promise<unknown>;
}

interface Bot {
  on(filter: string, handler: (context: Context) => unknown): void;
}

const { Bot } = peer("grammy") as { Bot: new (token: string, options: object) => Bot };
const { run } = peer("@grammyjs/runner") as { run: (bot: Bot) => unknown };

const bot = new Bot(token, { client: { apiRoot } });
bot.on("message:text", (context) => context.reply(context.message.text));
run(bot);
