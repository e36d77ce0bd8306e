/** Thousands of messages wait at Telegram when Node-RED starts; in the middle of it somebody new writes. */
import fs from "node:fs";
import { Bot } from "./bot";
import { eventually, sleep } from "./wait";

export interface BacklogResult {
  messages: number;
  slowMs: number;
  /** From the start of the process until the last answer. */
  seconds: number;
  perSecond: number;
  /** From the new chat's message to its answer. */
  newcomerMs: number;
  /** In MB. Resident: idle before, at a tenth of the way, and at most. Heap: what is in use, collected, at a tenth and at the end. */
  memory: { idle: number; tenth: number; most: number; heapTenth: number; heapEnd: number };
  broken: string[];
}

export interface BacklogOptions {
  messages: number;
  /** Milliseconds that the platform takes for a send. */
  slowMs?: number;
  chats?: number;
  from?: string;
}

const NEWCOMER_WITHIN_MS = 5_000;
/** More memory in use than at a tenth of the way: each message leaves its id behind, for redeliveries, and no more. */
const HEAP_GROWTH_MB = 16;
/** More resident memory, with garbage that Node.js has not collected yet because it has room. */
const RESIDENT_GROWTH_MB = 256;

export async function runBacklog(options: BacklogOptions): Promise<BacklogResult> {
  const { messages, slowMs = 0, chats = 200, from } = options;
  // Without the front the account speaks to the server itself: as quick as it can be.
  const bot = await Bot.start({ ...(from ? { from } : {}) });
  const { side, red, front } = bot;
  try {
    if (slowMs === 0) await red.deploy(bot.flow({ apiRoot: side.server.url }));
    else front.rule = ({ method }) => (method === "sendMessage" ? { do: "wait", ms: slowMs } : undefined);
    await sleep(1_000);
    const idle = memoryOf(red.child?.pid);
    await red.stop();
    for (let index = 0; index < messages; index += 1) side.ask(index % chats);

    const started = performance.now();
    await red.start();
    let tenth: { resident: number; heap: number } | undefined;
    let most = 0;
    let newcomer: { id: string; at: number; ms?: number } | undefined;
    const deadline = started + 60_000 + messages * (4 + slowMs);
    let stalled = performance.now();
    let seen = 0;
    while (side.answers <= messages && performance.now() < deadline && red.alive) {
      const now = memoryOf(red.child?.pid);
      most = Math.max(most, now);
      if (!tenth && side.answers >= messages / 10) tenth = { resident: now, heap: await heapOf(bot) };
      if (!newcomer && side.answers >= messages / 2)
        newcomer = { id: side.ask(900_000), at: performance.now() };
      if (newcomer && newcomer.ms === undefined && hasAnswer(bot, newcomer.id))
        newcomer.ms = performance.now() - newcomer.at;
      if (side.answers !== seen) stalled = performance.now();
      seen = side.answers;
      if (performance.now() - stalled > 20_000) break;
      await sleep(20);
    }
    if (newcomer && newcomer.ms === undefined && hasAnswer(bot, newcomer.id))
      newcomer.ms = performance.now() - newcomer.at;
    const seconds = (performance.now() - started) / 1000;
    await eventually(() => side.server.pending.length === 0, 2_000);
    const heapEnd = red.alive ? await heapOf(bot) : 0;
    const memory = { idle, tenth: tenth?.resident ?? 0, most, heapTenth: tenth?.heap ?? 0, heapEnd };
    const { verdict, broken } = await bot.verdict();
    const wrong = [...broken];
    const newcomerMs = Math.round(newcomer?.ms ?? Number.POSITIVE_INFINITY);
    if (newcomerMs > NEWCOMER_WITHIN_MS)
      wrong.push(`somebody new waited ${newcomerMs} ms behind the backlog of others`);
    if (heapEnd > memory.heapTenth + HEAP_GROWTH_MB)
      wrong.push(`memory in use grew from ${memory.heapTenth} MB at a tenth of the way to ${heapEnd} MB`);
    if (most > memory.tenth + RESIDENT_GROWTH_MB)
      wrong.push(`resident memory grew from ${memory.tenth} MB at a tenth of the way to ${most} MB`);
    return {
      messages,
      slowMs,
      seconds: Math.round(seconds * 10) / 10,
      perSecond: Math.round(verdict.answered / seconds),
      newcomerMs,
      memory,
      broken: wrong,
    };
  } finally {
    await bot.close();
  }
}

/** Looks at the latest answers only: it is asked often. */
function hasAnswer({ side }: Bot, id: string): boolean {
  const { sent } = side.server;
  for (let index = sent.length - 1; index >= 0 && index > sent.length - 20_000; index -= 1)
    if (sent[index]?.text === `echo ${id}`) return true;
  return false;
}

/** What is in use of the heap, in MB. */
async function heapOf({ red }: Bot): Promise<number> {
  return Math.round((await red.insides()).heapUsed / 1024 / 1024);
}

/** Resident memory of a process in MB. */
function memoryOf(pid: number | undefined): number {
  try {
    const status = fs.readFileSync(`/proc/${pid}/status`, "utf8");
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}
