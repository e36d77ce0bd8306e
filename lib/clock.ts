/** The time. Injected, so that tests can let a week pass. */
export interface Clock {
  /**
   * Milliseconds since 1970 that never jump: the wall clock at the start, plus the time that has passed since. Somebody
   * who sets the machine's clock (or an NTP step) makes nothing expire and nothing wait.
   */
  now(): number;
}

const began = Date.now() - performance.now();

export const systemClock: Clock = { now: () => Math.round(began + performance.now()) };
