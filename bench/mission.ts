/**
 * The mission's load: 10,000 people on 25 bots (Zipf), 15 polled and 10 called by webhook, each question answered by a
 * model that thinks for a second. The web chat is not among them: its page lets a visitor write 20 times a minute.
 */
import path from "node:path";
import type { Order } from "./orders";
import { costOf, type Platform } from "./processes";
import { ours, type System } from "./systems";

const PEOPLE = 10_000;
const POLLED = 15;
const CALLED = 10;
const WARM_UP_MS = 5000;

const LOADS: { profile: string; order: Partial<Order> }[] = [
  { profile: "steady 50/s", order: { pace: { perSecond: 50 }, forMs: 20_000 } },
  { profile: "steady 1,000/s", order: { pace: { perSecond: 1000 }, forMs: 20_000 } },
  {
    profile: "burst: all 10,000 at once",
    order: { zipf: "in turn", pace: { window: PEOPLE }, messages: PEOPLE, forMs: 60_000 },
  },
];

export interface MissionRun {
  profile: string;
  messages: number;
  /** Without an answer 20 s after the end of the load. */
  unanswered: number;
  doubled: number;
  disordered: number;
  perSecond: number;
  /** Milliseconds, with the model's second in it. */
  p50: number;
  p99: number;
  /** CPU of the system in microseconds per answered message. */
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
  const runs: MissionRun[] = [];
  for (const [index, load] of LOADS.entries()) {
    // A system and bots of its own: what one load leaves unanswered must not weigh on the next.
    const bots = Array.from({ length: POLLED + CALLED }, (_, bot) => firstBot + index * 30 + bot);
    const system = await ours(platform, path.join(folder, `mission-${store}-${index}`), {
      store,
      poll: bots.slice(0, POLLED),
      webhook: bots.slice(POLLED),
      web: 0,
      model: `${platform.url}/v1`,
    });
    try {
      runs.push(await runLoad(platform, system, bots, load));
    } finally {
      await system.stop();
    }
  }
  return runs;
}

async function runLoad(
  platform: Platform,
  system: System,
  bots: number[],
  { profile, order }: (typeof LOADS)[number],
): Promise<MissionRun> {
  const common: Order = {
    transport: "telegram",
    bots,
    origin: system.url as string,
    conversations: PEOPLE,
    zipf: 0,
    zipfOfBots: 1,
    pace: { window: 50 },
    forMs: WARM_UP_MS,
    seed: 25,
  };
  await platform.run(common);
  let before = 0;
  const report = await platform.run({ ...common, ...order }, async () => {
    before = (await costOf(system.child)).cpu;
  });
  const after = await costOf(system.child);
  const { messages, lost, doubled, disordered, seconds, latency } = report;
  return {
    profile,
    messages,
    unanswered: lost,
    doubled,
    disordered,
    perSecond: (messages - lost) / seconds,
    p50: latency.p50,
    p99: latency.p99,
    cpu: (after.cpu - before) / (messages - lost),
    rss: after.rss / 1e6,
  };
}
