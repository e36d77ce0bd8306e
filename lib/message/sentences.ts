/** What is wrong with a value, in a sentence that names the property as it is written in a flow. */
import type { Violation } from "./validators";

/** Something that would be right, by the property's name. */
const EXAMPLES: Record<string, string> = {
  text: '"Hello"',
  label: '"Yes"',
  value: '"yes"',
  url: '"https://example.com/picture.png"',
  path: '"/data/picture.png"',
  name: '"picture.png"',
  mime: '"image/png"',
  caption: '"Our garden"',
  replyTo: '"auto"',
  reaction: '"👍"',
  fallback: '"See the web page"',
  attachments: '[{ "kind": "image", "url": "https://example.com/picture.png" }]',
  buttons: '[[{ "label": "Yes", "value": "yes" }]]',
  timestamp: '"2026-01-31T12:00:00Z"',
};

const TYPES: Record<string, string> = {
  string: "text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

/** @param root how a flow calls the value: `msg.payload`, `msg.chat` */
export function sentenceFor(violation: Violation, root: string): string {
  const path = pathOf(violation.instancePath, root);
  const { params } = violation;
  switch (violation.keyword) {
    case "type":
      return expected(path, TYPES[String(params["type"])] ?? String(params["type"]));
    case "required":
      return missing(`${path}.${params["missingProperty"]}`);
    case "const":
      return `${path} must be ${JSON.stringify(params["allowedValue"])}.`;
    case "enum":
      return `${path} must be one of ${listOf(params["allowedValues"])}.`;
    case "minLength":
      return `${path} must not be empty.`;
    default:
      return `${path} is not what is expected here.`;
  }
}

function expected(path: string, what: string): string {
  const example =
    EXAMPLES[/(\w+)$/.exec(path)?.[1] ?? ""] ?? (path.endsWith("]]") ? undefined : exampleOfItem(path));
  return `${path} must be ${what}${example ? `, for example ${example}` : ""}.`;
}

function missing(path: string): string {
  const example = EXAMPLES[/(\w+)$/.exec(path)?.[1] ?? ""];
  return `${path} is missing${example ? `: set it, for example to ${example}` : ""}.`;
}

function exampleOfItem(path: string): string | undefined {
  if (/\.buttons\[\d+\]\[\d+\]$/.test(path)) return '{ "label": "Yes", "value": "yes" }';
  if (/\.buttons\[\d+\]$/.test(path)) return '[{ "label": "Yes", "value": "yes" }] (one row of buttons)';
  if (/\.attachments\[\d+\]$/.test(path))
    return '{ "kind": "image", "url": "https://example.com/picture.png" }';
  return undefined;
}

/** `/buttons/0/0/label` -> `msg.payload.buttons[0][0].label` */
function pathOf(pointer: string, root: string): string {
  return pointer
    .split("/")
    .slice(1)
    .reduce((path, step) => (/^\d+$/.test(step) ? `${path}[${step}]` : `${path}.${step}`), root);
}

function listOf(values: unknown): string {
  return (Array.isArray(values) ? values : []).map((value) => JSON.stringify(value)).join(", ");
}
