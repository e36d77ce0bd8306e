/** Pieces of a message: files and quotes. */
import { el } from "./dom";
import type { FileView, MessageView } from "./server";
import { sizeOf, words } from "./words";

export function filesOf(files: readonly FileView[]): HTMLElement[] {
  return files.map(fileOf);
}

function fileOf(file: FileView): HTMLElement {
  const address = `files/${encodeURIComponent(file.id)}`;
  if (file.kind === "image") {
    const picture = el("img", { src: address, alt: file.name, loading: "lazy", decoding: "async" });
    const link = el("a", { class: "picture", href: address, target: "_blank", rel: "noopener" }, picture);
    picture.addEventListener("error", () => link.replaceWith(linkOf(file, address)), { once: true });
    return link;
  }
  if (file.kind === "audio" || file.kind === "voice") {
    const player = el("audio", { src: address, controls: "", preload: "metadata", "aria-label": file.name });
    return el("div", { class: "media" }, player);
  }
  if (file.kind === "video") {
    const player = el("video", {
      src: address,
      controls: "",
      preload: "metadata",
      playsinline: "",
      "aria-label": file.name,
    });
    return el("div", { class: "media" }, player);
  }
  return linkOf(file, address);
}

function linkOf(file: FileView, address: string): HTMLElement {
  return el(
    "a",
    {
      class: "file",
      href: address,
      download: file.name,
      "aria-label": `${words.download}: ${file.name}, ${sizeOf(file.size)}`,
    },
    el("span", { class: "name", dir: "auto" }, file.name),
    el("span", { class: "size" }, sizeOf(file.size)),
  );
}

export function quoteOf(view: MessageView, reveal: () => void): HTMLElement {
  const short = view.text.replace(/\s+/g, " ").slice(0, 90) || view.files?.[0]?.name || "…";
  const quote = el("button", { type: "button", class: "quote", dir: "auto" }, short);
  quote.addEventListener("click", reveal);
  return quote;
}
