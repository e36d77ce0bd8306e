/** The configuration in force: that of the one gateway node, or the standard where there is none. */
import { RedclawError } from "./errors";
import type { FlowEvents } from "./lifecycle";

export interface GatewayConfig {
  store: "memory" | "sqlite";
  /** File of the embedded store. */
  path?: string;
  /** Milliseconds: an answer older than this is not sent any more. */
  maxReplyAge: number;
  /** `crash-safe` (default): bodies are wiped when they are through. `history`: they stay for `historyDays`. */
  retention?: "crash-safe" | "history";
  historyDays?: number;
  /** Address under which this Node-RED is reached from the internet. */
  publicUrl?: string;
  /** Webhooks are also taken on this port, on a server of our own. */
  webhookPort?: number;
  webhookHost?: string;
  /** Proxies whose `X-Forwarded-For` is believed: `127.0.0.1`, `10.0.0.0/8`. */
  trustedProxies?: string[];
}

const STANDARD: GatewayConfig = { store: "memory", maxReplyAge: 10 * 60_000 };

export class Configuration {
  readonly #flows?: FlowEvents;
  readonly #changed: (config: GatewayConfig) => void;
  #current = STANDARD;
  #owner?: string;
  /** Takes back the plan to do without a gateway node. */
  #keep?: () => void;

  /** @param changed another configuration is in force now */
  constructor(flows: FlowEvents | undefined, changed: (config: GatewayConfig) => void) {
    this.#flows = flows;
    this.#changed = changed;
  }

  get current(): Readonly<GatewayConfig> {
    return this.#current;
  }

  /** True while a gateway node is in force. */
  get isOwned(): boolean {
    return this.#owner !== undefined;
  }

  /** Puts a gateway node in force. Throws RedclawError `second-gateway`. */
  own(owner: string, config: GatewayConfig): void {
    if (this.#owner !== undefined && this.#owner !== owner) {
      throw new RedclawError(
        "second-gateway",
        "There is already a Redclaw gateway in this Node-RED. Delete or disable one of the two: only the first is in force.",
      );
    }
    this.#owner = owner;
    this.#keep?.();
    this.#apply(config);
  }

  /** The gateway node is gone: without another one at the end of the deploy, the standard is in force. */
  disown(): void {
    this.#owner = undefined;
    const flows = this.#flows;
    if (!flows) return;
    const reset = () => {
      this.#keep?.();
      this.#apply(STANDARD);
    };
    this.#keep = () => {
      flows.off("flows:started", reset);
      this.#keep = undefined;
    };
    flows.on("flows:started", reset);
  }

  #apply(config: GatewayConfig): void {
    this.#current = config;
    this.#changed(config);
  }

  close(): void {
    this.#keep?.();
  }
}
