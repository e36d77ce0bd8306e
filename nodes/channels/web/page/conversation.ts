/** The list of messages: puts each in its place, keeps the newest in sight, shows what is being sent. */
import { byId, el } from "./dom";
import type { Outgoing } from "./outbox";
import { filesOf, quoteOf } from "./parts";
import type { Hello, MessageView } from "./server";
import { dayOf, timeOf, words } from "./words";

/** Messages of one person that stand together share one time. */
const TOGETHER_MS = 5 * 60_000;
const TYPING_MS = 8_000;
/** Closer to the end than this counts as being there. */
const NEAR_END_PX = 80;

export interface Acts {
  press(messageId: string, button: { label: string; value: string }): void;
  suggest(text: string): void;
  retry(nonce: string): void;
  discard(nonce: string): void;
}

interface Shown {
  element: HTMLElement;
  from: "visitor" | "bot";
  at: number;
  /** Its place; what is still being sent stands at the end. */
  seq: number;
  view?: MessageView;
  /** What its element shows. */
  content?: string;
}

export class ConversationView {
  readonly #log = byId("log");
  readonly #newer = byId<HTMLButtonElement>("newer");
  readonly #acts: Acts;
  readonly #byId = new Map<string, Shown>();
  readonly #byNonce = new Map<string, Shown>();
  #ordered: Shown[] = [];
  readonly #typing = el("div", { class: "msg bot typing" });
  #typingTimer?: number;
  #welcome?: HTMLElement;
  #atEnd = true;
  #ready = false;

