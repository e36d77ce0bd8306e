/** Bookkeeping that nobody waits for: it is written as soon as the store can. */
import type { Log } from "../channel/define";
import type { Write } from "../store/store";
import type { Ledger } from "./ledger";

/** @param then it is written */
export function keepBooks(
  { ledger, log }: { ledger: Ledger; log: Log },
  writes: Write[],
  then?: () => void,
): void {
  if (writes.length === 0) return;
  ledger
    .record(writes)
    .then(then)
    .catch((error: Error) => log.warn(`The ledger could not be brought up to date: ${error.message}`));
}
