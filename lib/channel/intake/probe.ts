/** The self-test: calls our own webhook address as a platform would, and says in a sentence what stands in the way. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { asError, ChannelError } from "../../errors";
import { toFault } from "../../http/faults";
import { refuse } from "./answer";

const HEADER = "x-redclaw-probe";
const ANSWER = "This is Redclaw.";
const WITHIN_MS = 5000;
const ANSWER_MAX = 4096;

/** Only this process knows it, and it opens nothing: whoever shows it gets a fixed answer. */
const TOKEN = randomBytes(24).toString("base64url");

/** Answers the call if it is a probe of ours; nothing is looked up for it. */
export function answerProbe(request: IncomingMessage, response: ServerResponse): boolean {
  const shown = request.headers[HEADER];
  if (typeof shown !== "string" || !timingSafeEqual(digest(shown), digest(TOKEN))) return false;
  refuse(request, response, 200, ANSWER);
  return true;
}

/** `unreachable` is no fault: many routers do not lead a public address back into their own network. */
export type Finding =
  | { kind: "fine" }
  | { kind: "unreachable"; sentence: string }
  /** `passing`: a proxy that is just starting says the same. */
  | { kind: "obstacle"; sentence: string; passing?: boolean };

/**
 * Calls `address`, the webhook of some account.
 * @param own true for our own server as seen from this machine: its certificate is for another name
 */
export async function probe(address: string, own = false): Promise<Finding> {
  const { origin, protocol } = new URL(address);
  try {
    return read(await call(address, own), address);
  } catch (thrown) {
    const error = asError(thrown) as NodeJS.ErrnoException;
    const fault = toFault(error, { origin, left: false });
    const isTls = fault instanceof ChannelError && fault.code === "tls";
    if (isTls) return { kind: "obstacle", sentence: `A platform could not connect: ${fault.message}` };
    // What speaks, but no HTTP.
    if (error.code?.startsWith("HPE_")) {
      const sentence = `${origin} does not answer ${protocol === "https:" ? "https" : "http"}. Check the address and its port.`;
      return { kind: "obstacle", sentence };
    }
    return { kind: "unreachable", sentence: fault.message };
  }
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

function call(address: string, own: boolean): Promise<Answer> {
  const body = "{}";
  const secure = address.startsWith("https:");
  const options = {
    method: "POST",
    agent: false,
    signal: AbortSignal.timeout(WITHIN_MS),
    headers: { [HEADER]: TOKEN, "Content-Type": "application/json", "Content-Length": body.length },
    ...(secure && own ? { rejectUnauthorized: false } : {}),
  };
  return new Promise((resolve, reject) => {
    const onAnswer = (response: IncomingMessage) => {
      let text = "";
      const end = () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_MAX) response.destroy();
      });
      response.on("end", end).on("close", end).on("error", end);
    };
    const request = (secure ? httpsRequest : httpRequest)(address, options, onAnswer);
    request.on("error", reject).end(body);
  });
}

function read({ status, headers, text }: Answer, address: string): Finding {
  const { origin, pathname, protocol } = new URL(address);
  if (status === 200 && text === ANSWER) return { kind: "fine" };
  const below = pathname.replace(/\/[^/]+\/[^/]+$/, "/");
  const obstacle = (sentence: string): Finding => ({ kind: "obstacle", sentence });
  if (status === 401 || status === 403 || status === 407) {
    const who = /Authorization Required/.test(headers["www-authenticate"] ?? "")
      ? " Node-RED's httpNodeAuth (settings.js) asks like this."
      : "";
    return obstacle(
      `${origin} asks for a login before a webhook gets to Redclaw (it answered ${status}), and a platform has none.${who} Let ${below} pass without a login.`,
    );
  }
  if (status === 404 || status === 405) {
    return obstacle(
      `${origin} does not lead ${below} to Redclaw (it answered ${status}). If a proxy stands there, it must pass this path on unchanged; if it adds a prefix, the public address must hold it.`,
    );
  }
  if (status >= 300 && status < 400) {
    const location = headers.location ? originOf(headers.location, address) : undefined;
    const to = location && location !== origin ? `to ${location}` : "to another address";
    const next =
      protocol === "http:" && location?.startsWith("https:")
        ? "Begin the public address with https://."
        : "Enter the final address as the public address.";
    return obstacle(`${origin} sends its callers on ${to}, and platforms do not follow. ${next}`);
  }
  if (status >= 500) {
    const sentence = `${origin} answered ${status}: a proxy there does not reach Node-RED. Check the proxy's target.`;
    return { kind: "obstacle", sentence, passing: true };
  }
  if (status >= 200 && status < 300) {
    return obstacle(
      `${origin} leads to another site, not to this Node-RED. Check the public address, and where a proxy or the router's port forwarding leads.`,
    );
  }
  return obstacle(
    `${origin} refuses what a platform would send to ${below} (it answered ${status}). Check the rules of the proxy there.`,
  );
}

/** Only the origin: what stands behind it may hold a secret. */
function originOf(location: string, base: string): string | undefined {
  return URL.canParse(location, base) ? new URL(location, base).origin : undefined;
}

/** Equal lengths for the constant-time comparison. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
