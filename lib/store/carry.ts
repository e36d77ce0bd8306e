/** Takes what one store holds over to another, when the owner changes where messages are kept. */
import type { Row, Store } from "./store";

const PAGE = 500;
/** Of each space the newest rows; more is history that nobody waits for. */
const ROWS_MAX = 20_000;

/** Adds the rows that `take` accepts to `to`; what `to` has already stays as it is. Rejects when either store fails. */
export async function carryOver(
  from: Store,
  to: Store,
  spaces: readonly string[],
  take: (row: Row) => boolean = () => true,
): Promise<void> {
  // Writes that were given before are in the store when this one is.
  await from.commit([{ delete: { space: "carry", key: "over" } }]);
  for (const space of spaces) {
    for (let offset = 0; offset < ROWS_MAX; offset += PAGE) {
      const rows = await from.find({ space, order: "newest", limit: PAGE, offset });
      const insert = rows.filter(take).map((row) => ({ insert: row }));
      if (insert.length > 0) await to.commit(insert);
      if (rows.length < PAGE) break;
    }
  }
}
