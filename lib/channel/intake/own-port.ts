/** A server of our own for webhooks and nothing else, for owners who keep Node-RED itself off the internet. */
import { createServer, type RequestListener, type Server } from "node:http";

export interface Place {
  port: number;
  /** Address to listen on. */
  host: string;
}

const RETRY_MS = 30_000;
/** An account that a deploy replaces is there again within this time; callers get a 503 meanwhile. */
const LINGER_MS = 2000;
const CONNECTIONS_MAX = 512;
const TIMES = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
};

export class OwnPort {
  readonly #listener: RequestListener;
  readonly #report: (sentence: string | undefined) => void;
  readonly #retryMs: number;
  /** `host port` */
  #wanted?: string;
  #server?: Server;
  /** `host port` of the server. */
  #place?: string;
  #timer?: NodeJS.Timeout;

  /**
   * @param report gets a sentence when the port cannot be opened, undefined when it is open
   * @param retryMs when to try again (tests)
   */
  constructor(
    listener: RequestListener,
    report: (sentence: string | undefined) => void,
    retryMs: number = RETRY_MS,
  ) {
    this.#listener = listener;
    this.#report = report;
    this.#retryMs = retryMs;
  }

  /** Opens the port, or lets it go when there is no `place`; the same place again changes nothing. */
  want(place: Place | undefined): void {
    const wanted = place && `${place.host} ${place.port}`;
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    clearTimeout(this.#timer);
    if (!place) {
      this.#report(undefined);
      this.#timer = setTimeout(() => this.#closeServer(), LINGER_MS).unref();
      return;
    }
    if (this.#server && this.#place === wanted) return;
    this.#closeServer();
    this.#open(place);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#wanted = undefined;
    this.#closeServer();
  }

  #open(place: Place): void {
    const server = createServer(TIMES, this.#listener);
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    this.#place = this.#wanted;
    server.on("listening", () => this.#report(undefined));
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (this.#server !== server) return;
      this.#server = undefined;
      this.#report(sentenceOf(error, place));
      this.#timer = setTimeout(() => this.#open(place), this.#retryMs).unref();
    });
    // It must not keep a Node-RED alive that is done.
    server.listen(place.port, place.host).unref();
  }

  #closeServer(): void {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    server.close();
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), LINGER_MS).unref();
  }
}

function sentenceOf({ code, message }: NodeJS.ErrnoException, { port, host }: Place): string {
  const next = `Redclaw tries again every ${RETRY_MS / 1000} s.`;
  if (code === "EADDRINUSE") {
    return `Port ${port} for webhooks is in use by another program. Choose another one in the Redclaw gateway, or end that program. ${next}`;
  }
  if (code === "EACCES") {
    return `Port ${port} for webhooks may not be opened by this user; ports below 1024 are reserved. Choose a higher one in the Redclaw gateway. ${next}`;
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `This machine has no address ${host} to take webhooks on. Enter another one in the Redclaw gateway, or 0.0.0.0 for all. ${next}`;
  }
  return `Port ${port} for webhooks could not be opened: ${message}. ${next}`;
}
