/**
 * The way out of one account: a lane for each conversation (first in, first out, one request at a time), fair between
 * the lanes, at the platform's pace, with a bounded number of requests in flight, and at rest while the platform fails.
 */
import type { Breaker } from "./breaker";
import { Fifo } from "./fifo";
import type { Limiter } from "./limiter";
import { Rounds } from "./rounds";

/** What came of one request. */
export interface Outcome {
  /** This work is over; else there is more to do for it, after `inMs`. */
  over: boolean;
  inMs: number;
  platform: "answered" | "failed" | "silent";
  /**
   * What came of it is on its way to the disk. Nobody has to wait: the store writes in the order it was told, so the
   * mark of the request that follows is not written before it.
   */
  written?: Promise<void>;
}

/** One response on its way. */
export interface Work {
  readonly conversation: string;
  /** Milliseconds of the clock; later it is not sent any more. */
  readonly deadline: number;
  /** Makes one request (or finds that none is needed). Never rejects. */
  step(): Promise<Outcome>;
  /** Its time is over before it was sent. */
  expire(): void;
  /** The account closes; what is written down is sent when it opens again. */
  leave(): void;
}

interface Lane {
  conversation: string;
  works: Fifo<Work>;
  /** Waits for its time (`timer`), for its turn, or for an answer. */
  state: "queued" | "asleep" | "busy";
  timer?: NodeJS.Timeout;
}

export interface DispatcherOptions {
  /** Requests in flight at most. */
  inFlightMax: number;
  limiter: Limiter;
  breaker: Breaker;
  now(): number;
  /** True while requests can be made. */
  ready(): boolean;
  /** The breaker opened or closed. */
  breakerChanged(open: boolean): void;
}

/** No timer of Node.js is longer than 2^31 ms; nobody waits that long anyway. */
const TIMER_MAX = 2 ** 31 - 1;

export class Dispatcher {
  readonly #o: DispatcherOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #rounds = new Rounds<Lane>();
  #inFlight = 0;
  #writing = 0;
  #timer?: NodeJS.Timeout;
  #expiry?: NodeJS.Timeout;
  #stopped = false;
  #size = 0;
  readonly #idle: (() => void)[] = [];

  constructor(options: DispatcherOptions) {
    this.#o = options;
  }

  /** Responses that are not through yet. */
  get size(): number {
    return this.#size;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  add(work: Work): void {
    this.#size += 1;
    let lane = this.#lanes.get(work.conversation);
    if (!lane) {
      lane = { conversation: work.conversation, works: new Fifo(), state: "queued" };
      this.#lanes.set(work.conversation, lane);
      this.#rounds.enter(lane);
    }
    lane.works.push(work);
    this.pump();
    if (this.#size > 0 && !this.#expiry) this.#watchExpiry();
  }

  /** Looks whether something can leave; called whenever something has changed. */
  pump(): void {
    const { limiter, breaker, inFlightMax, ready } = this.#o;
    while (!this.#stopped && this.#inFlight < inFlightMax && ready()) {
      const pause = Math.max(breaker.waitMs(), limiter.wait());
      if (pause > 0) {
        this.#pumpIn(pause);
        return;
      }
      const lane = this.#rounds.next();
      if (!lane) return;
      if (lane.works.size === 0) {
        this.#lanes.delete(lane.conversation);
        continue;
      }
      const wait = limiter.take(lane.conversation);
      if (wait > 0) {
        this.#sleep(lane, wait);
        continue;
      }
      this.#serve(lane);
    }
  }

  #pumpIn(ms: number): void {
    if (ms === Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.pump(), Math.min(Math.ceil(ms), TIMER_MAX));
  }

  #sleep(lane: Lane, ms: number): void {
    lane.state = "asleep";
    lane.timer = setTimeout(
      () => {
        lane.state = "queued";
        lane.timer = undefined;
        this.#rounds.again(lane);
        this.pump();
      },
      Math.min(Math.ceil(ms), TIMER_MAX),
    );
  }

  #serve(lane: Lane): void {
    const work = lane.works.first as Work;
    lane.state = "busy";
    if (work.deadline <= this.#o.now()) {
      work.expire();
      this.#served(lane, true, 0);
      return;
    }
    this.#inFlight += 1;
    this.#o.breaker.leaves();
    work.step().then(
      (outcome) => this.#came(lane, outcome),
      // A step that rejects is our own fault; the lane must go on all the same.
      () => this.#came(lane, { over: true, inMs: 0, platform: "silent" }),
    );
  }

  #came(lane: Lane, outcome: Outcome): void {
    this.#inFlight -= 1;
    const { breaker, breakerChanged } = this.#o;
    if (outcome.platform === "silent") breaker.undecided();
    else if (outcome.platform === "answered") {
      if (breaker.succeeded()) breakerChanged(false);
    } else if (breaker.failed()) breakerChanged(true);
    if (outcome.written) {
      this.#writing += 1;
      outcome.written.then(() => {
        this.#writing -= 1;
        this.#tellIdle();
      });
    }
    this.#served(lane, outcome.over, outcome.inMs);
    this.#tellIdle();
    this.pump();
  }

  #served(lane: Lane, over: boolean, inMs: number): void {
    if (over) {
      lane.works.shift();
      this.#size -= 1;
    }
    if (this.#stopped) {
      if (!over) this.#leave(lane);
      return;
    }
    if (lane.works.size === 0) this.#lanes.delete(lane.conversation);
    else if (inMs > 0) this.#sleep(lane, inMs);
    else {
      lane.state = "queued";
      this.#rounds.again(lane);
    }
  }

  /** Resolves when no request is in flight, and what came of all of them is written down. */
  idle(): Promise<void> {
    return this.#inFlight + this.#writing === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#idle.push(resolve));
  }

  #tellIdle(): void {
    if (this.#inFlight + this.#writing === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Ends: what is in flight may finish, everything else leaves. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#expiry);
    for (const lane of this.#lanes.values()) {
      clearTimeout(lane.timer);
      const busy = lane.state === "busy" ? lane.works.shift() : undefined;
      this.#leave(lane);
      if (busy) lane.works.push(busy);
    }
  }

  #leave(lane: Lane): void {
    for (let work = lane.works.shift(); work; work = lane.works.shift()) {
      this.#size -= 1;
      work.leave();
    }
  }

  /** Nobody waits longer than the deadline, also while there is no connection. */
  #watchExpiry(): void {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { works } of this.#lanes.values())
      if (works.first) earliest = Math.min(earliest, works.first.deadline);
    if (earliest === Number.POSITIVE_INFINITY || this.#stopped) {
      this.#expiry = undefined;
      return;
    }
    const inMs = Math.max(0, earliest - this.#o.now()) + 1;
    this.#expiry = setTimeout(
      () => {
        this.#expire();
        this.#watchExpiry();
      },
      Math.min(inMs, TIMER_MAX),
    );
    this.#expiry.unref();
  }

  #expire(): void {
    const now = this.#o.now();
    for (const lane of [...this.#lanes.values()]) {
      if (lane.state === "busy") continue;
      while (lane.works.first && lane.works.first.deadline <= now) {
        (lane.works.shift() as Work).expire();
        this.#size -= 1;
      }
      // An empty lane that is still queued or asleep is found empty at its turn.
    }
  }
}
