/** Text without any markup, readable as it stands: links show their address. */
import type { DialectWriter } from "./dialect";

export const plain: DialectWriter = {
  shape: { bullet: "• ", heading: () => "", rule: "———", quote: "prefix", linkable: () => false },
  write: (flow) => flow.text,
  counts: "written",
};
