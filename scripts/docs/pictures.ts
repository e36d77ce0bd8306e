/** The pictures in `docs/images/`: the flow in the editor and the chat page, taken from the running program. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { linkPackage, readExamples, startNodeRed } from "../node-red";

/** Takes all pictures into a folder; answers the files. Needs `dist/` and a Chromium. */
export async function takePictures(folder: string): Promise<string[]> {
  fs.mkdirSync(folder, { recursive: true });
  const userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-pictures-"));
  linkPackage(userDir);
  const nodeRed = await startNodeRed({ userDir, flows: readExamples().get("01 Start here") ?? [] });
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
  try {
    const [chat, flow] = [path.join(folder, "chat.png"), path.join(folder, "flow.png")];
    const page = await chatted(browser, `${nodeRed.url}/redclaw/web/start-here/`);
    await page.screenshot({ path: chat });
    const editor = await openEditor(browser, nodeRed.url);
    await editor.screenshot({ path: flow, clip: { x: 216, y: 0, width: 745, height: 290 } });
    return [flow, chat];
  } finally {
    await browser.close();
    await nodeRed.stop();
    fs.rmSync(userDir, { recursive: true, force: true });
  }
}

/** The chat page after a short conversation. */
async function chatted(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 480, height: 640 }, deviceScaleFactor: 1.5 });
  await page.goto(url);
  const texts = ["My name is Ada.", "What is my name?"];
  for (const [turn, text] of texts.entries()) {
    await page.getByRole("textbox").fill(text);
    await page.keyboard.press("Enter");
    // "My name is Ada.", the answer to it, and the answer to the question all say the name.
    await page
      .getByText("Ada")
      .nth(turn + 1)
      .waitFor();
    await page.waitForTimeout(1_000);
  }
  return page;
}

async function openEditor(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, deviceScaleFactor: 1.5 });
  await page.goto(url);
  await page.waitForSelector(".red-ui-flow-node", { timeout: 30_000 });
  await page.waitForSelector('.red-ui-palette-node[data-palette-type="redclaw-reply"]');
  await page.waitForTimeout(1_500);
  return page;
}
