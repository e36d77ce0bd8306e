/**
 * Negative controls: builds with a fault put in on purpose. A campaign that does not catch them proves nothing.
 * Each is a change of the compiled files; one whose place is not found any more stops with a sentence.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { packageFolder } from "./package";

export interface Patch {
  /** Below `dist/`. */
  file: string;
  find: RegExp;
  replace: string;
}

export interface Control {
  name: "acknowledge before commit" | "watermark dedupe" | "mark a batch";
  /** What the fault does to people. */
  harm: string;
  /** What the judge must say. Something else that goes wrong, too, is not what catches it. */
  caughtBy: RegExp;
  patches: Patch[];
}

export const controls: readonly Control[] = [
  {
    name: "acknowledge before commit",
    harm: "The platform forgets a message that is not on the disk yet: a kill in between loses it.",
    caughtBy: /acknowledged and lost:.*no row/,
    // A moment later, as on a busy disk: then the acknowledgement is surely out first.
    patches: [
      {
        file: "nodes/channels/telegram/poll.js",
        find: /await kept\((ctx\.acceptAll\(.*\))\);/,
        replace: "setTimeout(() => void $1, 20);",
      },
      {
        file: "nodes/channels/web/intake.js",
        find: /await (this\.#ctx\.accept\([^;]*\));/,
        replace: "setTimeout(() => void $1, 20);",
      },
      {
        file: "lib/channel/intake/webhook.js",
        find: /await (account\.accept\([^;]*\));/,
        replace: "setTimeout(() => void $1, 20);",
      },
    ],
  },
  {
    name: "watermark dedupe",
    harm: "An update with a lower number than the highest seen counts as old: one that came late is lost.",
    caughtBy: /late updates were dropped/,
    patches: [
      {
        file: "lib/delivery/inbox.js",
        find: /events\.push\(\(0, (\w+)\.checkEvent\)\(candidate\)\);/,
        replace: `const chaosEvent = (0, $1.checkEvent)(candidate);
                const chaosNumber = Number(chaosEvent.id.split(":").at(-1));
                const chaosMarks = (globalThis.chaosMarks ??= new Map());
                if (chaosNumber < (chaosMarks.get(chaosEvent.account) ?? 0)) continue;
                if (Number.isFinite(chaosNumber)) chaosMarks.set(chaosEvent.account, chaosNumber);
                events.push(chaosEvent);`,
      },
    ],
  },
  {
    name: "mark a batch",
    harm: "Answers that only wait are written down as being sent: a kill makes all of them doubtful.",
    caughtBy: /held in \d+ kills, although 8 are in flight at most/,
    patches: [
      {
        file: "lib/delivery/delivery.js",
        find: /(this\.#writing = this\.#insert\()"intended"/,
        replace: '$1"sending"',
      },
    ],
  },
];

/** A copy of a built package with one fault in it. Throws when a patch has no place any more. */
export function buildControl(name: Control["name"], from = packageFolder): string {
  const control = controls.find((one) => one.name === name) as Control;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-control-"));
  for (const part of ["package.json", "dist", "resources", "icons"]) {
    const source = path.join(from, part);
    if (fs.existsSync(source)) fs.cpSync(source, path.join(folder, part), { recursive: true });
  }
  fs.symlinkSync(fs.realpathSync(path.join(from, "node_modules")), path.join(folder, "node_modules"));
  for (const { file, find, replace } of control.patches) {
    const place = path.join(folder, "dist", file);
    const before = fs.readFileSync(place, "utf8");
    const after = before.replace(find, replace);
    if (after === before)
      throw new Error(
        `The control "${name}" does not fit the code any more: ${find} is not in dist/${file}. Write it anew in scripts/chaos/controls.ts.`,
      );
    fs.writeFileSync(place, after);
  }
  return folder;
}
