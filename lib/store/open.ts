/** Opens the store that the gateway was told to use. */
import { RedclawError } from "../errors";
import { memoryStore } from "./memory";
import { sqliteStore } from "./sqlite";
import type { Store } from "./store";

export interface StoreChoice {
  kind: "memory" | "sqlite";
  /** The database file. Needed for `sqlite`. */
  path?: string;
  /** See `SqliteStoreOptions`. */
  expectMore?: () => boolean;
}

/**
 * Opens a store. Throws RedclawError `store-unavailable` (this Node.js has no SQLite), `store-newer` (written by a
 * newer Redclaw), `store-foreign` (another program's file), `store-locked`, `store-full`, `store-failed`.
 */
export async function openStore(choice: StoreChoice): Promise<Store> {
  if (choice.kind === "memory") return memoryStore();
  if (choice.kind !== "sqlite") {
    throw new RedclawError(
      "store-unavailable",
      `Redclaw has no store of the kind "${String(choice.kind)}". Choose memory or sqlite.`,
    );
  }
  if (!choice.path) {
    throw new RedclawError(
      "store-unavailable",
      "The database needs a file. Set its path in the Redclaw gateway node.",
    );
  }
  return sqliteStore({ path: choice.path, expectMore: choice.expectMore });
}
