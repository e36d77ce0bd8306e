/** Names of messages in the admin API: keys hold slashes and colons, which proxies do not let through as they are. */
import { EVENT, RESPONSE } from "../delivery/ledger";
import type { Row, Store } from "../store/store";

const LETTERS: Record<string, string> = { [EVENT]: "e", [RESPONSE]: "r" };

export function idOf({ space, key }: Pick<Row, "space" | "key">): string {
  return Buffer.from(`${LETTERS[space]}:${key}`).toString("base64url");
}

/** The row that `id` names: as `idOf` writes it, or the key itself, as it stands in news, receipts and logs. */
export async function findRow(store: Store, id: string): Promise<Row | undefined> {
  const [, letter, key = ""] = /^([er]):(.+)$/s.exec(Buffer.from(id, "base64url").toString()) ?? [];
  const space = letter === "e" ? EVENT : RESPONSE;
  if (letter && idOf({ space, key }) === id) return store.get(space, key);
  return (await store.get(RESPONSE, id)) ?? (await store.get(EVENT, id));
}
