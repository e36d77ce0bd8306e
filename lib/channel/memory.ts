/** What an account remembers: rows of the gateway's store in a space of its own. */
import type { Ledger } from "../delivery/ledger";
import type { Row, Write } from "../store/store";
import type { AccountMemory } from "./define";

const spaceOf = (account: string) => `account:${account}`;

/** The write that remembers a value, for `keepMs` or for good; `undefined` forgets it. */
export function remembering(
  account: string,
  key: string,
  value: unknown,
  now: number,
  keepMs?: number,
): Write {
  const space = spaceOf(account);
  if (value === undefined) return { delete: { space, key } };
  const expires = keepMs === undefined ? {} : { expires: now + keepMs };
  return { put: { space, key, value: null, body: value, at: now, ...expires } };
}

export function accountMemory(account: string, ledger: Ledger): AccountMemory {
  return {
    get: async <T>(key: string) => {
      const row = await (await ledger.store()).get(spaceOf(account), key);
      return row && rememberedIn<T>(row);
    },
    set: async (key, value, keepMs) => {
      await ledger.commit([remembering(account, key, value, ledger.clock.now(), keepMs)]);
    },
    list: async <T>(prefix: string) => {
      const store = await ledger.store();
      const rows = await store.find({ space: spaceOf(account), prefix, limit: Number.POSITIVE_INFINITY });
      return rows.map((row) => ({ key: row.key, value: rememberedIn<T>(row) as T, at: row.at }));
    },
  };
}

function rememberedIn<T>({ body, value }: Row): T | undefined {
  return (body ?? value ?? undefined) as T | undefined;
}
