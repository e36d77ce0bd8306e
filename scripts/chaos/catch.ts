/** The part of the campaign that must catch a negative control, and what it found. */
import fs from "node:fs";
import { runBurst } from "./burst";
import { buildControl, type Control } from "./controls";
import { runLateUpdates } from "./late-updates";
import { killAtEveryStep } from "./steps";

/** Broken promises that the campaign found in a build with this fault. Empty: the campaign is blind to it. */
export async function catchControl(name: Control["name"], seed: number): Promise<string[]> {
  const from = buildControl(name);
  try {
    switch (name) {
      case "acknowledge before commit":
        return (await killAtEveryStep({ promised: "hold", from, untilBroken: true })).broken;
      case "watermark dedupe":
        return await runLateUpdates({ seed, from });
      case "mark a batch":
        return (await runBurst({ seed, kills: 2, promised: "hold", from })).broken;
    }
  } finally {
    fs.rmSync(from, { recursive: true, force: true });
  }
}
