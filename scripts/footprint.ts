/**
 * What our package costs a Node-RED that does not use it: resident memory of a bare Node-RED against one with
 * the package installed, measured in turns. `tsx scripts/footprint.ts [rounds]` prints the figures.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { linkPackage, startNodeRed } from "./node-red";

export interface Footprint {
  /** Resident memory of every round, in MB (10^6 bytes). */
  bare: number[];
  installed: number[];
  /** Median of `installed` minus median of `bare`, in MB. */
  added: number;
}

export async function measureFootprint(rounds: number): Promise<Footprint> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-footprint-"));
  const bare: number[] = [];
  const installed: number[] = [];
  try {
    linkPackage(path.join(folder, "installed"));
    // One round of each warms the disk cache and does not count.
    for (let round = -1; round < rounds; round++) {
      for (const [name, results] of [
        ["bare", bare],
        ["installed", installed],
      ] as const) {
        const megabytes = await measure(path.join(folder, name));
        if (round >= 0) results.push(megabytes);
      }
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return { bare, installed, added: median(installed) - median(bare) };
}

async function measure(userDir: string): Promise<number> {
  const nodeRed = await startNodeRed({ userDir });
  try {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return (await nodeRed.probe()).rss / 1e6;
  } finally {
    await nodeRed.stop();
  }
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}

if (require.main === module) {
  measureFootprint(Number(process.argv[2] ?? 5)).then(({ bare, installed, added }) => {
    const list = (values: number[]) => values.map((value) => value.toFixed(1)).join(" ");
    console.log(`bare Node-RED:       ${list(bare)} MB`);
    console.log(`with Redclaw:        ${list(installed)} MB`);
    console.log(`added (of medians):  ${added.toFixed(1)} MB`);
  });
}
