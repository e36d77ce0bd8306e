/** A part of a response -> an entry of the conversation -> what the page shows. */
import type { ButtonPart, MessagePart } from "../../../lib/channel/define";
import { toHtml } from "../../../lib/message/markdown";
import type { PostedFile } from "./parse";
import type { Draft, Entry } from "./replay";

/** What the page gets of an entry. `html` is only ever made here, from a bot's markdown. */
export interface View {
  id: string;
  seq: number;
  from: "visitor" | "bot";
  at: number;
  text: string;
  html?: string;
  buttons?: { label: string; value?: string; url?: string }[][];
  files?: PostedFile[];
  replyTo?: string;
  nonce?: string;
  reaction?: string;
  edited?: true;
  deleted?: true;
}

/** The entry that a part becomes; `file` is the part's file, already kept. */
export function draftOf(part: MessagePart, id: string, key: string, file?: PostedFile): Draft {
  const draft = { id, key, from: "bot" as const, ...contentOf(part) };
  return {
    ...draft,
    ...(file ? { files: [file] } : {}),
    ...(part.replyTo ? { replyTo: part.replyTo } : {}),
  };
}

/** Text and buttons of a part: what an edit replaces. */
export function contentOf(part: MessagePart): {
  text: string;
  plain: boolean;
  buttons: ButtonPart[][] | undefined;
} {
  const [text, plainText] =
    part.kind === "text" ? [part.text, part.plain] : [part.caption ?? "", part.captionPlain ?? ""];
  const plain = part.unformatted === true;
  return { text: plain ? plainText : text, plain, buttons: part.buttons?.length ? part.buttons : undefined };
}

/** Entries never change, so what was made of one stays right. */
const made = new WeakMap<Entry, string>();

function htmlOf(entry: Entry): string {
  let html = made.get(entry);
  if (html === undefined) {
    html = toHtml(entry.text);
    made.set(entry, html);
  }
  return html;
}

export function viewOf(entry: Entry): View {
  const { id, seq, from, at, text } = entry;
  const view: View = { id, seq, from, at, text };
  if (from === "bot" && text && !entry.plain) view.html = htmlOf(entry);
  if (entry.buttons) view.buttons = entry.buttons.map((row) => row.map(buttonOf));
  if (entry.files) view.files = entry.files;
  if (entry.replyTo) view.replyTo = entry.replyTo;
  if (entry.nonce) view.nonce = entry.nonce;
  if (entry.reaction) view.reaction = entry.reaction;
  if (entry.edited) view.edited = true;
  if (entry.deleted) view.deleted = true;
  return view;
}

/** Only web addresses, mail and telephone become links. */
function buttonOf({ label, value, url }: ButtonPart): { label: string; value?: string; url?: string } {
  if (url === undefined) return { label, value: value ?? label };
  return /^(https?:|mailto:|tel:)/i.test(url) ? { label, url } : { label, value: label };
}
