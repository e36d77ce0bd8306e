/**
 * The life cycle of the flows: nothing connects before they are started, a deploy is told from the end, and after too
 * many crashes the channels are kept down.
 */
import type { CrashWatch } from "./delivery/crash-watch";

/** After too many crashes the channels try again by themselves. */
const KEPT_DOWN_MS = 5 * 60_000;

/** What Node-RED says about its flows: `config` is the same object until the next deploy. */
interface FlowsEvent {
  config?: unknown;
}

/** The part of Node-RED's events that is used here. */
export interface FlowEvents {
  on(event: "flows:started" | "flows:stopping", listener: (event?: FlowsEvent) => void): unknown;
  off(event: "flows:started" | "flows:stopping", listener: (event?: FlowsEvent) => void): unknown;
}

export interface LifecycleOptions {
  /** Without them, the flows run. */
  flows?: FlowEvents;
  crashWatch?: CrashWatch;
  /** The flows stop: for a deploy, or because Node-RED ends. */
  stopping(): void;
  started(): void;
  /** The channels stay down; `sentence` says why, and what to do. */
  keptDown(sentence: string): void;
}

export class Lifecycle {
  readonly #o: LifecycleOptions;
  #isRunning = false;
  /** Resolves when the flows run. */
  readonly #running: Promise<void>;
  #setRunning: () => void = () => undefined;
  /** What Node-RED runs now: another object at its next stop means a deploy, the same one means that it ends. */
  #flowsConfig?: unknown;
  #deploying = false;
  #keptDown?: Promise<void>;
  /** Set while the channels are kept down: ends it. */
  #letConnect?: () => void;

  constructor(options: LifecycleOptions) {
    this.#o = options;
    this.#running = new Promise((resolve) => {
      this.#setRunning = resolve;
    });
    const { flows } = options;
    if (flows) {
      flows.on("flows:stopping", this.#onStopping);
      flows.on("flows:started", this.#onStarted);
    } else {
      this.#isRunning = true;
      this.#setRunning();
    }
  }

  /** True between the stop and the start of a deploy. */
  get deploying(): boolean {
    return this.#deploying;
  }

  readonly #onStopping = (event?: FlowsEvent): void => {
    this.#deploying = event?.config !== undefined && event.config !== this.#flowsConfig;
    this.#o.stopping();
  };

  readonly #onStarted = (event?: FlowsEvent): void => {
    this.#flowsConfig = event?.config;
    const deployed = this.#deploying;
    this.#deploying = false;
    // A deploy is somebody at work: the channels may try again.
    if (deployed) this.#letConnect?.();
    this.#isRunning = true;
    this.#setRunning();
    this.#o.started();
  };

  /**
   * Resolves when whoever has the signal may connect, or the signal is aborted; `wait` hears, in a sentence, why it
   * takes longer than the start of the flows.
   */
  async mayConnect(signal: AbortSignal, wait: (reason: string) => void): Promise<void> {
    if (!this.#isRunning) await orAborted(signal, this.#running);
    const died = this.#o.crashWatch?.begin() ?? 0;
    if (died > 0) this.#keepDown(died);
    if (!this.#keptDown) return;
    wait(
      "Kept down after crashes. Node-RED died three times within five minutes right after its start, so the channels stay down. Mend or disable what you changed last, then deploy: they start again (by themselves after five minutes).",
    );
    await orAborted(signal, this.#keptDown);
  }

  #keepDown(died: number): void {
    this.#keptDown = new Promise((resolve) => {
      const timer = setTimeout(() => this.#letConnect?.(), KEPT_DOWN_MS).unref();
      this.#letConnect = () => {
        clearTimeout(timer);
        this.#keptDown = undefined;
        this.#letConnect = undefined;
        resolve();
      };
    });
    this.#o.keptDown(
      `Node-RED crashed ${died} times within five minutes right after its start. The channels stay down, so that you can mend or disable what you changed last. Deploy to start them again; they also try by themselves in five minutes.`,
    );
  }

  close(): void {
    this.#letConnect?.();
    this.#o.flows?.off("flows:stopping", this.#onStopping);
    this.#o.flows?.off("flows:started", this.#onStarted);
  }
}

/** Waits for `work`, or until the signal is aborted; then `work` no longer counts. */
async function orAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  if (signal.aborted) return;
  let abort: () => void = () => undefined;
  const aborted = new Promise<void>((resolve) => {
    abort = resolve;
  });
  signal.addEventListener("abort", abort, { once: true });
  await Promise.race([work, aborted]);
  signal.removeEventListener("abort", abort);
}
