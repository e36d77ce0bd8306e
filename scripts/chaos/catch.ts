/** The part of the campaign that must catch a negative control, and what it found. */
import fs from "node:fs";
import { runBurst } from "./burst";
import { buildControl, type Control, controls } from "./controls";
import { runLateUpdates } from "./late-updates";
import { killAtEveryStep } from "./steps";

/** What the campaign says of a build with this fault. Undefined: the campaign is blind to it. */
export async function catchControl(name: Control["name"], seed: number): Promise<string | undefined> {
  const { caughtBy } = controls.find((one) => one.name === name) as Control;
  const from = buildControl(name);
  try {
    return (await run(name, seed, from, caughtBy)).find((found) => caughtBy.test(found));
  } finally {
    fs.rmSync(from, { recursive: true, force: true });
  }
}

async function run(name: Control["name"], seed: number, from: string, until: RegExp): Promise<string[]> {
  switch (name) {
    case "acknowledge before commit":
      return (await killAtEveryStep({ promised: "hold", from, until })).broken;
    case "watermark dedupe":
      return runLateUpdates({ seed, from });
    case "mark a batch":
      return (await runBurst({ seed, kills: 2, promised: "hold", from })).broken;
  }
}
