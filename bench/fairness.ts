/** Does one busy account slow the others down? 25 polled accounts at 2 messages a second each, then one at 100 times that. */
import path from "node:path";
import { median } from "./figures";
import type { Order, Report } from "./orders";
import type { Platform } from "./processes";
import { ours } from "./systems";

const ACCOUNTS = 25;
const PER_ACCOUNT = 2;
const HOT_TIMES = 100;
/** Without and with the busy account, in turns. */
const ROUNDS = 3;

export interface Fairness {
  /** Milliseconds, of the accounts that are not busy; medians of the rounds. */
  calmP99: number;
  busyP99: number;
  ratio: number;
  lost: number;
}

export async function measureFairness(
  platform: Platform,
  folder: string,
  firstBot: number,
  forMs: number,
): Promise<Fairness> {
  const bots = Array.from({ length: ACCOUNTS }, (_, index) => firstBot + index);
  const accounts = { store: "sqlite", poll: bots, webhook: [], web: 0 } as const;
  const system = await ours(platform, path.join(folder, "fairness"), {
    ...accounts,
    poll: bots,
    webhook: [],
  });
  try {
    const order = (hotBotTimes: number, ms: number): Order => ({
      transport: "telegram",
      bots,
      conversations: ACCOUNTS * 40,
      zipf: 0,
      pace: { perSecond: (ACCOUNTS - 1 + hotBotTimes) * PER_ACCOUNT, hotBotTimes },
      forMs: ms,
      seed: 7,
    });
    await platform.run({ ...order(1, 3000), pace: { window: 100 } });
    const calm: Report[] = [];
    const busy: Report[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      calm.push(await platform.run(order(1, forMs)));
      busy.push(await platform.run(order(HOT_TIMES, forMs)));
    }
    const p99Of = (reports: Report[]) => median(reports.map((one) => one.latencyOfOthers?.p99 ?? 0));
    const [calmP99, busyP99] = [p99Of(calm), p99Of(busy)];
    const lost = [...calm, ...busy].reduce((sum, one) => sum + one.lost, 0);
    return { calmP99, busyP99, ratio: busyP99 / calmP99, lost };
  } finally {
    await system.stop();
  }
}
