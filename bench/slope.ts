/** Does memory grow with the messages? A million of them, looked at after a garbage collection every 50,000. */
import path from "node:path";
import { slopeOf } from "./figures";
import { costOf, type Platform } from "./processes";
import { telegramOrder } from "./rounds";
import { ours } from "./systems";

const MESSAGES = 1_000_000;
const STEP = 50_000;
/** A slow store must not hold up everything. */
const WITHIN_MS = 15 * 60_000;

export interface Slope {
  messages: number;
  /** MB (10^6 bytes) per million messages, over the second half. */
  rss: number;
  heap: number;
  lost: number;
}

export async function measureSlope(
  platform: Platform,
  folder: string,
  store: "memory" | "sqlite",
  bot: number,
): Promise<Slope> {
  const accounts = { store, poll: [bot], webhook: [], web: 0 };
  const system = await ours(platform, path.join(folder, `slope-${store}`), accounts);
  const until = Date.now() + WITHIN_MS;
  const rss: { x: number; y: number }[] = [];
  const heap: { x: number; y: number }[] = [];
  let messages = 0;
  let lost = 0;
  try {
    for (let step = 0; messages < MESSAGES && Date.now() < until; step += 1) {
      const order = telegramOrder(bot, until - Date.now());
      const report = await platform.run({ ...order, messages: STEP, seed: step });
      messages += report.messages;
      lost += report.lost;
      const cost = await costOf(system.child, { meter: "gc" });
      rss.push({ x: messages / 1e6, y: cost.rss / 1e6 });
      heap.push({ x: messages / 1e6, y: cost.heap / 1e6 });
    }
  } finally {
    await system.stop();
  }
  const half = Math.floor(rss.length / 2);
  return { messages, rss: slopeOf(rss.slice(half)), heap: slopeOf(heap.slice(half)), lost };
}
