/** The method: one round of load on one system, and whether it counts. */
import { webPath } from "./flows";
import type { Latency, Order, Report } from "./orders";
import { costOf, type Platform } from "./processes";
import type { System } from "./systems";

export type Transport = "poll" | "webhook" | "web";

/** One line of the table: a system that receives in one way. */
export interface Row {
  name: string;
  transport: Transport;
  system: System;
  /** The load that keeps it busy. */
  order: Order;
  /** It promises the order of a chat: a round that breaks it does not count. */
  ordered: boolean;
  /** Measured at 50 messages a second as well. */
  steady: boolean;
  rounds: Round[];
  steadyRounds: Round[];
}

export interface Round {
  /** CPU of the system in microseconds per message. */
  cpu: number;
  perSecond: number;
  latency: Latency;
  messages: number;
  /** Parts of a core: below 1 the system was waiting (for the disk, or for others on its core). */
  systemCpu: number;
  platformCpu: number;
  disordered: number;
  /** Why it does not count. */
  rejected?: string;
}

/** A platform that is busier than this may be what is measured. */
const PLATFORM_CPU_MAX = 0.85;
/** Messages go to 10,000 chats; the busiest of them gets 2 %: more would measure how fast one chat is. */
const CONVERSATIONS = 10_000;
const ZIPF = 0.7;
const WINDOW = 200;
/** The page holds 1,000 open streams. */
const VISITORS = 600;
const SEED = 20_250_601;

export function telegramOrder(bot: number, forMs: number): Order {
  const pace = { window: WINDOW };
  return {
    transport: "telegram",
    bots: [bot],
    conversations: CONVERSATIONS,
    zipf: ZIPF,
    pace,
    forMs,
    seed: SEED,
  };
}

export function webOrder(url: string, forMs: number): Order {
  const pace = { window: WINDOW };
  return {
    transport: "web",
    bots: [],
    page: url + webPath(0),
    conversations: VISITORS,
    zipf: 0,
    pace,
    forMs,
    seed: SEED,
  };
}

/** Visitors may write 9 messages each, so every round has other ones. */
let nextVisitor = 0;

export async function measure(platform: Platform, row: Row, change: Partial<Order> = {}): Promise<Round> {
  const order = { ...row.order, ...change };
  if (order.transport === "web") {
    order.firstChat = nextVisitor;
    nextVisitor += order.conversations;
  }
  let before = 0;
  const report = await platform.run(order, async () => {
    before = (await costOf(row.system.child)).cpu;
  });
  const used = (await costOf(row.system.child)).cpu - before;
  const { messages, seconds, latency, platformCpu, disordered } = report;
  const rejected = faultOf(report, row.ordered);
  return {
    cpu: used / messages,
    perSecond: messages / seconds,
    latency,
    messages,
    systemCpu: used / 1e6 / seconds,
    platformCpu,
    disordered,
    ...(rejected ? { rejected } : {}),
  };
}

function faultOf(report: Report, ordered: boolean): string | undefined {
  const { lost, doubled, strayed, disordered, platformCpu } = report;
  const faults = [
    lost > 0 && `${lost} lost`,
    doubled > 0 && `${doubled} doubled`,
    strayed > 0 && `${strayed} in a wrong chat or of an earlier round`,
    ordered && disordered > 0 && `${disordered} out of order`,
    platformCpu > PLATFORM_CPU_MAX && `platform at ${Math.round(platformCpu * 100)} % CPU`,
  ].filter(Boolean);
  return faults.length > 0 ? faults.join(", ") : undefined;
}

/** Measures until it counts, or three times. All tries are kept. */
export async function measureInto(
  platform: Platform,
  row: Row,
  rounds: Round[],
  change: Partial<Order>,
): Promise<void> {
  for (let tries = 0; tries < 3; tries += 1) {
    const round = await measure(platform, row, change);
    rounds.push(round);
    if (!round.rejected) return;
  }
}

export const counting = (rounds: Round[]) => rounds.filter(({ rejected }) => rejected === undefined);
