/** The parts of Node-RED's editor that the forms use, as types: the globals `RED` and `$` of the page. */

export interface EditorNode {
  id: string;
  type: string;
  valid?: boolean;
  publicUrl?: string;
  credentials?: Record<string, unknown>;
  d?: boolean;
  _def: {
    category: string;
    defaults: Record<string, { value: unknown; type?: string }>;
    credentials?: Record<string, { type: string }>;
  };
  _(key: string, values?: Record<string, unknown>): string;
  [property: string]: unknown;
}

export interface Completion {
  value: string;
  label: Query | string;
}

export type Search = (typed: string, done: (completions: Completion[]) => void) => void;

export interface Query {
  length: number;
  [index: number]: HTMLElement;
  val(): unknown;
  val(value: unknown): Query;
  prop(name: string): unknown;
  prop(name: string, value: unknown): Query;
  on(events: string, listener: (event: Event) => void): Query;
  typedInput(options: object): Query;
  typedInput(method: "type" | "value"): string;
}

interface Ajax {
  url: string;
  type?: string;
  contentType?: string;
  data?: string | Record<string, string>;
  dataType?: string;
  timeout?: number;
}

interface AjaxCall {
  then(
    done: (answer: unknown) => void,
    fail: (call: { status: number; responseJSON?: unknown }) => void,
  ): void;
  abort(): void;
}

declare global {
  interface Window {
    /** What Redclaw's forms share; `nodes/editor/index.ts`. */
    Redclaw: unknown;
  }
  const RED: {
    _(key: string, values?: Record<string, unknown>): string;
    nodes: {
      node(id: string): EditorNode | null;
      eachConfig(visit: (node: EditorNode) => unknown): void;
    };
    settings: { httpNodeRoot?: string | false };
    utils: { renderMarkdown(markdown: string): string };
  };
  const $: { (selector: string | Element): Query; ajax(call: Ajax): AjaxCall };
}
