/** The platform's process: a fake Telegram, a model and the load; does what the bench orders over IPC. */
import { seeded, zipf } from "./load";
import type { FromPlatform, Order, Report, ToPlatform } from "./orders";
import { Pace } from "./pace";
import { type Bot, Telegram } from "./platform/telegram";
import { Visitors } from "./platform/web";
import { Tally } from "./tally";

/** Chats have numbers that no bot has. */
const FIRST_CHAT = 10_000_000;
const MODEL_DELAY_MS = 1000;

let runs = 0;
let tally = new Tally(runs);
let pace: Pace | undefined;
let go: (() => void) | undefined;
/** Ends what the last run left open, so that ending it is not part of what was measured. */
let leave: () => void = () => undefined;

const telegram = new Telegram(
  {
    sent: (bot, chat, text) => {
      if (tally.answer(bot, chat, text)) pace?.answered();
    },
    call: (method) => tally.call(method),
  },
  MODEL_DELAY_MS,
);

async function run(order: Order, ready: () => Promise<void>): Promise<Report> {
  leave();
  runs += 1;
  tally = new Tally(runs);
  const source = order.transport === "web" ? await visitors(order) : chats(order);
  await ready();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  pace = new Pace(order, source);
  await pace.run();
  pace = undefined;
  const { user, system } = process.cpuUsage(cpuBefore);
  const platformCpu = (user + system) / 1000 / (performance.now() - startedAt);
  const isHot = "perSecond" in order.pace && order.pace.hotBotTimes !== undefined;
  return tally.report(platformCpu, isHot ? order.bots[0] : undefined);
}

function chats(order: Order) {
  const { bots: ids, conversations, firstChat = 0, origin } = order;
  const random = seeded(order.seed);
  const bots = ids.map((id) => telegram.bot(id));
  const botOf = zipf(bots.length, order.zipfOfBots ?? 0, random);
  const homes =
    order.zipfOfBots === undefined
      ? Array.from({ length: conversations }, (_, index) => index % bots.length)
      : Array.from({ length: conversations }, botOf);
  const drawn = order.zipf === "in turn" ? inTurn(conversations) : zipf(conversations, order.zipf, random);
  const hotTimes = "perSecond" in order.pace ? order.pace.hotBotTimes : undefined;
  // Of `hotTimes + others` messages, `hotTimes` are for the first bot; conversations are dealt out in turns.
  const next =
    hotTimes === undefined
      ? drawn
      : () => {
          const isHot = random() * (hotTimes + bots.length - 1) < hotTimes;
          const turn = Math.floor(random() * Math.floor(conversations / bots.length));
          const bot = isHot ? 0 : 1 + Math.floor(random() * (bots.length - 1));
          return turn * bots.length + bot;
        };
  const port = origin === undefined ? undefined : Number(new URL(origin).port);
  const touched = new Set<Bot>();
  let date = Math.floor(Date.now() / 1000);
  leave = () => endChats(bots);
  return {
    make: () => {
      const chat = next();
      const bot = bots[homes[chat] as number] as Bot;
      const id = FIRST_CHAT + firstChat + chat;
      bot.say(id, tally.ask(bot.id, id), date);
      touched.add(bot);
      return true;
    },
    flush: () => {
      date = Math.floor(Date.now() / 1000);
      for (const bot of touched) bot.flush(bot.webhook ? port : undefined);
      touched.clear();
    },
    open: () => tally.open,
  };
}

function inTurn(count: number): () => number {
  let next = 0;
  return () => next++ % count;
}

function endChats(bots: Bot[]): void {
  // A poll that is under way confirms the last updates first.
  const lost = tally.open > 0;
  for (const bot of bots) {
    if (bot.webhook || lost) bot.reset();
  }
}

async function visitors({ page = "", conversations, firstChat = 0 }: Order) {
  const here = new Visitors(page, (visitor, text) => {
    if (tally.answer(0, visitor, text)) pace?.answered();
  });
  await here.arrive(firstChat, conversations);
  leave = () => here.leave();
  return {
    make: () => here.say((visitor) => tally.ask(0, visitor)),
    flush: () => undefined,
    open: () => tally.open,
  };
}

async function botsReceive(ids: number[]): Promise<void> {
  const bots = ids.map((id) => telegram.bot(id));
  const deadline = Date.now() + 30_000;
  while (!bots.every(({ polled, webhook }) => polled || webhook)) {
    if (Date.now() > deadline) throw new Error("A bot did not connect within 30 s.");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const tell = (message: FromPlatform) => process.send?.(message);

const ready = (ask: number) =>
  new Promise<void>((resolve) => {
    go = resolve;
    tell({ ready: ask });
  });

process.on("message", (message: ToPlatform) => {
  if (message.do === "go") return go?.();
  const { ask } = message;
  const work: Promise<Report | undefined> =
    message.do === "run"
      ? run(message.order, () => ready(ask))
      : botsReceive(message.bots).then(() => undefined);
  work.then(
    (report) => tell({ answer: ask, ...(report ? { report } : {}) }),
    (error: Error) => tell({ answer: ask, error: error.message }),
  );
});
process.on("disconnect", () => process.exit());
telegram.start().then((port) => tell({ listening: port }));
