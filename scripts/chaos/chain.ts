/**
 * A chain of lives: Node-RED is started, people write, it dies at a random moment, and starts again in the same place.
 * Four accounts of every promise: Telegram that holds, that resends, and by webhook, and the web chat.
 */
import { NodeRedChild } from "./child";
import { echoFlow } from "./flows";
import { readLedger } from "./ledger";
import { broken, judge, type Verdict } from "./oracle";
import { databaseOf } from "./package";
import { Random } from "./random";
import { TelegramSide } from "./telegram-side";
import { eventually, quiet, sleep } from "./wait";
import { WebSide } from "./web-side";

export interface ChainOptions {
  seed: number;
  kills: number;
  from?: string;
}

export interface ChainResult {
  seed: number;
  kills: number;
  /** Kills before the flows ran. */
  early: number;
  verdict: Verdict;
  broken: string[];
  /** Milliseconds from the last start until everything had its end. */
  settledMs: number;
  log: string;
}

const CHATS = 5;
/** Between two messages, on average. */
const EVERY_MS = 25;
const SETTLE_WITHIN_MS = 60_000;
const QUIET_MS = 10_000;
/** A life may be cut off while it starts, but not twice in a row: the crash-loop breaker must see progress. */
const EARLY_SHARE = 0.15;
/** A message that was in the flow at more than three crashes is set aside as the one to blame; few are. */
const QUARANTINED_SHARE = 0.02;

export async function runChain(options: ChainOptions): Promise<ChainResult> {
  const random = new Random(options.seed);
  const world = await openWorld(options.from);
  const { red, sides, telegram, web } = world;
  const load = startLoad(world, random);
  let early = 0;
  try {
    let wasEarly = true;
    for (let round = 0; round < options.kills; round += 1) {
      const answers = () => telegram.reduce((sum, side) => sum + side.answers, 0) + web.answers;
      const before = answers();
      await red.spawn();
      wasEarly = !wasEarly && random.next() < EARLY_SHARE;
      if (wasEarly) {
        early += 1;
        await sleep(random.between(50, 1100));
      } else {
        if (!(await red.started())) throw new Error(`Node-RED died by itself:\n${red.lastLog}`);
        await eventually(() => answers() > before, 5_000, 5);
        await sleep(random.between(0, 600));
      }
      if (!red.alive) throw new Error(`Node-RED died by itself:\n${red.lastLog}`);
      await red.kill();
    }
    load.stop();
    const settledMs = await settle(world);
    const code = await red.stop();
    const ledger = await readLedger(databaseOf(red.userDir), red.from);
    const verdict = judge(sides, ledger);
    const quarantined = Math.ceil(verdict.asked * QUARANTINED_SHARE);
    const wrong = broken(verdict, { kills: options.kills, resending: 1, holding: 3, quarantined });
    wrong.push(...loudnessOf(red.log));
    if (code !== 0) wrong.push(`it ended with code ${code}`);
    return {
      seed: options.seed,
      kills: options.kills,
      early,
      verdict,
      broken: wrong,
      settledMs,
      log: red.log,
    };
  } finally {
    load.stop();
    await world.close();
  }
}

interface World {
  red: NodeRedChild;
  sides: (TelegramSide | WebSide)[];
  telegram: TelegramSide[];
  web: WebSide;
  close(): Promise<void>;
}

async function openWorld(from?: string): Promise<World> {
  const holding = new TelegramSide({ account: "tg-hold", promised: "hold" });
  const resending = new TelegramSide({ account: "tg-resend", promised: "resend" });
  const hooked = new TelegramSide({ account: "tg-hook", promised: "hold", webhook: true });
  const telegram = [holding, resending, hooked];
  await Promise.all(telegram.map(({ server }) => server.start()));
  const red = new NodeRedChild({ flows: [], ...(from ? { from } : {}) });
  await red.prepare();
  const web = new WebSide("web-page", () => `${red.url}/redclaw/web/web-page/`);
  const sides = [...telegram, web];
  const world: World = {
    red,
    sides,
    telegram,
    web,
    async close() {
      await Promise.all(sides.map((side) => side.stop()));
      await red.remove();
    },
  };
  try {
    await red.start();
    const flow = echoFlow(
      [
        { side: holding, id: "tg-hold" },
        { side: resending, id: "tg-resend" },
        { side: hooked, id: "tg-hook", mode: "webhook" },
        { side: "web", id: "web-page" },
      ],
      // An answer that takes a moment is in the flow, in a lane or on its way when the process dies.
      { publicUrl: red.url, thinkMs: 15 },
    );
    await red.deploy(flow);
    web.open(CHATS);
    if (!(await eventually(() => hooked.server.webhook.url !== "", 5_000)))
      throw new Error(`The accounts did not start:\n${red.log}`);
    await red.stop();
    return world;
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** People write all the time, also while Node-RED is down. */
function startLoad({ telegram, web }: World, random: Random): { stop(): void } {
  let stopped = false;
  const go = async () => {
    while (!stopped) {
      const who = random.below(CHATS);
      const where = random.below(telegram.length + 1);
      if (where < telegram.length) (telegram[where] as TelegramSide).ask(who);
      else web.ask(who);
      await sleep(random.between(0, 2 * EVERY_MS));
    }
  };
  void go();
  return {
    stop() {
      stopped = true;
    },
  };
}

/** The last life: nothing kills it. Answers how long it took until nothing happened any more. */
async function settle({ red, sides, telegram, web }: World): Promise<number> {
  const from = performance.now();
  await red.start();
  const open = () => telegram.reduce((sum, { server }) => sum + server.pending.length, 0) + web.waiting;
  const answered = () => telegram.reduce((sum, side) => sum + side.answers, 0) + web.answers;
  const all = () => {
    if (open() > 0) return false;
    return sides.every((side) => {
      const got = new Set(side.delivered().map(({ id }) => id));
      return side.asked().every(({ id }) => got.has(id));
    });
  };
  let last = performance.now();
  let seen = -1;
  const measure = () => {
    const now = answered() - open();
    if (now !== seen) last = performance.now();
    seen = now;
    return now;
  };
  await quiet(measure, all, QUIET_MS, SETTLE_WITHIN_MS);
  await sleep(300);
  return Math.round(last - from);
}

/** What a log must never hold. */
export function loudnessOf(log: string): string[] {
  const found = log.match(/^.*(?:unhandled|uncaught|TypeError|ReferenceError|ERR_[A-Z_]+).*$/gim) ?? [];
  return [...new Set(found)].slice(0, 3).map((line) => `the log says: ${line.slice(0, 300)}`);
}
