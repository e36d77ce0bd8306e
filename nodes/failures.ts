/** Messages that a node sent before a restart and that could not be delivered: its Catch nodes hear of them. */
import type { Gateway } from "../lib/gateway";
import type { RedNode } from "./red";

/** Answers the way to stop. */
export function reportFailures(gateway: Gateway, node: RedNode): () => void {
  return gateway.watchFailures(node.id, ({ error, key, marks }) => {
    node.error(error.message, { payload: { id: key, to: marks.to }, error: { code: error.code } });
  });
}
