/** The form of `redclaw-ai`: the instructions in a markdown editor. */
import type { EditorNode, Query } from "../editor/red";

interface CodeEditor {
  getValue(): string;
  resize(): void;
  destroy(): void;
}

/** What the forms of all node sets share; `nodes/editor/index.ts`. */
declare const Redclaw: { openForm(node: EditorNode): unknown };

/** The open editor, and the text as the editor gives it back when nothing was typed. */
let current: { editor: CodeEditor; untouched: string } | undefined;

/** `oneditprepare`. */
function open(node: EditorNode): void {
  Redclaw.openForm(node);
  const { createEditor } = (RED as unknown as { editor: { createEditor(options: object): CodeEditor } })
    .editor;
  const editor = createEditor({
    id: "node-input-instructions-editor",
    mode: "ace/mode/markdown",
    value: String(field().val() ?? ""),
    // Prose, no code: long lines are shown whole.
    wordWrap: "on",
    minimap: { enabled: false },
  });
  current = { editor, untouched: editor.getValue() };
  document
    .querySelector("#node-input-instructions-editor textarea")
    ?.setAttribute("aria-labelledby", "redclaw-ai-instructions");
}

/** `oneditsave`. A text that nobody touched stays as it was, to the last line ending. */
function save(): void {
  if (current && current.editor.getValue() !== current.untouched) field().val(current.editor.getValue());
  close();
}

/** `oneditcancel`. */
function close(): void {
  current?.editor.destroy();
  current = undefined;
}

/** `oneditresize`. */
function resize(): void {
  current?.editor.resize();
}

function field(): Query {
  return $("#node-input-instructions");
}

Object.assign(window, { RedclawAi: { open, save, close, resize } });
