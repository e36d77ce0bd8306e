/** Takes what one store holds over to another, when the owner changes where messages are kept. */
import { isFinal } from "./record";
import type { Row, Store } from "./store";

const PAGE = 500;
/** Of each space the newest rows that are not under way; more is history that nobody waits for. */
const ROWS_MAX = 20_000;

/**
 * Adds the rows that `take` accepts to `to`; what `to` has already stays as it is. What is under way is taken whole,
 * however much it is. Rejects when either store fails.
 */
export async function carryOver(
  from: Store,
  to: Store,
  spaces: readonly string[],
  take: (row: Row) => boolean = () => true,
): Promise<void> {
  // Writes that were given before are in the store when this one is.
  await from.commit([{ delete: { space: "carry", key: "over" } }]);
  for (const space of spaces) {
    let others = 0;
    for await (const page of pages(from, space, () => others >= ROWS_MAX)) {
      const wanted = page.filter((row) => take(row) && (isUnderWay(row) || others++ < ROWS_MAX));
      if (wanted.length > 0) await to.commit(wanted.map((row) => ({ insert: row })));
    }
  }
}

/** All rows of a space, the newest first. With `bare`, those that are not under way come without their bodies. */
async function* pages(from: Store, space: string, bare: () => boolean): AsyncGenerator<Row[]> {
  let before: number | undefined;
  /** Rows that were seen already although they lie before `before`. */
  let seen: Row[] = [];
  for (;;) {
    const onlyOpen = bare();
    const rows = await from.find({
      space,
      order: "newest",
      before,
      limit: PAGE,
      offset: seen.length,
      bare: onlyOpen,
    });
    const whole = rows.map((row) => (onlyOpen && isUnderWay(row) ? from.get(space, row.key) : row));
    yield (await Promise.all(whole)).filter((row) => row !== undefined);
    const last = rows.at(-1);
    if (!last || rows.length < PAGE) return;
    before = last.at + 1;
    seen = [...seen, ...rows].filter(({ at }) => at < (before as number));
  }
}

function isUnderWay({ state }: Row): boolean {
  return state !== undefined && !isFinal(state);
}
