/** A child process that commits for ever and says which rows were confirmed, until it is killed. */
import { writeSync } from "node:fs";
import { sqliteStore } from "../../lib/store/sqlite";

async function main(path: string, round: string): Promise<void> {
  const store = await sqliteStore({ path });
  writeSync(1, "ready\n");
  for (let i = 0; ; i++) {
    const name = `${round}-${i}`;
    const commits = Array.from({ length: 4 }, async (_, j) => {
      const key = `${name}-${j}`;
      const rows = ["x", "y"].map((part) => ({ space: part, key, value: key, at: i }));
      await store.commit(rows.map((row) => ({ insert: row })));
      writeSync(1, `${key}\n`);
    });
    await Promise.all(commits);
  }
}

void main(process.argv[2] as string, process.argv[3] as string);
