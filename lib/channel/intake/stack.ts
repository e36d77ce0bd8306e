/** The front of an Express application. */
import type { IncomingMessage, ServerResponse } from "node:http";

type Handler = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** The little of an Express application that is used here; private parts included, hence optional. */
export interface Stack {
  use(handler: Handler): unknown;
  use(path: string, handler: Handler): unknown;
  on?(event: "mount", listener: (parent: Stack) => void): unknown;
  parent?: Stack;
  _router?: { stack: { handle?: unknown; name?: string }[] };
  router?: { stack: { handle?: unknown; name?: string }[] };
}

/**
 * Express runs its stack in order; ours goes right behind Express's own two layers (`query`, `expressInit`). False when
 * it could only be put at the end.
 */
export function putFirst(root: Stack, handler: Handler): boolean {
  root.use(handler);
  const stack = (root._router ?? root.router)?.stack;
  const ours = stack?.pop();
  if (!stack || !ours) return false;
  const at = stack.findIndex(({ name }) => name !== "query" && name !== "expressInit");
  stack.splice(at === -1 ? stack.length : at, 0, ours);
  return true;
}
