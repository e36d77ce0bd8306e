/**
 * The mission's load: 10,000 people on 25 bots (Zipf), 15 polled and 10 called by webhook, each question answered by a
 * model that thinks for a second. The web chat is not among them: its page lets a visitor write 20 times a minute.
 */
import path from "node:path";
import type { Order, Report } from "./orders";
import { costOf, type Platform } from "./processes";
import { ours } from "./systems";

const PEOPLE = 10_000;
const POLLED = 15;
const CALLED = 10;

export interface MissionRun {
  profile: string;
  messages: number;
  lost: number;
  doubled: number;
  disordered: number;
  perSecond: number;
  /** Milliseconds, with the model's second in it. */
  p50: number;
  p99: number;
  /** CPU of the system in microseconds per message. */
  cpu: number;
  /** MB (10^6 bytes), right after it. */
  rss: number;
}

export async function measureMission(
  platform: Platform,
  folder: string,
  store: "memory" | "sqlite",
  firstBot: number,
): Promise<MissionRun[]> {
  const bots = Array.from({ length: POLLED + CALLED }, (_, index) => firstBot + index);
  const system = await ours(platform, path.join(folder, `mission-${store}`), {
    store,
    poll: bots.slice(0, POLLED),
    webhook: bots.slice(POLLED),
    web: 0,
    model: `${platform.url}/v1`,
  });
  const common = {
    transport: "telegram",
    bots,
    origin: system.url as string,
    conversations: PEOPLE,
    zipf: 0,
    zipfOfBots: 1,
    seed: 25,
  } as const;
  const profiles: { profile: string; order: Order }[] = [
    {
      profile: "burst: all 10,000 at once",
      order: { ...common, bots, zipf: "in turn", pace: { window: PEOPLE }, messages: PEOPLE, forMs: 60_000 },
    },
    { profile: "steady 50/s", order: { ...common, bots, pace: { perSecond: 50 }, forMs: 20_000 } },
    { profile: "steady 1,000/s", order: { ...common, bots, pace: { perSecond: 1000 }, forMs: 20_000 } },
  ];
  const runs: MissionRun[] = [];
  try {
    await platform.run({ ...common, bots, pace: { window: 200 }, forMs: 5000 });
    for (const { profile, order } of profiles) {
      let before = 0;
      const report: Report = await platform.run(order, async () => {
        before = (await costOf(system.child)).cpu;
      });
      const after = await costOf(system.child);
      const { messages, lost, doubled, disordered, seconds, latency } = report;
      runs.push({
        profile,
        messages,
        lost,
        doubled,
        disordered,
        perSecond: messages / seconds,
        p50: latency.p50,
        p99: latency.p99,
        cpu: (after.cpu - before) / messages,
        rss: after.rss / 1e6,
      });
    }
  } finally {
    await system.stop();
  }
  return runs;
}
