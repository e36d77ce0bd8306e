/** What it costs to be there: time to start and memory, of an empty Node-RED and of one with an account of every kind. */
import path from "node:path";
import { deploy, linkPackage, type RunningNodeRed } from "../scripts/node-red";
import { type Figure, figureOf } from "./figures";
import { ourFlows } from "./flows";
import { costOf, type Platform } from "./processes";
import { nodeRed } from "./systems";

/** Until nothing that belongs to the start is under way any more. */
const SETTLED_AFTER_MS = 1500;

export interface Idle {
  /** Milliseconds until the flows run, from the start of the process, and CPU milliseconds until then. */
  startMs?: Figure;
  startCpuMs?: Figure;
  /** MB (10^6 bytes), after a garbage collection. */
  rss?: Figure;
}

export async function measureIdle(
  platform: Platform,
  folder: string,
  rounds: number,
  bots: { poll: number; webhook: number },
): Promise<{ empty: Idle; everyKind: Idle }> {
  const accounts = { store: "sqlite", poll: [bots.poll], webhook: [bots.webhook], web: 1 } as const;
  const flows = ourFlows(platform.url, { ...accounts, poll: [bots.poll], webhook: [bots.webhook] });
  const places = { empty: path.join(folder, "empty"), everyKind: path.join(folder, "every-kind") };
  // The first start leaves the secrets in Node-RED's own file, as the editor does.
  const first = await nodeRed(places.everyKind, { prepare: linkPackage });
  await deploy(first.url, flows);
  await first.stop();
  await (await nodeRed(places.empty)).stop();

  const found = { empty: [] as Start[], everyKind: [] as Start[] };
  const withoutSecrets = flows.map(({ credentials: _, ...node }) => node);
  for (let round = 0; round < rounds; round += 1) {
    found.empty.push(await startOf(await nodeRed(places.empty)));
    found.everyKind.push(await startOf(await nodeRed(places.everyKind, { flows: withoutSecrets })));
  }
  return { empty: idleOf(found.empty), everyKind: idleOf(found.everyKind) };
}

interface Start {
  ms: number;
  cpuMs: number;
  rss: number;
}

async function startOf(red: RunningNodeRed): Promise<Start> {
  try {
    await new Promise((resolve) => setTimeout(resolve, SETTLED_AFTER_MS));
    const { rss, started = { ms: Number.NaN, cpu: Number.NaN } } = await costOf(red.child, { meter: "gc" });
    return { ms: started.ms, cpuMs: started.cpu / 1000, rss: rss / 1e6 };
  } finally {
    await red.stop();
  }
}

function idleOf(starts: Start[]): Idle {
  return {
    startMs: figureOf(starts.map(({ ms }) => ms)),
    startCpuMs: figureOf(starts.map(({ cpuMs }) => cpuMs)),
    rss: figureOf(starts.map(({ rss }) => rss)),
  };
}
