/** Inside the widget: tells the site around it how many messages are unread, and asks it to close. */
type Word = "ready" | "close" | "unread";

export const embedded = window.parent !== window && new URLSearchParams(location.search).has("embed");

let around: string | undefined;
let open = true;

/** `opened` is called when the visitor opens the widget. */
export function meetWidget(opened: () => void): void {
  if (!embedded) return;
  document.documentElement.classList.add("embed");
  addEventListener("message", (event) => {
    // Only the frame around us; that it is an allowed site is enforced by `frame-ancestors`.
    if (event.source !== window.parent || event.data?.redclaw === undefined) return;
    around = event.origin;
    if (event.data.redclaw === "hello") tell("ready");
    open = event.data.open === true;
    if (open) opened();
  });
}

/** Is the conversation in front of the visitor's eyes? */
export function inSight(): boolean {
  return !document.hidden && (!embedded || open);
}

export function tell(word: Word, count?: number): void {
  if (embedded && around !== undefined) window.parent.postMessage({ redclaw: word, count }, around);
}
