/** Deploys of every kind, one after the other, while people write: nothing lost, nothing doubled, nothing left behind. */

import { loudnessOf } from "./chain";
import { type DeployType, type Insides, NodeRedChild } from "./child";
import { type AccountNode, echoFlow, type FlowOptions } from "./flows";
import { readLedger } from "./ledger";
import { broken, judge, type Verdict } from "./oracle";
import { databaseOf } from "./package";
import { Random } from "./random";
import { TelegramSide } from "./telegram-side";
import { quiet, sleep } from "./wait";
import { WebSide } from "./web-side";

export interface RedeployResult {
  seed: number;
  deploys: number;
  /** Messages a second that were really written. */
  rate: number;
  slowestMs: number;
  verdict: Verdict;
  before: Insides;
  after: Insides;
  broken: string[];
}

type FlowNode = ReturnType<typeof echoFlow>[number];

const PEOPLE = 20;
const VISITORS = 12;
/** Connections that are kept open for the next request come and go. */
const SOCKETS_SLACK = 8;
const TIMERS_SLACK = 4;

export async function runRedeploys(options: {
  seed: number;
  deploys: number;
  perSecond?: number;
  from?: string;
}): Promise<RedeployResult> {
  const { seed, deploys, perSecond = 50, from } = options;
  const random = new Random(seed);
  const holding = new TelegramSide({ account: "tg-hold", promised: "hold" });
  const resending = new TelegramSide({ account: "tg-resend", promised: "resend" });
  const telegram = [holding, resending];
  await Promise.all(telegram.map(({ server }) => server.start()));
  const red = new NodeRedChild({ flows: [], ...(from ? { from } : {}) });
  await red.prepare();
  const web = new WebSide("web-page", () => `${red.url}/redclaw/web/web-page/`);
  const sides = [...telegram, web];
  const scene = (accounts: Partial<AccountNode> = {}, flow: FlowOptions = {}) =>
    echoFlow(
      [
        { side: holding, id: "tg-hold", ...accounts },
        { side: resending, id: "tg-resend" },
        { side: "web", id: "web-page" },
      ],
      // What a node of somebody else keeps in a timer is gone when a deploy replaces that node: none of ours is that node.
      { thinkMs: 0, ...flow },
    );
  const all = () => telegram.reduce((sum, side) => sum + side.answers, 0) + web.answers;
  let writing = true;
  try {
    await red.start();
    await red.deploy(scene());
    await red.deploy(scene());
    web.open(VISITORS);
    await sleep(2_000);
    const before = await red.insides();

    const started = performance.now();
    let count = 0;
    const load = (async () => {
      while (writing) {
        // As many as are due, so that a slow moment does not thin the load.
        for (; count < ((performance.now() - started) / 1000) * perSecond; count += 1) {
          if (random.next() < 0.1) web.ask(random.below(VISITORS));
          else random.pick(telegram).ask(random.below(PEOPLE));
        }
        await sleep(5);
      }
    })();
    let slowestMs = 0;
    for (let index = 0; index < deploys; index += 1) {
      const { type, flow } = change(random, scene, index);
      const from = performance.now();
      await red.deploy(flow, type);
      slowestMs = Math.max(slowestMs, performance.now() - from);
      await sleep(random.between(0, 500));
    }
    await red.deploy(scene(), "full");
    writing = false;
    await load;
    const rate = count / ((performance.now() - started) / 1000);
    const open = () => telegram.reduce((sum, { server }) => sum + server.pending.length, 0) + web.waiting;
    const done = () => {
      const wanted = sides.reduce((sum, side) => sum + side.asked().length, 0);
      return open() === 0 && all() >= wanted;
    };
    await quiet(() => all() - open(), done, 8_000, 60_000);
    await sleep(2_000);
    const after = await red.insides();
    const code = await red.stop();
    const verdict = judge(sides, await readLedger(databaseOf(red.userDir), red.from));
    const wrong = [...broken(verdict), ...leaks(before, after), ...loudnessOf(red.log)];
    if (code !== 0) wrong.push(`it ended with code ${code}`);
    if (wrong.length > 0)
      wrong.push(
        red.log
          .split("\n")
          .filter((line) => /warn|error/.test(line))
          .slice(-15)
          .join("\n"),
      );
    return {
      seed,
      deploys: deploys + 1,
      rate: Math.round(rate),
      slowestMs: Math.round(slowestMs),
      verdict,
      before,
      after,
      broken: wrong,
    };
  } finally {
    writing = false;
    await Promise.all(sides.map((side) => side.stop()));
    await red.remove();
  }
}

/** What a person changes in the editor, and the kind of deploy. */
function change(
  random: Random,
  scene: (account?: Partial<AccountNode>, flow?: FlowOptions) => FlowNode[],
  index: number,
): { type: DeployType; flow: FlowNode[] } {
  const type = random.pick(["full", "nodes", "flows", "nodes", "flows", "reload"] as const);
  const changes: (() => FlowNode[])[] = [
    () => scene(),
    () => scene({ name: `renamed ${index}` }),
    () => scene({ limits: index % 2 ? "{}" : '{"perChat":"50/s","perAccount":"500/s"}' }),
    () => scene({ onUnknown: index % 2 ? "hold" : "resend" }),
    () => scene({}, { gateway: { maxReplyAge: 30 + index } }),
    () => scene({}, { gateway: { retention: index % 2 ? "history" : "crash-safe" } }),
    () => moved(scene(), ["tg-hold-in", "reply"], index),
    () => moved(scene(), ["reply"], index),
    () => moved(scene(), ["echo"], index),
    () => moved(scene(), ["web-page"], index),
    () => switched(scene(), ["tg-hold-in"]),
    () => switched(scene(), ["tg-resend-in", "web-page-in"]),
    () => switched(scene(), ["tg-hold"]),
    () => switched(scene(), ["tab"]),
    () => scene().filter(({ id }) => !["tg-hold", "tg-hold-in"].includes(id)),
    () => scene().filter(({ id }) => !["tg-resend", "tg-resend-in"].includes(id)),
    () => scene().filter(({ id }) => !["web-page", "web-page-in"].includes(id)),
  ];
  return { type, flow: random.pick(changes)() };
}

function moved(flow: FlowNode[], ids: string[], by: number): FlowNode[] {
  return flow.map((node) => (ids.includes(node.id) ? { ...node, x: 100 + by, name: `moved ${by}` } : node));
}

/** Disabled; the next deploy enables them again. */
function switched(flow: FlowNode[], ids: string[]): FlowNode[] {
  return flow.map((node) =>
    ids.includes(node.id) ? { ...node, ...(node.type === "tab" ? { disabled: true } : { d: true }) } : node,
  );
}

/** What there is more of than before the deploys. */
function leaks(before: Insides, after: Insides): string[] {
  const more: string[] = [];
  for (const [kind, count] of Object.entries(after.resources)) {
    const had = before.resources[kind] ?? 0;
    const slack = /Socket|TCP|Pipe/.test(kind) ? SOCKETS_SLACK : TIMERS_SLACK;
    if (count > had + slack) more.push(`${kind}: ${had} before the deploys, ${count} after`);
  }
  for (const [event, count] of Object.entries(after.listeners)) {
    const had = before.listeners[event] ?? 0;
    if (count > had) more.push(`listeners of process "${event}": ${had} before, ${count} after`);
  }
  if (after.layers > before.layers)
    more.push(`Express layers: ${before.layers} before, ${after.layers} after`);
  if (before.layers < 10) more.push(`the probe sees only ${before.layers} Express layers`);
  return more;
}
