/**
 * Instructions (the system prompt) with fields such as `{{sender.name}}`. A field is a look-up and nothing else: no
 * code, no inherited property, and what is inserted is never looked at again.
 */
import type { ChatContext, MessageEvent } from "../message/types";

export interface FieldSources {
  chat?: ChatContext;
  event?: MessageEvent;
  /** The message on the wire, for `{{msg.anything}}`. */
  msg: unknown;
  now: Date;
}

const FIELD = /\{\{\s*([\p{L}\p{N}_$.[\]-]{1,200})\s*\}\}/gu;
/** Names and the like come from strangers: one line, and not an essay. */
const NAME_LENGTH = 200;
const VALUE_LENGTH = 20_000;

/** Fills in all fields in a single pass; an unknown one becomes empty. */
export function fillInstructions(template: string, sources: FieldSources): string {
  return template.replace(FIELD, (_, path: string) => fieldText(path, sources));
}

function fieldText(path: string, { chat, event, msg, now }: FieldSources): string {
  const steps = path.replace(/\[(\d+)\]/g, ".$1").split(".");
  switch (steps[0]) {
    case "date":
      return now.toLocaleDateString("en-GB", {
        weekday: "long",
        day: "numeric",
        month: "long",
        year: "numeric",
      });
    case "time":
      return now.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    case "msg":
      return textOf(look(msg, steps.slice(1)), VALUE_LENGTH);
    default: {
      const found = look(chat, steps) ?? look(event, steps);
      return textOf(found, NAME_LENGTH).replace(/\s+/g, " ").trim();
    }
  }
}

/** Follows own properties only; `__proto__` and its like are never followed, even when JSON brought them. */
function look(from: unknown, steps: readonly string[]): unknown {
  let at = from;
  for (const step of steps) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    if (step === "__proto__" || step === "constructor" || step === "prototype") return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function textOf(value: unknown, length: number): string {
  if (value === undefined || value === null || typeof value === "function" || typeof value === "symbol")
    return "";
  let text: string;
  try {
    text = typeof value === "object" ? (JSON.stringify(value) ?? "") : String(value);
  } catch {
    // A circular object, for example msg.req.
    return "";
  }
  return text.length > length ? text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "") : text;
}
