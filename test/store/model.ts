/** The store as simple as it can be said: a list of rows in the order of writing. Slow and obviously right. */
import type { Query, Row, Write } from "../../lib/store/store";

export class StoreModel {
  #rows: Row[] = [];

  commit(writes: readonly Write[], now: number): boolean[] {
    return writes.map((write) => this.#write(write, now));
  }

  get(space: string, key: string, now: number): Row | undefined {
    return this.#rows.find((row) => row.space === space && row.key === key && alive(row, now));
  }

  find(query: Query, now: number): Row[] {
    const rows = this.#matching(query, now).sort((a, b) => a.at - b.at);
    if (query.order === "newest") rows.reverse();
    const offset = query.offset ?? 0;
    const page = rows.slice(offset, offset + (query.limit ?? 100));
    return query.bare ? page.map(({ body: _, ...row }) => row) : page;
  }

  count(query: Query, now: number): number {
    return this.#matching(query, now).length;
  }

  sweep(now: number): number {
    const before = this.#rows.length;
    this.#rows = this.#rows.filter((row) => alive(row, now));
    return before - this.#rows.length;
  }

  #write(write: Write, now: number): boolean {
    if ("put" in write) return this.#add(write.put);
    if ("insert" in write)
      return this.get(write.insert.space, write.insert.key, now) ? false : this.#add(write.insert);
    if ("delete" in write) {
      const row = this.get(write.delete.space, write.delete.key, now);
      this.#rows = this.#rows.filter((other) => other !== row);
      return row !== undefined;
    }
    const { space, key, ifState, body, trail, ...changes } = write.update;
    const row = this.get(space, key, now);
    if (!row || (ifState !== undefined && row.state !== ifState)) return false;
    Object.assign(row, changes);
    if (body !== undefined) setBody(row, body);
    if (trail !== undefined) row.trail = [...(row.trail ?? []), ...trail];
    return true;
  }

  #add(row: Row): boolean {
    this.#rows = this.#rows.filter((other) => other.space !== row.space || other.key !== row.key);
    const added = { ...row };
    setBody(added, row.body);
    this.#rows.push(added);
    return true;
  }

  #matching(query: Query, now: number): Row[] {
    const states = typeof query.state === "string" ? [query.state] : query.state;
    return this.#rows.filter(
      (row) =>
        alive(row, now) &&
        row.space === query.space &&
        (!states || states.some((state) => state === row.state)) &&
        (query.before === undefined || row.at < query.before) &&
        (query.account === undefined || row.account === query.account) &&
        (query.conversation === undefined || row.conversation === query.conversation) &&
        (query.prefix === undefined || row.key.startsWith(query.prefix)),
    );
  }
}

function setBody(row: Row, body: unknown): void {
  if (body === null || body === undefined) delete row.body;
  else row.body = body;
}

function alive(row: Row, now: number): boolean {
  return row.expires === undefined || row.expires > now;
}
