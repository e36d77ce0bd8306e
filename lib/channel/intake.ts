/**
 * Where requests from outside come in: `<httpNodeRoot>/redclaw/<channel>/<account id>`.
 *
 * Webhooks are taken at the front of the root Express stack, because Node-RED's editor app parses bodies before any
 * node sees them, and a signature can only be checked on the raw bytes. Order: known account -> size and time ->
 * verify -> parse -> ledger -> 200. Pages (the web chat) stay behind httpNode, so that httpNodeAuth and
 * httpNodeMiddleware protect them as the owner expects.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { asError } from "../errors";
import type { Gateway } from "../gateway";
import type { Account } from "./account";

const BODY_MAX = 1024 * 1024;
const BODY_WITHIN_MS = 5000;
/** Wrong signatures from one address before it has to wait. */
const FAILURES_MAX = 20;
const FAILURES_PER_MS = 60_000;
const ADDRESSES_KEPT = 10_000;

type Next = (error?: unknown) => void;
type Handler = (request: IncomingMessage, response: ServerResponse, next: Next) => void;

/** The little of an Express application that is used here; private parts included, hence optional. */
interface Stack {
  use(handler: Handler): unknown;
  use(path: string, handler: Handler): unknown;
  on?(event: "mount", listener: (parent: Stack) => void): unknown;
  parent?: Stack;
  _router?: { stack: { handle?: unknown; name?: string }[] };
  router?: { stack: { handle?: unknown; name?: string }[] };
}

export function installIntake(gateway: Gateway, options: { httpNode?: unknown; nodeRoot: string }): void {
  const httpNode = options.httpNode as Stack | undefined;
  if (!httpNode || typeof httpNode.use !== "function") return;
  const prefix = `${options.nodeRoot}/redclaw/`;
  const failures = new Map<string, { count: number; since: number }>();
  const webhooks: Handler = (request, response, next) => {
    const url = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "";
    if (!url.startsWith(prefix)) return next();
    const found = findAccount(gateway, url.slice(prefix.length));
    if (!found?.account.definition.webhook?.active(found.account.settings)) return next();
    takeWebhook(found.account, request, response, failures).catch((error) => {
      found.account.log.warn(asError(error).message);
      answer(response, 503, "Not now. Try again later.");
    });
  };
  const mounted = (root: Stack) => putFirst(root, webhooks);
  if (httpNode.parent) mounted(httpNode.parent);
  else httpNode.on?.("mount", mounted);
  httpNode.use("/redclaw", (request, response, next) => {
    const found = findAccount(gateway, (request.url ?? "").replace(/^\//, ""));
    if (!found?.account.definition.pages) return next();
    servePage(found.account, found.rest, request, response);
  });
}

/** `telegram/abc123/events?x=1` -> the account and `/events?x=1`. */
function findAccount(gateway: Gateway, path: string): { account: Account; rest: string } | undefined {
  const match = /^([a-z][a-z0-9-]*)\/([^/?#]+)([^#]*)/.exec(path);
  const account = match && gateway.accounts.get(match[2] as string);
  return account && account.definition.name === match[1] ? { account, rest: match[3] as string } : undefined;
}

function servePage(account: Account, rest: string, request: IncomingMessage, response: ServerResponse): void {
  const { client } = account;
  if (!client?.handle) {
    answer(response, 503, "The chat is just starting. Try again in a few seconds.", "3");
    return;
  }
  Promise.resolve()
    .then(() => client.handle?.(request, response, rest))
    .catch((error) => {
      account.log.error(`${account.definition.label}: ${asError(error).message}`);
      if (response.headersSent) response.destroy();
      else answer(response, 500, "The chat could not answer this request. Look at the Node-RED log.");
    });
}

async function takeWebhook(
  account: Account,
  request: IncomingMessage,
  response: ServerResponse,
  failures: Map<string, { count: number; since: number }>,
): Promise<void> {
  const webhook = account.definition.webhook;
  if (!webhook) return;
  const from = request.socket.remoteAddress ?? "";
  if (tooManyFailures(failures, from)) return answer(response, 429, "Too many requests.", "60");
  if (account.signal.aborted || !account.client)
    return answer(response, 503, "Not now. Try again later.", "5");
  const body = await readBody(request);
  if (typeof body === "number") return answer(response, body, REFUSED[body]);
  const url = new URL(request.url ?? "/", "http://localhost");
  const verified = await webhook.verify(
    { method: request.method ?? "GET", url, headers: request.headers, body },
    account.settings,
  );
  if (!verified) {
    const failure = failures.get(from) ?? { count: 0, since: Date.now() };
    failures.set(from, { ...failure, count: failure.count + 1 });
    if (failures.size > ADDRESSES_KEPT) failures.delete(failures.keys().next().value as string);
    return answer(response, 401, "Unauthorized.");
  }
  let update: unknown;
  try {
    update = JSON.parse(body.toString("utf8"));
  } catch {
    return answer(response, 400, "The body is not JSON.");
  }
  await account.accept(update);
  answer(response, 200, "");
  account.client?.accepted?.(update);
}

function tooManyFailures(failures: Map<string, { count: number; since: number }>, from: string): boolean {
  const failure = failures.get(from);
  if (!failure) return false;
  if (Date.now() - failure.since > FAILURES_PER_MS) {
    failures.delete(from);
    return false;
  }
  return failure.count >= FAILURES_MAX;
}

const REFUSED = { 400: "The request was broken off.", 408: "Too slow.", 413: "Too large." };

/** The raw bytes, or the status to answer with. */
function readBody(request: IncomingMessage): Promise<Buffer | keyof typeof REFUSED> {
  return new Promise((resolve) => {
    if (Number(request.headers["content-length"] ?? 0) > BODY_MAX) return resolve(413);
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => finish(() => resolve(408)), BODY_WITHIN_MS);
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_MAX) finish(() => resolve(413));
      else chunks.push(chunk);
    };
    const onEnd = () => finish(() => resolve(Buffer.concat(chunks)));
    // Somebody who hangs up in the middle is nothing to report.
    const onError = () => finish(() => resolve(400));
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onError);
      settle();
    };
    request.on("data", onData).on("end", onEnd).on("close", onError).on("error", onError);
  });
}

/** A short plain answer. After a refused body the connection is closed, so that the rest is not read. */
function answer(response: ServerResponse, status: number, text: string, retryAfter?: string): void {
  if (response.headersSent) return;
  response.statusCode = status;
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  if (retryAfter) response.setHeader("Retry-After", retryAfter);
  if (status === 413 || status === 408) response.setHeader("Connection", "close");
  response.end(text);
}

/** Express runs its stack in order; ours goes right behind Express's own two layers (`query`, `expressInit`). */
function putFirst(root: Stack, handler: Handler): void {
  root.use(handler);
  const stack = (root._router ?? root.router)?.stack;
  const ours = stack?.pop();
  if (!stack || !ours) return;
  const at = stack.findIndex(({ name }) => name !== "query" && name !== "expressInit");
  stack.splice(at === -1 ? stack.length : at, 0, ours);
}
