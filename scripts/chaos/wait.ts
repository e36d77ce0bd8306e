/** Waiting for something to become true, with a time limit. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves with true when `done` is; with false when it was not within `withinMs`. */
export async function eventually(done: () => boolean, withinMs: number, everyMs = 20): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (!done()) {
    if (performance.now() > deadline) return false;
    await sleep(everyMs);
  }
  return true;
}

/** Resolves when `measure` has not changed for `quietMs` (or `done` is true), at the latest after `withinMs`. */
export async function quiet(
  measure: () => number,
  done: () => boolean,
  quietMs: number,
  withinMs: number,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  let last = measure();
  let since = performance.now();
  while (!done() && performance.now() < deadline) {
    await sleep(50);
    const now = measure();
    if (now !== last) since = performance.now();
    last = now;
    if (performance.now() - since > quietMs) return;
  }
}
