/**
 * One call of a platform: method and headers, then the raw bytes within limits, the signature, the JSON, the ledger,
 * and only then 200. What is not 200 the platform sends again.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { BlockList } from "node:net";
import { asError, RedclawError } from "../../errors";
import type { Account } from "../account";
import type { ChannelDefinition } from "../define";
import { answer, refuse } from "./answer";
import { readBody } from "./body";
import type { Failures } from "./failures";
import { readJson } from "./json";
import { sourceOf } from "./source";

type Webhook = NonNullable<ChannelDefinition["webhook"]>;

/** The answer leaves before the platform gives up; the rest of the time is for the way. */
const PART_OF_DEADLINE = 0.9;
const AGAIN_IN_S = "5";
/** The same trouble of an account is written into the log once in this time. */
const SAY_EVERY_MS = 60_000;
/** Headers that carry a signature or go into it. */
const SIGNING =
  /^authorization$|(^|-)(signature|sign|token|secret|hmac|mac|timestamp|nonce|random|key)(-|$)|^webhook-id$/i;

export interface Call {
  account: Account;
  webhook: Webhook;
  request: IncomingMessage;
  response: ServerResponse;
  failures: Failures;
  proxies: BlockList;
  /** Called when the signature was right. */
  verified(): void;
}

/** Answers the call. Never rejects. */
export async function takeWebhook(call: Call): Promise<void> {
  const { account, request, response } = call;
  try {
    await take(call);
  } catch (thrown) {
    sayOnce(account, `A webhook could not be taken: ${asError(thrown).message}`);
    refuse(request, response, 503, "Not now. Try again later.", { "Retry-After": AGAIN_IN_S });
  }
}

async function take(call: Call): Promise<void> {
  const { account, webhook, request, response } = call;
  const began = performance.now();
  const busy = () =>
    refuse(request, response, 503, "Not now. Try again later.", { "Retry-After": AGAIN_IN_S });
  if (request.method !== "POST") {
    const text = "This is the webhook of a Redclaw account. The platform calls it with POST.";
    return refuse(request, response, 405, text, { Allow: "POST" });
  }
  if ((request.headers["content-encoding"] ?? "identity").toLowerCase() !== "identity")
    return refuse(request, response, 415, "A compressed body is not taken.", {
      "Accept-Encoding": "identity",
    });
  if (account.signal.aborted || !account.client) return busy();
  if (request.readableDidRead) {
    throw new RedclawError(
      "body-was-read",
      "Something before Redclaw has read the body already, so its signature cannot be checked. Give the Redclaw gateway a port of its own for webhooks.",
    );
  }
  const body = await readBody(request);
  if (body === "gone") return;
  if (body === "too-large") return refuse(request, response, 413, "Too large.");
  if (body === "too-slow") return refuse(request, response, 408, "Too slow.");
  if (body === "too-many") return busy();

  const left = () => began + webhook.ackWithin * PART_OF_DEADLINE - performance.now();
  const right = await inTime(isRight(call, body), left());
  if (right === undefined) return busy();
  if (!right) return unauthorized(call);
  call.verified();
  const json = readJson(body);
  if (!json) {
    sayOnce(account, `${account.definition.label} sent something that is no JSON, or nested too deeply.`);
    return answer(response, 400, "The body is not JSON.");
  }
  if (account.signal.aborted) return busy();
  const committed = await inTime(commit(account, json.value), left());
  if (!committed) return busy();
  answer(response, 200, "");
  account.client?.accepted?.(json.value);
}

/** False for a wrong signature; undefined when it cannot be checked now (a key server does not answer). */
async function isRight({ account, webhook, request }: Call, body: Buffer): Promise<boolean | undefined> {
  if (hasSigningHeaderTwice(request) || (await acceptsAnybody(account))) return false;
  const url = new URL(request.url ?? "/", "http://localhost");
  const method = request.method ?? "POST";
  try {
    const verdict = await webhook.verify({ method, url, headers: request.headers, body }, account.settings);
    return verdict === true;
  } catch (thrown) {
    // What is malformed in a way that the check did not foresee is wrong.
    if (!(thrown instanceof RedclawError)) return false;
    sayOnce(account, `A webhook could not be checked: ${thrown.message}`);
    return undefined;
  }
}

/** Node.js joins repeated headers or drops all but the first: which one was signed could not be told. */
function hasSigningHeaderTwice({ rawHeaders }: IncomingMessage): boolean {
  const names = rawHeaders
    .filter((name, at) => at % 2 === 0 && SIGNING.test(name))
    .map((name) => name.toLowerCase());
  return new Set(names).size < names.length;
}

/** The same answer for every reason. */
function unauthorized({ request, response, failures, proxies }: Call): void {
  const waitS = failures.add(sourceOf(request, proxies));
  if (waitS > 0) refuse(request, response, 429, "Too many requests.", { "Retry-After": String(waitS) });
  else answer(response, 401, "Unauthorized.");
}

/** True when the update is durable. */
async function commit(account: Account, update: unknown): Promise<boolean> {
  try {
    await account.accept(update);
    return true;
  } catch (thrown) {
    if (!account.signal.aborted)
      sayOnce(
        account,
        `A message was not taken in, ${account.definition.label} will send it again: ${asError(thrown).message}`,
      );
    return false;
  }
}

/** What `work` resolves with, or undefined when it takes longer; it goes on then, and its end interests nobody. */
async function inTime<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), undefined);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const doors = new WeakMap<Account, Promise<boolean>>();

/** True when the account takes a call without any signature: it has no secret. Nothing is taken in then. */
export function acceptsAnybody(account: Account): Promise<boolean> {
  let open = doors.get(account);
  if (!open) {
    const unsigned = {
      method: "POST",
      url: new URL("http://localhost/"),
      headers: {},
      body: Buffer.alloc(0),
    };
    open = Promise.resolve()
      .then(() => account.definition.webhook?.verify(unsigned, account.settings) === true)
      .catch(() => false);
    doors.set(account, open);
  }
  return open;
}

const said = new WeakMap<Account, Map<string, number>>();

/** Strangers (and a full disk) must not fill the log. */
function sayOnce(account: Account, sentence: string): void {
  const sentences = said.get(account) ?? new Map<string, number>();
  said.set(account, sentences);
  const now = performance.now();
  const before = sentences.get(sentence);
  if (before !== undefined && now - before < SAY_EVERY_MS) return;
  if (sentences.size > 20) sentences.clear();
  sentences.set(sentence, now);
  account.log.warn(sentence);
}
