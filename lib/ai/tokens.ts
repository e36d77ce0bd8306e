/**
 * A cheap estimate of tokens, for windows and for servers that do not count.
 *
 * One token per four UTF-8 bytes, rounded up, is within about a third of what common tokenizers give for European
 * languages and errs on the high side for Chinese, Japanese, Arabic or emoji, so a window never turns out too large.
 */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 4);
}

/** Cuts a text to about this many tokens, never inside a character, and says so. */
export function cutToTokens(text: string, tokens: number): string {
  if (estimateTokens(text) <= tokens) return text;
  const note = " [...] (shortened)";
  const bytes = Math.max(0, tokens * 4 - note.length);
  // A character that the cut went through decodes to one U+FFFD at the end.
  const kept = Buffer.from(text.slice(0, bytes))
    .subarray(0, bytes)
    .toString()
    .replace(/\uFFFD$/, "");
  return kept + note;
}
