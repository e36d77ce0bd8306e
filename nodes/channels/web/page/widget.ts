/**
 * The widget: a button in the corner of any site that opens the chat in a frame. One script tag is all:
 * `<script src="https://.../redclaw/web/<account>/widget.js" async></script>`
 *
 * Attributes of the tag: `data-side="left"`, `data-label="Ask us"`.
 */
import { onColor } from "./color";
import widgetStyle from "./widget.css";

interface Look {
  title: string;
  color: string;
}

const script = document.currentScript as HTMLScriptElement | null;
// The server puts the account's title and colour here.
const look = "__LOOK__" as unknown as Look;
/** Without an answer for this long, the site around is not on the account's list. */
const ANSWER_WITHIN_MS = 6_000;

function build(base: URL): void {
  const label = script?.dataset["label"] ?? look.title;
  const host = document.createElement("div");
  host.dataset["redclaw"] = "widget";
  const root = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet(); // unlike a style element, allowed under any content policy
  style.replaceSync(widgetStyle);
  root.adoptedStyleSheets = [style];
  host.style.setProperty("--accent", look.color);
  host.style.setProperty("--on-accent", onColor(look.color));
  root.innerHTML = `<div class="panel" role="dialog" hidden><p class="blocked" hidden></p></div>
    <button type="button" class="launch" aria-haspopup="dialog" aria-expanded="false"><svg viewBox="0 0 24 24" aria-hidden="true"><path class="chat" d="M6 4h12a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3h-5l-5 4v-4H6a3 3 0 0 1-3-3V7a3 3 0 0 1 3-3z"/><path class="cross" d="M6 6l12 12M18 6L6 18"/></svg><span class="badge" hidden></span></button>`;
  const panel = root.querySelector(".panel") as HTMLElement;
  const button = root.querySelector(".launch") as HTMLButtonElement;
  const badge = root.querySelector(".badge") as HTMLElement;
  if (script?.dataset["side"] === "left") host.dataset["side"] = "left";
  panel.setAttribute("aria-label", label);
  button.setAttribute("aria-label", label);
  button.title = label;

  const known = remembered();
  const site = known ?? { kept: {} };
  let frame: HTMLIFrameElement | undefined;
  let answered = false;
  const isOpen = () => !panel.hidden;
  const say = (word: "hello" | "shown") => {
    if (!answered) return;
    frame?.contentWindow?.postMessage({ redclaw: word, open: isOpen(), kept: site.kept }, base.origin);
  };

  const load = () => {
    if (frame) return;
    frame = document.createElement("iframe");
    frame.title = label;
    frame.allow = "clipboard-write";
    frame.src = new URL("./?embed=1", base).href;
    frame.addEventListener("load", () =>
      window.setTimeout(() => answered || showBlocked(), ANSWER_WITHIN_MS),
    );
    panel.append(frame);
  };
  const showBlocked = () => {
    const note = root.querySelector(".blocked") as HTMLElement;
    note.hidden = false;
    note.textContent = "The chat may not be shown on this site yet. ";
    const link = document.createElement("a");
    link.href = base.href;
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = "Open it in its own window";
    note.append(link);
    console.warn(`Redclaw: add ${location.origin} to "Sites with the widget" of the web account.`);
  };
  const setOpen = (open: boolean) => {
    panel.hidden = !open;
    host.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(open));
    if (open) {
      load();
      remember(site);
      frame?.focus();
    } else button.focus();
    say("shown");
  };

  button.addEventListener("click", () => setOpen(!isOpen()));
  root.addEventListener("keydown", (event) => {
    if ((event as KeyboardEvent).key === "Escape" && isOpen()) setOpen(false);
  });
  addEventListener("message", (event) => {
    if (event.origin !== base.origin || !frame || event.source !== frame.contentWindow) return;
    const { redclaw, count, name, value } = event.data ?? {};
    if (redclaw === "ask") {
      answered = true;
      host.classList.add("met");
      (root.querySelector(".blocked") as HTMLElement).hidden = true;
      say("hello");
    }
    if (redclaw === "keep") {
      // This browser gives foreign frames no storage: what the chat must remember stays with the site around it.
      if (typeof value === "string") site.kept[name] = value;
      else delete site.kept[name];
      remember(site);
    }
    if (redclaw === "close" && isOpen()) setOpen(false);
    if (redclaw === "unread") {
      const shown = Number(count) > 0;
      badge.hidden = !shown;
      badge.textContent = shown ? String(Math.min(99, Number(count))) : "";
      button.setAttribute("aria-label", shown ? `${label} (${badge.textContent})` : label);
    }
  });
  document.body.append(host);
  // Whoever has chatted here before hears of new answers without opening it.
  if (known) (window.requestIdleCallback ?? window.setTimeout)(load);
}

const MARK = `redclaw:${script?.src ?? ""}`;

/** What this site remembers of the chat. */
interface Remembered {
  kept: Record<string, string>;
}

function remember(site: Remembered): void {
  try {
    localStorage.setItem(MARK, JSON.stringify(site));
  } catch {
    // Not allowed here: the chat starts anew on the next page.
  }
}

function remembered(): Remembered | undefined {
  try {
    const { kept } = JSON.parse(localStorage.getItem(MARK) ?? "null");
    return { kept: { ...kept } };
  } catch {
    return undefined;
  }
}

if (script?.src) {
  const base = new URL("./", script.src);
  if (document.body) build(base);
  else document.addEventListener("DOMContentLoaded", () => build(base));
}
