/** The systems that are measured, each in a process of its own: ours, the peers, and bare references. */
import type { ChildProcess } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { deploy, type FlowNode, linkPackage, type RunningNodeRed, startNodeRed } from "../scripts/node-red";
import { type OurAccounts, ourFlows, telegrambotFlows, token, webPath } from "./flows";
import { peersFolder } from "./peers";
import { cores, end, forkFile, meterFile, type Platform, pin } from "./processes";

export interface System {
  child: ChildProcess;
  /** Where it listens, without a slash at its end; only where it does. */
  url?: string;
  stop(): Promise<void>;
}

const env = { NODE_OPTIONS: `--require ${meterFile}`, NODE_ENV: "production" };

/** A Node-RED of this checkout. `prepare` installs packages into its user directory. */
export function nodeRed(
  userDir: string,
  { flows = [], prepare }: { flows?: FlowNode[]; prepare?: (userDir: string) => void } = {},
): Promise<RunningNodeRed> {
  fs.mkdirSync(userDir, { recursive: true });
  prepare?.(userDir);
  return startNodeRed({ userDir, flows, env });
}

/** Ours, with these accounts, once all of them receive. */
export async function ours(platform: Platform, userDir: string, accounts: OurAccounts): Promise<System> {
  const red = await nodeRed(userDir, { prepare: linkPackage });
  return deployed(red, async () => {
    await deploy(red.url, ourFlows(platform.url, accounts));
    await platform.awaitBots([...accounts.poll, ...accounts.webhook]);
    for (let index = 0; index < accounts.web; index += 1) await pageAnswers(red.url + webPath(index));
  });
}

async function deployed(red: RunningNodeRed, work: () => Promise<void>): Promise<System> {
  try {
    await work();
  } catch (error) {
    await red.stop();
    throw new Error(`${(error as Error).message}\n${red.log()}`);
  }
  pin(red.child.pid, cores.system);
  return { child: red.child, url: red.url, stop: () => end(red.child) };
}

async function pageAnswers(page: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while ((await fetch(page)).status !== 200) {
    if (Date.now() > deadline) throw new Error("The chat page did not open within 10 s.");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function telegrambot(platform: Platform, userDir: string, bot: number): Promise<System> {
  const name = "node-red-contrib-telegrambot";
  const prepare = (folder: string) => {
    fs.mkdirSync(path.join(folder, "node_modules"), { recursive: true });
    fs.symlinkSync(path.join(peersFolder, "node_modules", name), path.join(folder, "node_modules", name));
  };
  const red = await nodeRed(userDir, { prepare });
  return deployed(red, async () => {
    await deploy(red.url, telegrambotFlows(platform.url, bot));
    await platform.awaitBots([bot]);
  });
}

/** A program of `systems/` that polls. */
export async function program(platform: Platform, file: string, bot: number): Promise<System> {
  const child = forkFile(`systems/${file}`, [platform.url, token(bot), peersFolder]);
  await platform.awaitBots([bot]);
  pin(child.pid, cores.system);
  return { child, stop: () => end(child) };
}

/** A program of `systems/` that Telegram calls: it sets its webhook to the address where it listens. */
export async function server(platform: Platform, file: string, bot: number): Promise<System> {
  const child = forkFile(`systems/${file}`, [platform.url, token(bot)]);
  const url = await new Promise<string>((resolve) => {
    child.on("message", (message: { url?: string }) => message.url && resolve(message.url));
  });
  await platform.awaitBots([bot]);
  pin(child.pid, cores.system);
  return { child, url, stop: () => end(child) };
}