  constructor(acts: Acts) {
    this.#acts = acts;
    this.#log.setAttribute("aria-label", words.log);
    this.#log.tabIndex = 0; // what can be scrolled must be in reach of the keyboard
    this.#newer.append(words.newer);
    this.#newer.addEventListener("click", () => this.#toEnd(true));
    this.#typing.append(
      el("span", { class: "sr" }, words.writing),
      el("div", { class: "bubble dots", "aria-hidden": "true" }, el("i"), el("i"), el("i")),
    );
    let top = 0;
    this.#log.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#log;
      if (scrollHeight - scrollTop - clientHeight < NEAR_END_PX) {
        this.#atEnd = true;
        this.#newer.hidden = true;
      } else if (scrollTop < top) this.#atEnd = false; // only a person scrolls up
      top = scrollTop;
    });
    // Pictures that load later, and a keyboard that opens, must not push the newest out of sight.
    new ResizeObserver(() => this.#follow()).observe(this.#log);
    this.#log.addEventListener("load", () => this.#follow(), true);
  }

  welcome({ greeting, suggestions }: Hello): void {
    this.#welcome?.remove();
    const bubble = el("div", { class: "bubble", dir: "auto" });
    bubble.innerHTML = greeting; // made by the server from the owner's markdown
    const buttons = suggestions.map((text) => {
      const button = el("button", { type: "button", dir: "auto" }, text);
      button.addEventListener("click", () => this.#acts.suggest(text));
      return button;
    });
    this.#welcome = el("div", { class: "msg bot welcome" });
    if (greeting) this.#welcome.append(el("span", { class: "sr" }, words.bot), bubble);
    if (buttons.length > 0)
      this.#welcome.append(el("div", { class: "buttons" }, el("div", { class: "row" }, ...buttons)));
    this.#log.prepend(this.#welcome);
    this.#toggleSuggestions();
  }

  /** The replay is complete: from now on new messages are read out. */
  markReady(): void {
    this.#log.setAttribute("aria-busy", "false");
    if (!this.#ready) this.#toEnd(false);
    this.#ready = true;
  }

  /** Shows a message of the server. True when it is a new one from the bot. */
  show(view: MessageView, stillSending: boolean): boolean {
    const known = this.#byId.get(view.id) ?? (view.nonce ? this.#byNonce.get(view.nonce) : undefined);
    if (view.deleted) {
      // Taken back by the server, but still ours to send: it stays in sight.
      if (known && !stillSending) this.#forget(known, view.id);
      return false;
    }
    if (view.from === "bot") this.stopTyping();
    const shown = known ?? this.#place({ element: el("div"), from: view.from, at: view.at, seq: view.seq });
    this.#byId.set(view.id, shown);
    Object.assign(shown, { seq: view.seq, at: view.at, view });
    this.#fill(shown, view, stillSending ? shown.element.dataset["state"] : undefined);
    if (known) this.#replace(shown);
    this.#arrange();
    if (!known) this.#arrived(view.from === "visitor");
    return !known && view.from === "bot";
  }

  /** Shows how sending goes. */
  showOutgoing(outgoing: Outgoing, sent: boolean): void {
    let shown = this.#byNonce.get(outgoing.nonce);
    const isNew = !shown;
    shown ??= this.#place({
      element: el("div"),
      from: "visitor",
      at: outgoing.at,
      seq: Number.POSITIVE_INFINITY,
    });
    this.#byNonce.set(outgoing.nonce, shown);
    const { nonce, text, files, at } = outgoing;
    const view: MessageView = shown.view ?? { id: nonce, seq: 0, from: "visitor", at, text, files };
    this.#fill(shown, view, sent ? undefined : outgoing.state, outgoing);
    this.#arrange();
    if (isNew) this.#arrived(true);
  }

  typing(): void {
    clearTimeout(this.#typingTimer);
    this.#typingTimer = window.setTimeout(() => this.stopTyping(), TYPING_MS);
    if (this.#typing.isConnected) return;
    this.#log.append(this.#typing);
    this.#follow();
  }

  stopTyping(): void {
    clearTimeout(this.#typingTimer);
    this.#typing.remove();
  }

  /** Draws what changed: a screen reader says again what is put in anew. A button that was pressed stays marked. */
  #fill(shown: Shown, view: MessageView, state: string | undefined, outgoing?: Outgoing): void {
    const { element } = shown;
    const chosen = element.querySelector<HTMLElement>("[aria-pressed=true]")?.dataset["value"];
    element.className = `msg ${view.from === "bot" ? "bot" : "me"}`;
    if (state) element.dataset["state"] = state;
    else delete element.dataset["state"];
    const { text, html, files, buttons, reaction, replyTo } = view;
    const content = JSON.stringify([text, html, files ?? [], buttons, reaction, replyTo]);
    if (shown.content === content) {
      element.lastElementChild?.replaceWith(this.#meta(view, state, outgoing));
      return;
    }
    shown.content = content;
    const parts: Node[] = [el("span", { class: "sr" }, view.from === "bot" ? words.bot : words.you)];
    const quoted = view.replyTo ? this.#byId.get(view.replyTo)?.view : undefined;
    if (quoted && quoted.id !== this.#lastOfVisitor(view))
      parts.push(quoteOf(quoted, () => this.#reveal(quoted.id)));
    if (view.files?.length) parts.push(...filesOf(view.files));
    if (view.text) {
      const bubble = el("div", { class: "bubble", dir: "auto" });
      if (view.from === "bot" && view.html !== undefined) bubble.innerHTML = view.html;
      else bubble.append(el("p", { class: "raw" }, view.text));
      parts.push(bubble);
    }
    if (view.reaction) parts.push(el("div", { class: "reaction" }, view.reaction));
    if (view.buttons) parts.push(this.#buttons(view, chosen));
    parts.push(this.#meta(view, state, outgoing));
    element.replaceChildren(...parts);
    for (const table of element.querySelectorAll("table")) {
      const frame = el("div", { class: "wide", tabindex: "0" });
      table.replaceWith(frame);
      frame.append(table);
    }
  }

  #buttons(view: MessageView, chosen: string | undefined): HTMLElement {
    const rows = (view.buttons ?? []).map((row) =>
      el(
        "div",
        { class: "row" },
        ...row.map(({ label, value, url }) => {
          if (url)
            return el(
              "a",
              {
                class: "button",
                href: url,
                target: "_blank",
                rel: "noopener noreferrer nofollow",
                dir: "auto",
              },
              label,
            );
          const button = el(
            "button",
            { type: "button", dir: "auto", "data-value": value, "aria-pressed": String(value === chosen) },
            label,
          );
          button.addEventListener("click", () => {
            for (const other of button.closest(".buttons")?.querySelectorAll("button") ?? []) {
              other.setAttribute("aria-pressed", String(other === button));
            }
            this.#acts.press(view.id, { label, value: value ?? label });
          });
          return button;
        }),
      ),
    );
    return el("div", { class: "buttons" }, ...rows);
  }

  #meta(view: MessageView, state: string | undefined, outgoing?: Outgoing): HTMLElement {
    const meta = el("div", { class: "meta" });
    if (state === "sending") meta.append(el("span", { class: "slow" }, words.sending));
    else if (state === "waiting") {
      meta.append(el("span", {}, outgoing?.sentence ?? words.waiting));
      if (outgoing) meta.append(this.#act(words.retry, () => this.#acts.retry(outgoing.nonce)));
    } else if (state === "failed" && outgoing) {
      meta.append(el("span", { role: "alert" }, outgoing.sentence ?? words.failed));
      meta.append(this.#act(words.retry, () => this.#acts.retry(outgoing.nonce)));
      meta.append(
        this.#act(words.discard, () => {
          this.#acts.discard(outgoing.nonce);
          const shown = this.#byNonce.get(outgoing.nonce);
          if (shown) this.#forget(shown, view.id);
        }),
      );
    } else {
      meta.append(el("time", { datetime: new Date(view.at).toISOString() }, timeOf(view.at)));
      if (view.edited) meta.append(el("span", { class: "edited" }, words.edited));
    }
    return meta;
  }

  #act(label: string, act: () => void): HTMLButtonElement {
    const button = el("button", { type: "button", class: "link" }, label);
    button.addEventListener("click", act);
    return button;
  }

  #place(shown: Shown): Shown {
    this.#ordered.push(shown);
    this.#replace(shown);
    return shown;
  }

  /** Moves a message to where it belongs. An answer that came later in time may have come earlier over the wire. */
  #replace(shown: Shown): void {
    const others = this.#ordered.filter((other) => other !== shown);
    let index = others.length;
    while (index > 0 && (others[index - 1] as Shown).seq > shown.seq) index -= 1;
    const before = others[index]?.element ?? (this.#typing.isConnected ? this.#typing : null);
    this.#ordered = others.toSpliced(index, 0, shown);
    // Moving an element that stands right would make a screen reader say it again.
    if (!shown.element.isConnected || shown.element.nextSibling !== before)
      this.#log.insertBefore(shown.element, before);
  }

  #forget(shown: Shown, id: string): void {
    shown.element.remove();
    this.#ordered = this.#ordered.filter((other) => other !== shown);
    this.#byId.delete(id);
    for (const [nonce, other] of this.#byNonce) if (other === shown) this.#byNonce.delete(nonce);
    this.#arrange();
  }

  /** Days between, and one time below messages that belong together. */
  #arrange(): void {
    let day = words.today;
    this.#ordered.forEach((shown, index) => {
      const next = this.#ordered[index + 1];
      const alone = !next || next.from !== shown.from || next.at - shown.at > TOGETHER_MS;
      shown.element.classList.toggle("tail", alone);
      const own = dayOf(shown.at);
      if (own !== day) shown.element.dataset["day"] = own;
      else delete shown.element.dataset["day"];
      day = own;
    });
    this.#toggleSuggestions();
  }

  #toggleSuggestions(): void {
    const buttons = this.#welcome?.querySelector<HTMLElement>(".buttons");
    if (buttons) buttons.hidden = this.#ordered.some(({ from }) => from === "visitor");
  }

  /** An answer right below its question needs no quote. */
  #lastOfVisitor(view: MessageView): string | undefined {
    return this.#ordered.findLast((shown) => shown.from === "visitor" && shown.seq < view.seq)?.view?.id;
  }

  #reveal(id: string): void {
    const element = this.#byId.get(id)?.element;
    element?.scrollIntoView({ block: "center" });
    element?.classList.add("flash");
    window.setTimeout(() => element?.classList.remove("flash"), 1500);
  }

  #arrived(own: boolean): void {
    if (own || this.#atEnd || !this.#ready) this.#toEnd(this.#ready);
    else this.#newer.hidden = false;
  }

  #follow(): void {
    if (this.#atEnd) this.#toEnd(false);
  }

  #toEnd(smooth: boolean): void {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#atEnd = true;
    this.#newer.hidden = true;
    this.#log.scrollTo({ top: this.#log.scrollHeight, behavior: smooth && !calm ? "smooth" : "instant" });
  }
}
