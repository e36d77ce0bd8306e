/** Calls our own webhook addresses when the settings are new, and keeps what stands in the way. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Log } from "../define";
import { type Finding, probe } from "./probe";
import { Sentences } from "./sentences";

/** A proxy that starts together with Node-RED gets this time, in milliseconds, before its 502 counts. */
const AGAIN_AFTER_MS = [15_000, 60_000];

export class SelfTest {
  readonly #log: Log;
  readonly #sentences: Sentences;
  /** The addresses that were tested last. */
  #tested = "";
  #obstacles: string[] = [];
  #waiting?: NodeJS.Timeout;
  #closed = false;

  constructor(log: Log) {
    this.#log = log;
    this.#sentences = new Sentences({
      ...log,
      warn: (sentence) => log.warn(`A test call to the webhook address did not get through: ${sentence}`),
    });
  }

  /** Sentences about what kept the last test call from getting through. */
  get obstacles(): readonly string[] {
    return this.#obstacles;
  }

  /**
   * Tests addresses that were not tested yet, or where something stood in the way.
   * @param own the address on our own server, as seen from this machine
   * @param outside the address under which a platform calls
   */
  run(own: string | undefined, outside: string | undefined): void {
    const addresses = JSON.stringify([own, outside]);
    if (addresses === this.#tested && (this.#waiting || this.#obstacles.length === 0)) return;
    this.#tested = addresses;
    clearTimeout(this.#waiting);
    this.#later(0, own, outside, AGAIN_AFTER_MS);
  }

  #later(ms: number, own: string | undefined, outside: string | undefined, again: number[]): void {
    const timer = setTimeout(() => {
      const calls = [...(own ? [probe(own, true)] : []), ...(outside ? [probe(outside)] : [])];
      Promise.all(calls).then((findings) => {
        // Other addresses are being tested by now.
        if (this.#closed || this.#waiting !== timer) return;
        this.#waiting = undefined;
        const [wait, ...more] = again;
        const passing = findings.some((finding) => finding.kind === "obstacle" && finding.passing);
        if (wait !== undefined && passing) this.#later(wait, own, outside, more);
        else this.#keep(findings);
      }, this.#log.debug);
    }, ms).unref();
    this.#waiting = timer;
  }

  #keep(findings: Finding[]): void {
    this.#obstacles = findings.flatMap((finding) => (finding.kind === "obstacle" ? [finding.sentence] : []));
    this.#sentences.say(this.#obstacles);
    for (const finding of findings) {
      if (finding.kind === "unreachable") this.#log.debug(`Webhook self-test: ${finding.sentence}`);
      if (finding.kind === "fine") this.#log.debug("Webhook self-test: our own call got through.");
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#waiting);
  }
}

/** Where Node-RED's server is reached from this machine; undefined while it does not listen (or not on a port). */
export function ownOrigin(server: Server | undefined): string | undefined {
  const found = server?.listening ? server.address() : undefined;
  if (!found || typeof found === "string") return undefined;
  const { address, port, family } = found as AddressInfo;
  const any: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };
  const host = any[address] ?? (family === "IPv6" ? `[${address}]` : address);
  // Only a server of https has certificates to set.
  return `${"setSecureContext" in (server as object) ? "https" : "http"}://${host}:${port}`;
}
