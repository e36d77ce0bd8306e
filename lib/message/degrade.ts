/** What stands in for files and buttons where a channel has none. */
import type { ButtonPart } from "../channel/define";
import type { Block, Inline } from "./tree";
import type { Button, Capabilities, OutgoingAttachment, Response } from "./types";

/** Buttons beside each other; more wrap into the next row. */
const MAX_ROW = 8;
/** Rows under one message; the buttons of further ones are written as a list. */
const MAX_ROWS = 12;

/** The kind to send a file as: its own, or a plain file; undefined when the channel takes neither. */
export function fileKind(
  kind: OutgoingAttachment["kind"],
  can: Capabilities,
): OutgoingAttachment["kind"] | undefined {
  const able = { image: can.images, audio: can.audio, voice: can.voice, video: can.video, file: can.files };
  if (able[kind]) return kind;
  if (kind === "voice" && can.audio) return "audio";
  return can.files ? "file" : undefined;
}

/** A link when the file has an address, else the fallback, else at least its name. */
export function attachmentAsText(attachment: OutgoingAttachment, fallback: string | undefined): Block {
  const { url, caption } = attachment;
  const name = attachment.name ?? caption;
  if (url) return paragraph([{ type: "link", href: url, children: [{ type: "text", value: name ?? url }] }]);
  return paragraph([{ type: "text", value: fallback ?? `📎 ${name ?? attachment.kind}` }]);
}

export function buttonRows(response: Response, can: Capabilities): ButtonPart[][] {
  return can.buttons ? allRows(response).slice(0, MAX_ROWS) : [];
}

/** All buttons as a numbered list, or those that found no place under the message. */
export function buttonsAsList(response: Response, can: Capabilities): Block[] {
  const rows = allRows(response);
  const shown = can.buttons ? rows.slice(0, MAX_ROWS).flat().length : 0;
  const listed = rows.flat().slice(shown);
  if (listed.length === 0) return [];
  return [
    {
      type: "list",
      start: shown + 1,
      tight: true,
      items: listed.map((button) => [paragraph(words(button))]),
    },
  ];
}

function allRows({ buttons = [] }: Response): Button[][] {
  const rows: Button[][] = [];
  for (const row of buttons) {
    for (let i = 0; i < row.length; i += MAX_ROW) rows.push(row.slice(i, i + MAX_ROW));
  }
  return rows;
}

function words({ label, url }: Button): Inline[] {
  const text: Inline = { type: "text", value: label };
  return url ? [{ type: "link", href: url, children: [text] }] : [text];
}

function paragraph(children: Inline[]): Block {
  return { type: "paragraph", children };
}
