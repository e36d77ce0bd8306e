/** Three starts that die before anything got done: the fourth keeps the channels down, the editor up, and says why. */
import { Bot } from "./bot";
import { eventually, sleep } from "./wait";

export async function runCrashLoop(from?: string): Promise<string[]> {
  const bot = await Bot.start(from ? { from } : {});
  const wrong: string[] = [];
  try {
    await bot.red.stop();
    for (let start = 0; start < 3; start += 1) {
      const polls = bot.front.of("getUpdates").length;
      await bot.red.start();
      // The channel is up: what kills it comes now, before a message got through.
      await eventually(() => bot.front.of("getUpdates").length > polls, 10_000);
      await bot.red.kill();
    }
    const calls = bot.front.calls.length;
    await bot.red.start();
    bot.side.ask(1);
    await sleep(3_000);
    if (bot.front.calls.length > calls)
      wrong.push(`after three crashes the channel is up again: ${bot.front.calls.at(-1)?.method}`);
    if (!/crash/i.test(bot.red.lastLog)) wrong.push(`the log does not say why:\n${bot.red.lastLog}`);
    const editor = await fetch(`${bot.red.url}/flows`);
    await editor.body?.cancel();
    if (!editor.ok) wrong.push(`the editor answers ${editor.status}`);
    // A person who has looked deploys, and everything goes on.
    await bot.deploy({ name: "looked at" });
    if (!(await bot.answered(10_000))) wrong.push("after a deploy the channel stays down");
    return wrong;
  } finally {
    await bot.close();
  }
}
