/** The answer that a person should see: without what a reasoning model thought on the way. */

const tags = ["think", "thinking"] as const;

/** Removes `<think>...</think>`, also when a server swallowed the opening tag. Code in ``` fences is left alone. */
export function withoutThinking(answer: string): string {
  let text = answer.trimStart();
  for (const tag of tags) {
    const open = `<${tag}>`;
    const close = `</${tag}>`;
    // A thought at the beginning may itself hold code fences, so it goes first.
    while (text.startsWith(open)) {
      const end = text.indexOf(close);
      text = end < 0 ? "" : text.slice(end + close.length).trimStart();
    }
    const end = text.indexOf(close);
    if (end >= 0 && !text.slice(0, end).includes(open) && !text.slice(0, end).includes("`")) {
      text = text.slice(end + close.length);
    }
    if (text.includes(open)) {
      text = text
        .split("```")
        .map((part, index) => (index % 2 === 0 ? cut(part, open, close) : part))
        .join("```");
    }
  }
  return text.trim();
}

function cut(text: string, open: string, close: string): string {
  let kept = "";
  let at = 0;
  for (;;) {
    const start = text.indexOf(open, at);
    const end = start < 0 ? -1 : text.indexOf(close, start);
    if (end < 0) return kept + text.slice(at);
    kept += text.slice(at, start);
    at = end + close.length;
  }
}
