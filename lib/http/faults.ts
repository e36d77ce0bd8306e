/**
 * What went wrong on the network, in plain words and as the fault that delivery acts on. Only the origin of an
 * address is ever named: its path and query may hold a token.
 */
import { ChannelError, type Fault, RedclawError } from "../errors";
import { PrivateAddress } from "./addresses";

/** What is known about the request when it failed. */
export interface Circumstances {
  /** `https://api.example.org` */
  origin: string;
  /** True from the moment its first byte may have left. */
  left: boolean;
}

const TLS: Record<string, string> = {
  CERT_HAS_EXPIRED:
    "its certificate has expired. Its owner must renew it (or the clock of this machine is wrong)",
  CERT_NOT_YET_VALID: "its certificate is not valid yet. Check the clock of this machine",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "it made its certificate itself. Give it a certificate from a known authority, or name its authority in NODE_EXTRA_CA_CERTS",
  SELF_SIGNED_CERT_IN_CHAIN:
    "its certificate comes from an authority that this machine does not know. Name that authority in NODE_EXTRA_CA_CERTS",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate cannot be checked because a part of the chain is missing. Its owner must install the full chain",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "its certificate comes from an authority that this machine does not know. Name that authority in NODE_EXTRA_CA_CERTS",
  UNABLE_TO_GET_ISSUER_CERT:
    "its certificate comes from an authority that this machine does not know. Name that authority in NODE_EXTRA_CA_CERTS",
  CERT_REVOKED: "its certificate was revoked. Its owner must replace it",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name. Check the address",
};

/** Any failure of undici, of a socket or of ours as an error with a sentence. RedclawErrors stay as they are. */
export function toFault(error: unknown, { origin, left }: Circumstances): RedclawError {
  if (error instanceof RedclawError) return error;
  const code = codeOf(error);
  const host = hostOf(origin);
  const fault = left ? "interrupted" : "unreachable";
  const make = (name: string, sentence: string): ChannelError =>
    new ChannelError(fault, sentence, { code: name, cause: error });
  if (error instanceof PrivateAddress) return privateAddress(host);
  if (
    code.startsWith("UND_ERR_INVALID_ARG") ||
    code === "UND_ERR_NOT_SUPPORTED" ||
    code.startsWith("ERR_INVALID_")
  ) {
    return new ChannelError(
      "refused",
      `The request to ${host} contains a character that is not allowed, for example a line break in a token. Check the token and the address.`,
      {
        code: "bad-request",
        cause: error,
      },
    );
  }
  if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
    return timedOut({ origin, left });
  if (left) {
    return make(
      "interrupted",
      `The connection to ${host} was cut before its answer was complete. It may have received the request.`,
    );
  }
  const tls = TLS[code];
  if (tls) return make("tls", `${host} was not contacted: ${tls}.`);
  if (
    code.startsWith("ERR_TLS") ||
    code.startsWith("ERR_SSL") ||
    code.startsWith("CERT_") ||
    code === "EPROTO"
  ) {
    return make(
      "tls",
      `No secure connection to ${host}. Check that the address begins with the right http:// or https:// and that the port is right.`,
    );
  }
  switch (code) {
    case "ENOTFOUND":
    case "ENODATA":
    case "EAI_FAIL":
    case "EAI_NODATA":
    case "EAI_NONAME":
      return make(
        "dns",
        `There is no server named ${host}. Check the address, and that this machine has a network connection.`,
      );
    case "EAI_AGAIN":
      return make(
        "dns",
        `The address of ${host} could not be looked up. Check that this machine has a network connection.`,
      );
    case "ECONNREFUSED":
      return make(
        "connection-refused",
        `${host} refused the connection. Check that the server is running and that the address and port are right.`,
      );
    default:
      return make(
        "unreachable",
        `${host} could not be reached. Check the network connection of this machine.`,
      );
  }
}

/** The server took longer than we wait. */
export function timedOut({ origin, left }: Circumstances): ChannelError {
  const host = hostOf(origin);
  return left
    ? new ChannelError(
        "interrupted",
        `${host} did not finish its answer in time. It may have received the request.`,
        { code: "timeout" },
      )
    : new ChannelError(
        "unreachable",
        `${host} could not be reached in time. Check the network connection of this machine.`,
        { code: "timeout" },
      );
}

/** `close()` was called. */
export function clientClosed(left: boolean): ChannelError {
  return new ChannelError(
    left ? "interrupted" : "unreachable",
    "The request was ended because Redclaw is stopping or restarting.",
    {
      code: "http-closed",
    },
  );
}

/** The caller gave up. */
export function givenUp({ origin, left }: Circumstances, cause: unknown): ChannelError {
  const host = hostOf(origin);
  return new ChannelError(
    left ? "interrupted" : "unreachable",
    left
      ? `The request to ${host} was ended before its answer came. It may have received the request.`
      : `The request to ${host} was ended before it was sent.`,
    { code: "aborted", cause },
  );
}

/** An answer that is no JSON: a login page, a proxy's error page. Nothing of it is repeated. */
export function notJson(host: string, status: number): ChannelError {
  return new ChannelError(
    faultOfStatus(status),
    `${host} gave an answer that Redclaw cannot read (status ${status}). Check the address: it may be a login page or a proxy.`,
    { code: "not-json" },
  );
}

function faultOfStatus(status: number): Fault {
  if (status === 401) return "auth";
  if (status === 429) return "rate";
  if (status === 502 || status === 503) return "unavailable";
  return status >= 400 && status < 500 ? "refused" : "interrupted";
}

/** The answer is larger than we take. */
export function tooLarge(origin: string, maxBytes: number): ChannelError {
  const host = hostOf(origin);
  return new ChannelError(
    "refused",
    `The answer of ${host} is larger than ${megabytes(maxBytes)}, so it was not read.`,
    { code: "too-large" },
  );
}

/** The guard said no. */
function privateAddress(host: string): ChannelError {
  return new ChannelError(
    "refused",
    `${host} is an address inside a private network, which a message may not reach. Use a public address.`,
    { code: "private-address" },
  );
}

/** `12 MB`, `900 bytes`: for sentences. */
export function megabytes(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${Math.round(bytes / 104857.6) / 10} MB` : `${bytes} bytes`;
}

function hostOf(origin: string): string {
  return origin.replace(/^\w+:\/\//, "");
}

/** Of several addresses tried, the first failure speaks for all. */
function codeOf(error: unknown): string {
  const { code, errors, cause } = (error ?? {}) as { code?: unknown; errors?: unknown[]; cause?: unknown };
  if (typeof code === "string") return code;
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  return cause === undefined ? "" : codeOf(cause);
}
