/**
 * Checks the three objects where they enter: events from a channel, and `msg.chat` and `msg.payload` from a flow.
 * What comes out is a clean copy that is plain JSON; what is wrong is refused with a sentence for its author.
 */
import { isUtf8 } from "node:buffer";
import { RedclawError } from "../errors";
import { cleanText, cleanValue, MAX_TEXT, toBase64 } from "./clean";
import { sentenceFor } from "./sentences";
import type { Button, ChatContext, MessageEvent, OutgoingAttachment, Response } from "./types";
import { type Validator, validateChatContext, validateMessageEvent, validateResponse } from "./validators";

const NO_TEXT = 'There is no text to send. Put the answer into msg.payload, for example "Hello".';

/** More buttons than any platform shows. */
const MAX_BUTTONS = 100;
const MAX_ATTACHMENTS = 100;

/**
 * Unknown fields are kept; a text of more than 1 MB is cut.
 * @throws RedclawError `bad-event` with the property that is wrong
 */
export function checkEvent(value: unknown): MessageEvent {
  const event = cleanValue(value);
  assertValid(event, validateMessageEvent, "bad-event", "The event");
  if (event.text.length > MAX_TEXT) event.text = `${event.text.slice(0, MAX_TEXT).toWellFormed()}…`;
  return event;
}

/**
 * Unknown fields are kept.
 * @throws RedclawError `bad-chat` with the property that is wrong
 */
export function checkContext(value: unknown): ChatContext {
  const chat = cleanValue(value);
  assertValid(chat, validateChatContext, "bad-chat", "msg.chat");
  return chat;
}

/**
 * Unknown fields are left out. A button with only a label gets it as its value; a Buffer in `data` becomes base64.
 * @throws RedclawError `bad-response`, `too-long`, or `no-text` when there is nothing in it
 */
export function checkResponse(value: unknown): Response {
  const response = known(value);
  if (isRecord(response))
    for (const field of ["text", "fallback"] as const) assertLength(response[field], `.${field}`);
  assertValid(response, validateResponse, "bad-response", "msg.payload");
  response.attachments?.forEach(checkAttachment);
  if (response.buttons) response.buttons = checkButtons(response.buttons);
  if (isEmpty(response)) throw new RedclawError("no-text", NO_TEXT);
  return response;
}

/**
 * Whatever a flow puts into `msg.payload`, as a Response: a string, number or boolean is its text, a Buffer its
 * text or file, and a MessageEvent (an echo) is said again.
 * @throws RedclawError as `checkResponse`
 */
export function toResponse(input: unknown): Response {
  switch (typeof input) {
    case "string":
      return ofText(input);
    case "number":
    case "boolean":
    case "bigint":
      return { text: String(input) };
    case "object":
      break;
    default:
      throw new RedclawError("no-text", NO_TEXT);
  }
  if (input === null) throw new RedclawError("no-text", NO_TEXT);
  if (input instanceof Uint8Array) return ofBytes(input);
  if (Array.isArray(input)) {
    throw new RedclawError(
      "bad-response",
      'msg.payload is a list. Put one answer into it, for example "Hello".',
    );
  }
  return checkResponse(isEvent(input) ? ofEvent(input) : input);
}

function ofText(input: string): Response {
  assertLength(input, "");
  const text = cleanText(input);
  if (text.trim() === "") throw new RedclawError("no-text", NO_TEXT);
  return { text };
}

function ofBytes(bytes: Uint8Array): Response {
  if (bytes.length === 0) throw new RedclawError("no-text", NO_TEXT);
  if (isUtf8(bytes) && !bytes.includes(0)) return ofText(Buffer.from(bytes).toString("utf8"));
  return { attachments: [{ kind: isPicture(bytes) ? "image" : "file", data: toBase64(bytes) }] };
}

/** PNG, JPEG, GIF and WebP by their first bytes. */
function isPicture(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 12)).toString("latin1");
  return /^(?:\x89PNG|\xff\xd8\xff|GIF8|RIFF.{4}WEBP)/s.test(start);
}

/** Enough of a MessageEvent to know that somebody wired an in node to a reply. */
function isEvent(input: object): input is MessageEvent {
  return "kind" in input && "conversation" in input && "sender" in input && "channel" in input;
}

function ofEvent(event: MessageEvent): Record<string, unknown> {
  const files = Array.isArray(event.attachments) ? event.attachments : [];
  const attachments = files
    .filter((file) => isRecord(file) && SENDABLE.has(String(file.kind)))
    .map(({ kind, ref, name, mime }) => ({ kind, ref, name, mime }));
  return { text: event.text, ...(attachments.length > 0 && { attachments }) };
}

/** Kinds that can be sent again by their `ref`. */
const SENDABLE = new Set(["image", "audio", "voice", "video", "file"]);

