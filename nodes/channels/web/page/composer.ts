/** Where the visitor writes: text, files from the disk, by drag and drop, or from the clipboard. */
import { byId, el, keeper, randomName } from "./dom";
import { type FileView, Problem, type Server } from "./server";
import { explain, sizeOf, words } from "./words";

const FILE_MAX = 10 * 1024 * 1024;
const FILES_MAX = 5;
const TEXT_MAX = 16 * 1024;
const NOTICE_MS = 6_000;

interface Chip {
  element: HTMLElement;
  cancel: AbortController;
  uploaded: Promise<FileView>;
  done?: FileView;
  failed?: boolean;
}

export class Composer {
  readonly #form = byId<HTMLFormElement>("composer");
  readonly #text = byId<HTMLTextAreaElement>("text");
  readonly #send = byId<HTMLButtonElement>("send");
  readonly #list = byId("chips");
  readonly #notice = byId("notice");
  readonly #server: Server;
  readonly #submit: (text: string, files: FileView[]) => void;
  readonly #draft = keeper("sessionStorage");
  #chips: Chip[] = [];
  #noticeTimer?: number;
  #sending = false;

  constructor(server: Server, submit: (text: string, files: FileView[]) => void) {
    this.#server = server;
    this.#submit = submit;
    const picker = byId<HTMLInputElement>("files");
    const attach = byId<HTMLButtonElement>("attach");
    this.#text.placeholder = words.placeholder;
    for (const [element, label] of [
      [this.#text, words.placeholder],
      [this.#send, words.send],
      [attach, words.attach],
    ] as const) {
      element.setAttribute("aria-label", label);
      if (element !== this.#text) element.title = label;
    }
    this.#text.value = this.#draft.get("draft") ?? "";
    this.#text.addEventListener("input", () => this.#typed());
    this.#text.addEventListener("keydown", (event) => {
      // While a word is being put together (Chinese, Japanese ...) Enter chooses it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#finish();
    });
    attach.addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.#attach(picker.files);
      picker.value = "";
    });
    this.#text.addEventListener("paste", (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      this.#attach(event.clipboardData.files);
    });
    this.#takeDrops();
    this.#typed();
  }

  focus(): void {
    this.#text.focus({ preventScroll: true });
  }

  #typed(): void {
    this.#draft.set("draft", this.#text.value || undefined);
    // Grows with its text up to the height that the style allows.
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
    this.#enable();
  }

  #enable(): void {
    this.#send.disabled = this.#sending || (this.#text.value.trim() === "" && this.#chips.length === 0);
  }

  async #finish(): Promise<void> {
    if (this.#send.disabled) return;
    const text = this.#text.value.trim();
    if (new TextEncoder().encode(text).length > TEXT_MAX) return this.#say(words["too-long"]);
    if (this.#chips.some(({ failed }) => failed)) return this.#say(words["upload-failed"]);
    const chips = this.#chips;
    let files: FileView[] = [];
    if (chips.length > 0) {
      this.#sending = true;
      this.#enable();
      try {
        files = await Promise.all(chips.map(({ uploaded }) => uploaded));
      } catch {
        return; // its chip says why
      } finally {
        this.#sending = false;
        this.#enable();
      }
    }
    this.#say("");
    for (const { element } of chips) element.remove();
    // What was written and attached meanwhile stays for the next message.
    this.#chips = this.#chips.filter((chip) => !chips.includes(chip));
    const written = this.#text.value.trimStart();
    if (written.startsWith(text)) this.#text.value = written.slice(text.length).trimStart();
    this.#typed();
    this.#submit(text, files);
    this.focus();
  }

  #attach(files: FileList | null | undefined): void {
    for (const file of files ?? []) {
      if (this.#chips.length >= FILES_MAX) this.#say(words["too-many-files"]);
      else if (file.size > FILE_MAX) this.#say(words["file-too-big"]);
      else if (file.size === 0) this.#say(words.empty);
      else this.#addChip(file);
    }
    this.focus();
  }

  #addChip(file: File): void {
    const cancel = new AbortController();
    const status = el("span", { class: "size" }, words.uploading);
    const remove = el(
      "button",
      { type: "button", class: "plain", "aria-label": `${words.remove}: ${file.name}` },
      "×",
    );
    const element = el("li", { class: "chip busy" });
    if (/^image\/(png|jpeg|gif|webp|avif)$/.test(file.type)) {
      const picture = el("img", { src: URL.createObjectURL(file), alt: "" });
      picture.addEventListener("load", () => URL.revokeObjectURL(picture.src), { once: true });
      element.append(picture);
    }
    element.append(
      el("span", { class: "name", dir: "auto" }, file.name || randomName().slice(0, 6)),
      status,
      remove,
    );
    const chip: Chip = { element, cancel, uploaded: this.#upload(file, cancel.signal) };
    remove.addEventListener("click", () => {
      cancel.abort();
      element.remove();
      this.#chips = this.#chips.filter((other) => other !== chip);
      this.#enable();
      this.focus();
    });
    chip.uploaded.then(
      () => {
        element.classList.remove("busy");
        status.textContent = sizeOf(file.size);
      },
      (problem: unknown) => {
        if (cancel.signal.aborted) return;
        chip.failed = true;
        element.classList.replace("busy", "failed");
        status.textContent = words.failed;
        this.#say(problem instanceof Problem && problem.code ? explain(problem) : words["upload-failed"]);
      },
    );
    this.#chips = [...this.#chips, chip];
    this.#list.append(element);
    this.#enable();
  }

  /** Tries again while it may help. */
  async #upload(file: File, signal: AbortSignal): Promise<FileView> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#server.upload(file, signal);
      } catch (error) {
        if (!(error instanceof Problem && error.passing) || tries >= 5 || signal.aborted) throw error;
        await new Promise((resolve) => window.setTimeout(resolve, (error.retryAfter ?? tries) * 1000));
      }
    }
  }

  #takeDrops(): void {
    const cover = byId("drop");
    byId("drop-text").textContent = words.drop;
    let depth = 0;
    const show = (change: number) => {
      depth = change === 0 ? 0 : Math.max(0, depth + change);
      cover.hidden = depth === 0;
    };
    const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") && !this.#form.hidden;
    addEventListener("dragenter", (event) => files(event) && show(1));
    addEventListener("dragleave", (event) => files(event) && show(-1));
    addEventListener("dragover", (event) => files(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      show(0);
      this.#attach(event.dataTransfer?.files);
    });
  }

  #say(sentence: string): void {
    clearTimeout(this.#noticeTimer);
    this.#notice.textContent = sentence;
    if (sentence) this.#noticeTimer = window.setTimeout(() => this.#say(""), NOTICE_MS);
  }
}
