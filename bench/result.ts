/** All that one run of the bench has found. */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { root } from "../scripts/node-red";
import type { Fairness } from "./fairness";
import type { Idle } from "./idle";
import type { MissionRun } from "./mission";
import { peers } from "./peers";
import type { Round } from "./rounds";
import type { Slope } from "./slope";

export interface RowResult {
  name: string;
  transport: string;
  /** Messages before the first round. */
  warmedWith: number;
  rounds: Round[];
  steadyRounds: Round[];
  /** MB (10^6 bytes) after a garbage collection at the end, and the most there ever was. */
  rss: number;
  peak: number;
}

export interface Result {
  date: string;
  commit: string;
  machine: string;
  versions: Record<string, string>;
  /** False: the machine has no taskset, and processes shared their cores. */
  pinned: boolean;
  rows: RowResult[];
  idle?: { empty: Idle; everyKind: Idle };
  /** Growth in MB from 100 to 10,000 conversations, by store, after a garbage collection. */
  conversations: Record<string, { rss: number; heap: number }>;
  fairness?: Fairness;
  slope: Record<string, Slope>;
  mission: Record<string, MissionRun[]>;
}

export function newResult(pinned: boolean): Result {
  const version = (name: string) =>
    JSON.parse(fs.readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")).version;
  const [cpu] = os.cpus();
  return {
    date: new Date().toISOString(),
    commit: execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim(),
    machine: `${os.cpus().length} x ${cpu?.model.trim()}, ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.type()} ${os.release()}`,
    versions: {
      node: process.versions.node,
      "node-red": version("node-red"),
      undici: version("undici"),
      ...peers,
    },
    pinned,
    rows: [],
    conversations: {},
    slope: {},
    mission: {},
  };
}