const RESPONSE_FIELDS = [
  "v",
  "text",
  "format",
  "attachments",
  "buttons",
  "replyTo",
  "edit",
  "delete",
  "reaction",
  "typing",
  "silent",
  "fallback",
] as const satisfies (keyof Response)[];
const ATTACHMENT_FIELDS = [
  "kind",
  "url",
  "path",
  "data",
  "ref",
  "name",
  "mime",
  "caption",
] as const satisfies (keyof OutgoingAttachment)[];
const BUTTON_FIELDS = ["label", "value", "url"] as const satisfies (keyof Button)[];

/** A clean copy of the fields we know. Wrong types are kept, for the validator to name them. */
function known(value: unknown): unknown {
  if (!isRecord(value)) return cleanValue(value);
  const response = pick(value, RESPONSE_FIELDS);
  const { attachments, buttons } = response;
  if (Array.isArray(attachments)) {
    assertCount(attachments.length, MAX_ATTACHMENTS, "files");
    response["attachments"] = attachments.map((file) =>
      isRecord(file) ? pick(file, ATTACHMENT_FIELDS) : file,
    );
  }
  if (Array.isArray(buttons)) {
    assertCount(buttons.flat().length, MAX_BUTTONS, "buttons");
    response["buttons"] = buttons.map((row) =>
      Array.isArray(row)
        ? row.map((button) => (isRecord(button) ? pick(button, BUTTON_FIELDS) : button))
        : row,
    );
  }
  return response;
}

/** `null` in an optional field means that it is not set, as people write it in function nodes. */
function pick(value: Record<string, unknown>, fields: readonly string[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const field of fields) {
    if (!Object.hasOwn(value, field)) continue;
    const item = value[field];
    if (item === undefined || item === null) continue;
    copy[field] = field === "data" ? dataOf(item) : Array.isArray(item) ? item : cleanValue(item);
  }
  return copy;
}

/** A Buffer, or what JSON made of one, as base64. */
function dataOf(data: unknown): unknown {
  if (data instanceof Uint8Array) return toBase64(data);
  if (!isRecord(data) || data["type"] !== "Buffer" || !Array.isArray(data["data"])) return data;
  return Buffer.from(data["data"] as number[]).toString("base64");
}

function checkAttachment(file: OutgoingAttachment, index: number): void {
  const where = `msg.payload.attachments[${index}]`;
  assertLength(file.caption, `.attachments[${index}].caption`);
  const sources = [file.url, file.path, file.data, file.ref].filter(
    (source) => source !== undefined && source !== "",
  );
  if (sources.length === 1) return;
  const found = sources.length === 0 ? "has none of them" : "has several";
  throw new RedclawError(
    "bad-response",
    `${where} must have exactly one of url, path, data or ref, but it ${found}. For example { "kind": "image", "url": "https://example.com/picture.png" }.`,
  );
}

function checkButtons(rows: Button[][]): Button[][] {
  rows.forEach((row, y) => {
    row.forEach((button, x) => {
      if (button.value !== undefined && button.url !== undefined) {
        throw new RedclawError(
          "bad-response",
          `msg.payload.buttons[${y}][${x}] must have either value (it comes back as an event) or url (it opens a page), not both.`,
        );
      }
      if (button.value === undefined && button.url === undefined) button.value = button.label;
    });
  });
  return rows.filter((row) => row.length > 0);
}

function isEmpty(response: Response): boolean {
  if (response.text?.trim() || response.fallback?.trim()) return false;
  if (response.attachments?.length || response.buttons?.length) return false;
  return !response.delete && !response.typing && response.reaction === undefined;
}

function assertValid<T>(
  value: unknown,
  validate: Validator<T>,
  code: string,
  root: string,
): asserts value is T {
  if (validate(value)) return;
  const [violation] = validate.errors ?? [];
  if (violation && violation.instancePath === "" && violation.keyword === "type") {
    throw new RedclawError(code, `${root} must be an object.`);
  }
  throw new RedclawError(
    code,
    violation ? sentenceFor(violation, root) : `${root} is not what is expected here.`,
  );
}

function assertLength(text: unknown, field: string): void {
  if (typeof text !== "string" || text.length <= MAX_TEXT) return;
  const millions = (text.length / MAX_TEXT).toFixed(1);
  throw new RedclawError(
    "too-long",
    `msg.payload${field} has ${millions} million characters; at most 1 million can be sent. Send it as a file instead: { "attachments": [{ "kind": "file", "data": ... }] }.`,
  );
}

function assertCount(count: number, max: number, what: string): void {
  if (count <= max) return;
  throw new RedclawError("too-many", `msg.payload has ${count} ${what}; at most ${max} can be sent at once.`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
