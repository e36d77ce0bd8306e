/** The chat page: joins the server, the conversation and the composer. */
import { paint } from "./color";
import { Composer } from "./composer";
import { ConversationView } from "./conversation";
import { byId, keeper } from "./dom";
import { embedded, inSight, meetWidget, tell } from "./embed";
import { Outbox } from "./outbox";
import { Problem, Server, type State } from "./server";
import { explain, language, words } from "./words";

/** A short interruption is not worth a word. */
const PATIENCE_MS = 1_200;

const stateLine = byId("state");
const chat = byId("chat");
const kept = keeper("localStorage");
let title = document.title;
let unread = 0;
/** Place of the newest message of the bot. */
let newest = 0;
let stateTimer: number | undefined;

function showState(state: State): void {
  clearTimeout(stateTimer);
  const show = () => {
    chat.dataset["state"] = state;
    stateLine.textContent = state === "paused" ? words.tabs : words[state];
  };
  if (state === "reconnecting" && chat.dataset["state"] === "online")
    stateTimer = window.setTimeout(show, PATIENCE_MS);
  else show();
}

function countUnread(count: number): void {
  unread = count;
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
  tell("unread", { count: unread });
}

function seenUntil(): number {
  return Number(kept.get("seen") ?? 0);
}

/** What is in front of the visitor's eyes is read. */
function seen(): void {
  if (!inSight() || unread === 0) return;
  kept.set("seen", String(newest));
  countUnread(0);
}

function lock(locked: boolean): void {
  byId("access").hidden = !locked;
  byId("composer").hidden = locked;
  byId("log").hidden = locked;
  if (locked) {
    stateLine.textContent = "";
    byId("code").focus();
  }
}

const view = new ConversationView({
  press: (messageId, { label, value }) =>
    outbox.add({ text: label, files: [], button: { messageId, value } }),
  suggest: (text) => {
    outbox.add({ text, files: [] });
    composer.focus();
  },
  retry: (nonce) => outbox.retry(nonce),
  discard: (nonce) => outbox.discard(nonce),
});

const server = new Server(
  {
    hello(hello) {
      title = hello.title;
      byId("title").textContent = title;
      countUnread(unread);
      lock(false);
      view.welcome(hello);
    },
    message(message) {
      const isNew = view.show(message, outbox.has(message.nonce));
      if (!isNew || message.seq <= seenUntil()) return;
      newest = message.seq;
      countUnread(unread + 1);
      seen();
    },
    ready() {
      view.markReady();
      outbox.flush();
    },
    typing: () => view.typing(),
    state: showState,
    locked: () => lock(true),
  },
  embedded,
);

const outbox = new Outbox(server, (outgoing, sent) => view.showOutgoing(outgoing, sent));
const composer = new Composer(server, (text, files) => outbox.add({ text, files }));

async function unlock(code: string): Promise<void> {
  const error = byId("code-error");
  error.textContent = "";
  try {
    await server.unlock(code);
    composer.focus();
  } catch (thrown) {
    const problem = thrown instanceof Problem ? thrown : new Problem(0);
    error.textContent =
      problem.status === 0
        ? words.reconnecting
        : problem.code === "too-fast"
          ? (problem.sentence ?? "")
          : explain(problem);
    byId<HTMLInputElement>("code").select();
  }
}

async function start(): Promise<void> {
  document.documentElement.lang = language;
  paint(document.documentElement.dataset["color"]);
  const close = byId<HTMLButtonElement>("close");
  close.hidden = !embedded;
  close.title = words.close;
  close.setAttribute("aria-label", words.close);
  close.addEventListener("click", () => tell("close"));
  byId("code-label").textContent = words.codeLabel;
  byId("enter").textContent = words.enter;
  byId("access").addEventListener("submit", (event) => {
    event.preventDefault();
    void unlock(byId<HTMLInputElement>("code").value);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") tell("close");
  });
  document.addEventListener("visibilitychange", seen);
  addEventListener("focus", () => server.wake());
  chat.addEventListener("click", () => server.wake());
  showState("connecting");
  await meetWidget((open) => {
    countUnread(unread);
    seen();
    if (open) composer.focus();
  });
  outbox.restore();
  const address = new URLSearchParams(location.search);
  const code = address.get("token");
  if (code !== null) {
    // Inside a widget the code cannot become a cookie: it is tried from here, and leaves the address.
    address.delete("token");
    history.replaceState(null, "", `${location.pathname}${address.size > 0 ? `?${address}` : ""}`);
    void unlock(code);
  }
  server.wake();
  if (!embedded && matchMedia("(hover: hover)").matches) composer.focus();
}

void start();
