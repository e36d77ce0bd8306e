/** What a dialect is made of. To add one: a file beside this one, its name in `types.ts` and in `registry.ts`. */
import type { Flow } from "../flow";
import type { Shape } from "../layout";

export interface DialectWriter {
  shape: Shape;
  /** The text with the platform's markup. */
  write(flow: Flow): string;
  /** What the platform holds against its limit: the text people see, or all that is sent. */
  counts: "visible" | "written";
  /** More marks in one message are not shown by the platform. */
  maxMarks?: number;
  /** Our Markdown can be sent as it is; only what is too long is written anew. */
  takesMarkdown?: boolean;
}
