/** Where the microseconds go: `npm run bench -- --profile [memory|sqlite] [poll|webhook|web]`. */
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../scripts/node-red";
import type { Order } from "./orders";
import { costOf, Platform } from "./processes";
import { type Transport, telegramOrder, webOrder } from "./rounds";
import { ours } from "./systems";

const BOTS = { poll: 1, webhook: 2 };
const LINES = 45;

interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  samples: number[];
  timeDeltas: number[];
}

/** Microseconds per message. */
interface Spent {
  place: string;
  self: number;
}

export async function profile(
  store: "memory" | "sqlite",
  transport: Transport,
  folder: string,
): Promise<void> {
  const platform = await new Platform().start();
  try {
    const accounts = { store, poll: [BOTS.poll], webhook: [BOTS.webhook], web: 1 };
    const system = await ours(platform, path.join(folder, `profile-${store}`), accounts);
    try {
      const url = system.url as string;
      const order: Order =
        transport === "web" ? webOrder(url, 4000) : { ...telegramOrder(BOTS[transport], 4000), origin: url };
      for (let warmed = 0, turns = 0; warmed < 10_000 && turns < 6; turns += 1)
        warmed += (await platform.run({ ...order, firstChat: turns * 1000, forMs: 4000 })).messages;
      const file = path.join(folder, `${store}-${transport}.cpuprofile`);
      let before = 0;
      const { messages } = await platform.run({ ...order, firstChat: 900_000 }, async () => {
        before = (await costOf(system.child, { meter: "profile" })).cpu;
      });
      const after = await costOf(system.child, { meter: "profiled", file });
      const microseconds = (after.cpu - before) / messages;
      console.log(`\n## ${store}, ${transport}: ${microseconds.toFixed(0)} us of CPU per message`);
      console.log(`(${messages} messages while the profiler ran, which itself costs something; ${file})\n`);
      show(JSON.parse(fs.readFileSync(file, "utf8")), messages, microseconds);
    } finally {
      await system.stop();
    }
  } finally {
    await platform.stop();
  }
}

function show(recorded: Profile, messages: number, microseconds: number): void {
  const frames = new Map(recorded.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const selfOf = new Map<number, number>();
  recorded.samples.forEach((id, index) => {
    selfOf.set(id, (selfOf.get(id) ?? 0) + (recorded.timeDeltas[index] ?? 0));
  });
  const functions = new Map<string, number>();
  const groups = new Map<string, number>();
  let busy = 0;
  for (const [id, time] of selfOf) {
    const frame = frames.get(id);
    if (!frame || frame.functionName === "(idle)" || frame.url === "node:inspector") continue;
    busy += time;
    const { group, place } = placeOf(frame);
    groups.set(group, (groups.get(group) ?? 0) + time);
    const name = `${frame.functionName || "(anonymous)"}  ${place}`;
    functions.set(name, (functions.get(name) ?? 0) + time);
  }
  // Samples count wall time, also while somebody else had the core; the shares are right, the sum is the CPU time.
  const scale = microseconds / (busy / messages) / messages;
  const table = (of: Map<string, number>, lines: number) =>
    [...of]
      .map(([place, time]): Spent => ({ place, self: time * scale }))
      .toSorted((a, b) => b.self - a.self)
      .slice(0, lines);
  console.log("us/message  where");
  for (const { place, self } of table(groups, LINES)) console.log(`${self.toFixed(1).padStart(9)}  ${place}`);
  console.log("\nus/message  function (self time)");
  for (const { place, self } of table(functions, LINES))
    console.log(`${self.toFixed(1).padStart(9)}  ${place}`);
}

/** Our own files one by one, everything else by package. */
function placeOf(frame: Profile["nodes"][0]["callFrame"]): { group: string; place: string } {
  const { url, lineNumber, functionName } = frame;
  if (url === "") return { group: functionName.startsWith("(") ? functionName : "native code", place: "" };
  if (url.startsWith("wasm:")) return { group: "wasm (undici's HTTP parser)", place: "wasm" };
  if (url.startsWith("node:")) {
    return { group: `node: ${url.slice(5).split("/")[0]}`, place: `${url}:${lineNumber + 1}` };
  }
  const file = url.startsWith("file:") ? fileURLToPath(url) : url;
  const installed = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)$/.exec(file);
  if (installed)
    return { group: `package ${installed[1]}`, place: `${installed[1]}/${installed[2]}:${lineNumber + 1}` };
  const own = path.relative(root, file);
  return { group: `redclaw ${own}`, place: `${own}:${lineNumber + 1}` };
}
