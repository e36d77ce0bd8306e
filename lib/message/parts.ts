/**
 * From a response to what the channel is asked to do, step by step: text in its dialect and cut to its limits,
 * files and buttons as far as it has them, and something readable in place of what it has not.
 */
import type { FilePart, MessagePart, TextPart } from "../channel/define";
import { attachmentAsText, buttonRows, buttonsAsList, fileKind } from "./degrade";
import { append, documentOf, type RenderedText, render, renderOne } from "./render";
import type { Limit } from "./split";
import type { Block, Document } from "./tree";
import type { Capabilities, OutgoingAttachment, Response } from "./types";

export type Action =
  | { do: "send"; part: MessagePart }
  | { do: "edit"; messageId: string; part: TextPart }
  | { do: "delete"; messageId: string }
  /** On the message that the response answers; an empty emoji takes the reaction away. */
  | { do: "react"; emoji: string }
  | { do: "typing" };

/** Shown with buttons that come without a word. */
const POINT_AT_BUTTONS = "👇";

/**
 * @param can what the channel can do
 * @param options `replyTo`: id of the message to answer to ("auto" is resolved by the caller)
 * @returns in the order to be carried out. Empty only when there was nothing to show (typing, reaction or delete
 *   on a channel that has none) and no fallback.
 */
export function toActions(
  response: Response,
  can: Capabilities,
  options: { replyTo?: string } = {},
): Action[] {
  const actions: Action[] = [];
  if (response.typing && can.typing) actions.push({ do: "typing" });
  if (response.delete && can.delete) actions.push({ do: "delete", messageId: response.delete });
  if (response.reaction !== undefined && can.reactions)
    actions.push({ do: "react", emoji: response.reaction });
  let parts = partsOf(response, can);
  if (parts.length === 0 && response.fallback && !actions.some(({ do: what }) => what !== "typing")) {
    parts = partsOf({ text: response.fallback, format: response.format }, can);
  }
  if (response.silent && can.silent) for (const part of parts) part.silent = true;
  const [first, ...rest] = parts;
  if (!first) return actions;
  if (response.edit && can.edit && first.kind === "text") {
    actions.push({ do: "edit", messageId: response.edit, part: first });
  } else {
    const replyTo = response.replyTo === "auto" ? options.replyTo : (options.replyTo ?? response.replyTo);
    if (replyTo && can.replyTo) first.replyTo = replyTo;
    actions.push({ do: "send", part: first });
  }
  for (const part of rest) actions.push({ do: "send", part });
  return actions;
}

function partsOf(response: Response, can: Capabilities): MessagePart[] {
  const limit: Limit = { max: can.text.max, unit: can.text.unit };
  const shown: OutgoingAttachment[] = [];
  const lost: Block[] = [];
  let { fallback } = response;
  for (const attachment of response.attachments ?? []) {
    const kind = fileKind(attachment.kind, can);
    if (kind) {
      shown.push(kind === attachment.kind ? attachment : { ...attachment, kind });
      continue;
    }
    lost.push(attachmentAsText(attachment, fallback));
    // Said once, it stands for all of them.
    if (!attachment.url) fallback = undefined;
  }
  const buttons = buttonRows(response, can);
  const listed = buttonsAsList(response, can);
  let document = append(documentOf(response.text ?? "", response.format), [...lost, ...listed]);
  if (document.blocks.length === 0 && shown.length === 0 && buttons.length > 0) {
    document = documentOf(response.fallback ?? POINT_AT_BUTTONS, response.format);
  }
  const parts =
    shown.length > 0 ? withFiles(document, shown, can, limit, response) : texts(document, can, limit);
  const last = parts.at(-1);
  if (last && buttons.length > 0) last.buttons = buttons;
  return parts;
}

function texts(document: Document, can: Capabilities, limit: Limit): TextPart[] {
  if (document.blocks.length === 0) return [];
  return render(document, can.dialect, limit).map(({ text, plain }) => ({ kind: "text", text, plain }));
}

/** The text goes before the files, or becomes the caption of the only one. */
function withFiles(
  document: Document,
  files: OutgoingAttachment[],
  can: Capabilities,
  limit: Limit,
  response: Response,
): MessagePart[] {
  const [only] = files;
  const joined = files.length === 1 && !response.edit && document.blocks.length > 0;
  if (joined && only && !only.caption) {
    const caption = captionOf(document, can);
    if (caption) return [filePart(only, caption)];
  }
  const parts: MessagePart[] = texts(document, can, limit);
  for (const file of files) {
    const words = documentOf(file.caption ?? "", response.format);
    const caption = words.blocks.length > 0 ? captionOf(words, can) : undefined;
    if (!caption) parts.push(...texts(words, can, limit));
    parts.push(filePart(file, caption));
  }
  return parts;
}

function captionOf(document: Document, can: Capabilities): RenderedText | undefined {
  const { caption, unit } = can.text;
  return caption ? renderOne(document, can.dialect, { max: caption, unit }) : undefined;
}

function filePart({ caption: _, ...file }: OutgoingAttachment, caption?: RenderedText): FilePart {
  return { kind: "file", file, ...(caption && { caption: caption.text, captionPlain: caption.plain }) };
}
