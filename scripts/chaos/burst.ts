/**
 * Many answers at once to a slow platform, and a kill in the middle: at most eight of one account may be on their way,
 * so at most eight may be doubtful - and those that waited were only waiting.
 */
import { Bot } from "./bot";
import { IN_FLIGHT } from "./oracle";
import { Random } from "./random";
import { eventually, quiet, sleep } from "./wait";

export interface BurstResult {
  seed: number;
  kills: number;
  asked: number;
  held: number;
  doubled: number;
  broken: string[];
}

export async function runBurst(options: {
  seed: number;
  kills: number;
  promised: "hold" | "resend";
  from?: string;
}): Promise<BurstResult> {
  const { seed, kills, promised, from } = options;
  const random = new Random(seed);
  const bot = await Bot.start({ promised, ...(from ? { from } : {}) });
  try {
    const wrong: string[] = [];
    let most = 0;
    let flying = 0;
    // As slow as a platform under load; and a count of our own of what is on its way.
    bot.front.rule = (call) => {
      if (call.method !== "sendMessage") return undefined;
      flying += 1;
      most = Math.max(most, flying);
      setTimeout(() => {
        flying -= 1;
      }, 150);
      return { do: "wait", ms: 150 };
    };
    for (let kill = 0; kill < kills; kill += 1) {
      const before = bot.front.of("sendMessage").length;
      for (let who = 0; who < 60; who += 1) bot.side.ask(kill * 100 + who);
      await eventually(() => bot.front.of("sendMessage").length > before, 10_000, 2);
      await sleep(random.between(0, 250));
      await bot.red.kill();
      await sleep(200);
      flying = 0;
      await bot.red.start();
      const done = () => bot.side.server.pending.length === 0 && bot.isAnswered();
      await quiet(() => bot.side.answers - bot.side.server.pending.length, done, 3_000, 60_000);
    }
    const { verdict, broken } = await bot.verdict({
      kills,
      resending: promised === "resend" ? 1 : 0,
      holding: promised === "hold" ? 1 : 0,
    });
    wrong.push(...broken);
    if (most > IN_FLIGHT) wrong.push(`${most} requests of one account were on their way at once`);
    return {
      seed,
      kills,
      asked: verdict.asked,
      held: verdict.heldRows["acct"] ?? 0,
      doubled: verdict.doubled.resend.length + verdict.doubled.hold.length,
      broken: wrong,
    };
  } finally {
    await bot.close();
  }
}
