/** How the demo model chooses a tool and fills in its parameters, from nothing but the words of the person. */
import { significant } from "./demo-memory";

/** A tool as it stands in a request of the OpenAI protocol. */
export interface DemoTool {
  name: string;
  description: string;
  parameters: { properties?: Record<string, ParameterSchema>; required?: string[] };
}

interface ParameterSchema {
  type?: string | string[];
  description?: string;
  enum?: unknown[];
  default?: unknown;
}

/** The tool that fits the words best, or undefined. A word of the name counts double; one such word is enough. */
export function chooseTool(text: string, tools: readonly DemoTool[]): DemoTool | undefined {
  const said = new Set(significant(text));
  let best: { tool: DemoTool; score: number } | undefined;
  for (const tool of tools) {
    const named = new Set(significant(tool.name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ")));
    const described = new Set(significant(tool.description).filter((word) => !named.has(word)));
    const score = 2 * count(named, said) + count(described, said);
    if (score >= 2 && score > (best?.score ?? 0)) best = { tool, score };
  }
  return best?.tool;
}

/** Arguments for the tool, as far as the text gives them; required ones always get a value. */
export function fillParameters(text: string, tool: DemoTool): Record<string, unknown> {
  const numbers = (text.match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number);
  const required = new Set(tool.parameters.required ?? []);
  const filled: [string, unknown][] = [];
  for (const [name, schema] of Object.entries(tool.parameters.properties ?? {})) {
    const value = valueFor(name, schema, text, numbers);
    if (value !== undefined) filled.push([name, value]);
    else if (schema.default !== undefined) filled.push([name, schema.default]);
    else if (required.has(name)) filled.push([name, emptyValue(schema, text)]);
  }
  return Object.fromEntries(filled);
}

/** The result of a tool as a sentence: JSON objects become "temperature: 21, sky: clear". */
export function tellResult(content: string): string {
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value !== "object" || value === null) return String(value);
    return Object.entries(value)
      .slice(0, 20)
      .map(([name, part]) => {
        const shown = typeof part === "object" ? JSON.stringify(part) : String(part);
        return Array.isArray(value) ? shown : `${name}: ${shown}`;
      })
      .join(", ")
      .slice(0, 1000);
  } catch {
    return content.slice(0, 1000);
  }
}

function valueFor(name: string, schema: ParameterSchema, text: string, numbers: number[]): unknown {
  if (schema.enum) {
    const lower = text.toLowerCase();
    return schema.enum.find((choice) => lower.includes(String(choice).toLowerCase()));
  }
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "number":
      return numbers.shift();
    case "integer": {
      const number = numbers.shift();
      return number === undefined ? undefined : Math.trunc(number);
    }
    case "boolean":
      return !/\b(?:off|no|not|false|disable|stop|close|without)\b/i.test(text);
    case "array":
    case "object":
      return undefined;
    default:
      return words(name, text);
  }
}

function words(name: string, text: string): string | undefined {
  const quoted = /["“„]([^"”“]{1,500})["”“]/.exec(text)?.[1];
  if (quoted) return quoted;
  if (/^(?:text|query|message|question|input|prompt|content|body)$/i.test(name)) return text;
  const placed = /\b(?:in|at|for|of|to|about|from|near|named|called)\s+(?:the\s+)?([^?.!,;]{1,80})/i.exec(
    text,
  )?.[1];
  return placed?.replace(/\s+(?:today|tomorrow|now|please|right now)$/i, "").trim();
}

function emptyValue(schema: ParameterSchema, text: string): unknown {
  if (schema.enum?.length) return schema.enum[0];
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "number":
    case "integer":
      return 0;
    case "array":
      return [];
    case "object":
      return {};
    default:
      return text;
  }
}

function count(words: Set<string>, said: Set<string>): number {
  return [...words].filter((word) => said.has(word)).length;
}
