/** The front of an Express application. */
import type { IncomingMessage, ServerResponse } from "node:http";

type Handler = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void;

/** The little of an Express application that is used here; private parts included, hence optional. */
export interface Stack {
  use(handler: Handler): unknown;
  use(path: string, handler: Handler): unknown;
  on?(event: "mount", listener: (parent: Stack) => void): unknown;
  parent?: Stack;
  _router?: { stack: { handle?: unknown }[] };
  router?: { stack: { handle?: unknown }[] };
}

/**
 * Express runs its stack in order: ours comes before every parser and every login. False when the application does not
 * let itself be looked into, so that it stays at the end.
 */
export function putFirst(root: Stack, handler: Handler): boolean {
  root.use(handler);
  const stack = (root._router ?? root.router)?.stack;
  // Not simply the last one: some frameworks sort what is added.
  const at = stack?.findIndex(({ handle }) => handle === handler) ?? -1;
  if (!stack || at === -1) return false;
  stack.unshift(...stack.splice(at, 1));
  return true;
}
