/** What an account remembers, in the gateway's store. */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ConnectContext } from "../../lib/channel/define";
import { messageEvent, Scripted } from "../delivery/scripted";

for (const store of ["memory", "sqlite"] as const) {
  describe(`an account's memory (${store})`, () => {
    let folder: string;
    let channel: Scripted;
    let time: number;
    let ctx: ConnectContext;

    beforeEach(async () => {
      folder = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-memory-"));
      time = Date.now();
      channel = new Scripted({ clock: { now: () => time } });
      channel.gateway.configure("gw", { store, path: path.join(folder, "g.db"), maxReplyAge: 600_000 });
      await channel.open().ready(Date.now() + 2000);
      ctx = channel.ctx as ConnectContext;
    });
    afterEach(async () => {
      await channel.close();
      fs.rmSync(folder, { recursive: true, force: true });
    });

    it("gives back what was set, and nothing of what was set to undefined", async () => {
      await ctx.memory.set("a", { b: [1, null] });
      assert.deepEqual(await ctx.memory.get("a"), { b: [1, null] });
      await ctx.memory.set("a", undefined);
      assert.equal(await ctx.memory.get("a"), undefined);
    });

    it("lists all keys with one beginning, however many, those first that were written longest ago", async () => {
      for (const key of ["x/1", "x/2", "y/1", "x"]) await ctx.memory.set(key, key.toUpperCase());
      time += 1000;
      await ctx.memory.set("x/1", "again");
      assert.deepEqual(await ctx.memory.list("x/"), [
        { key: "x/2", value: "X/2", at: time - 1000 },
        { key: "x/1", value: "again", at: time },
      ]);
      await Promise.all(Array.from({ length: 300 }, (_, n) => ctx.memory.set(`z/${n}`, n)));
      assert.equal((await ctx.memory.list("z/")).length, 300);
    });

    it("forgets by itself what was to be kept for a time", async () => {
      await ctx.memory.set("short", 1, -1);
      await ctx.memory.set("long", 2, 60_000);
      assert.deepEqual(
        (await ctx.memory.list("")).map(({ key }) => key),
        ["long"],
      );
    });

    it("what is remembered with an event is set and forgotten in the same commit, also when the event is known", async () => {
      const event = messageEvent();
      await ctx.accept(event, { seen: 1, other: 1 }, 60_000);
      await ctx.accept(structuredClone(event), { seen: 2, other: undefined });
      assert.equal(await ctx.memory.get("seen"), 2);
      assert.equal(await ctx.memory.get("other"), undefined);
      await ctx.accept(messageEvent(), { brief: 1 }, -1);
      assert.equal(await ctx.memory.get("brief"), undefined);
    });
  });
}
