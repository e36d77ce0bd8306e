/** markdown-it, bundled by the build: a CommonMark parser that runs in linear time on nearly all input. */
export { default as MarkdownIt } from "markdown-it";
