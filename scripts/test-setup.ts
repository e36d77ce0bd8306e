/**
 * `npm pretest`: makes sure that there is a Chromium for the browser tests (`/usr/bin/chromium`, or `CHROMIUM`).
 * As root on Debian or Ubuntu it installs the distribution's package; elsewhere it says what is missing.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";

const wanted = process.env["CHROMIUM"] || "/usr/bin/chromium";

function installWithApt(): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [
    ["update"],
    ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
  ]) {
    console.log(`No browser at ${wanted}: running apt-get ${args.join(" ")}`);
    const run = spawnSync("apt-get", ["-q", ...args], { env, stdio: ["ignore", "ignore", "inherit"] });
    if (run.status !== 0) return false;
  }
  return fs.existsSync(wanted);
}

const debian = fs.existsSync("/etc/debian_version") && process.getuid?.() === 0;
if (!fs.existsSync(wanted) && !(debian && !process.env["CHROMIUM"] && installWithApt())) {
  console.error(
    `The browser tests need Chromium, and there is none at ${wanted}. Install it (Debian: sudo apt-get install chromium) or set CHROMIUM to where it is.`,
  );
  process.exit(1);
}
