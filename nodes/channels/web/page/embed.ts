/** Inside the widget: tells the site around it how many messages are unread, and asks it to close. */
import { keepElsewhere, storageDenied } from "./dom";

/** Without an answer for this long, whoever is around us is not our widget. */
const ANSWER_WITHIN_MS = 1_500;

export const embedded = window.parent !== window && new URLSearchParams(location.search).has("embed");

let around: string | undefined;
/** Unknown until the widget says so. */
let open = false;

/** Resolves when the widget has answered. `met` is called whenever it says how it stands. */
export function meetWidget(met: (open: boolean) => void): Promise<void> {
  if (!embedded) return Promise.resolve();
  document.documentElement.classList.add("embed");
  return new Promise((resolve) => {
    window.setTimeout(resolve, ANSWER_WITHIN_MS);
    addEventListener("message", ({ source, origin, data }) => {
      // Only the frame around us; that it is an allowed site is enforced by `frame-ancestors`.
      if (source !== window.parent || typeof data?.redclaw !== "string") return;
      around = origin;
      open = data.open === true;
      if (data.redclaw === "hello" && storageDenied()) {
        keepElsewhere(data.kept ?? {}, (name, value) => tell("keep", { name, value }));
      }
      met(open);
      resolve();
    });
    // Who is around us is not known yet, and nothing is given away by asking.
    window.parent.postMessage({ redclaw: "ask" }, "*");
  });
}

/** Is the conversation in front of the visitor's eyes? */
export function inSight(): boolean {
  return !document.hidden && (!embedded || open);
}

export function tell(word: "close" | "unread" | "keep", about: Record<string, unknown> = {}): void {
  if (embedded && around !== undefined) window.parent.postMessage({ redclaw: word, ...about }, around);
}
