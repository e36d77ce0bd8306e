/**
 * The script of ten messages in a real Node-RED, killed at every one of its steps. One place and one history for all
 * kills: each life goes on with what the one before left, and after each kill the next must bring it to its end.
 */
import path from "node:path";
import { Bot } from "./bot";
import { readLedger } from "./ledger";
import { broken, judge } from "./oracle";
import { databaseOf } from "./package";
import { eventually, quiet } from "./wait";

export interface RedStepsResult {
  kills: number;
  held: number;
  asked: number;
  broken: string[];
}

const STEPS_MAX = 3_000;
const QUIET_MS = 1_000;

export async function killNodeRedAtEveryStep(options: {
  /** Every so many steps. */
  stride: number;
  from?: string;
}): Promise<RedStepsResult> {
  const { stride, from } = options;
  const bot = await Bot.start({ preload: [path.join(__dirname, "kill-at.cjs")], ...(from ? { from } : {}) });
  const { red, side } = bot;
  const result: RedStepsResult = { kills: 0, held: 0, asked: 0, broken: [] };
  try {
    await red.stop();
    for (let at = 1; at < STEPS_MAX && result.broken.length === 0; at += stride) {
      const before = side.answers;
      const say = (count: number) => {
        for (let index = 0; index < count; index += 1) side.ask(index % 4);
      };
      const go = (answers: number) =>
        eventually(() => !red.alive || side.answers >= before + answers, 20_000, 5);
      say(4);
      await red.spawn({ CHAOS_KILL_AT: String(at) });
      await go(1);
      say(3);
      await go(5);
      say(3);
      await go(10);
      // What is behind the last answer (its receipt, the end of the event) has its moment, too.
      await eventually(() => !red.alive, QUIET_MS);
      const killed = (await red.stop()) === null;
      if (killed) {
        result.kills += 1;
        await red.start();
        const done = () => side.server.pending.length === 0 && side.answers >= side.asked().length;
        await quiet(() => side.answers - side.server.pending.length, done, 3 * QUIET_MS, 60_000);
        await eventually(() => false, 300);
        await red.stop();
      }
      const verdict = judge([side], await readLedger(databaseOf(red.userDir), red.from));
      result.asked = verdict.asked;
      result.held = verdict.heldRows["acct"] ?? 0;
      const wrong = broken(verdict, { kills: Math.max(1, result.kills), resending: 0, holding: 1 });
      result.broken.push(...wrong.map((what) => `STEP=${at}: ${what}`));
      if (!killed) break;
    }
    return result;
  } finally {
    await bot.close();
  }
}
