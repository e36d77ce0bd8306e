/** What every store promises. Runs on each implementation (`store.test.ts`). */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Row, Store, Write } from "../../lib/store/store";
import { StoreModel } from "./model";

export interface Clock {
  time: number;
}

/** `open` makes an empty store whose clock is `clock`. */
export function storeSuite(open: (clock: Clock) => Promise<Store> | Store): void {
  const clock: Clock = { time: 1_000_000 };
  let store: Store;
  beforeEach(async () => {
    clock.time = 1_000_000;
    store = await open(clock);
  });
  afterEach(() => store.close());

  const row = (key: string, more: Partial<Row> = {}): Row => ({
    space: "s",
    key,
    value: { key },
    at: 1,
    ...more,
  });
  const keys = (rows: Row[]): string[] => rows.map(({ key }) => key);

  it("gives back a row as it was put", async () => {
    const full = row("a", { state: "new", account: "acc", conversation: "c", at: 5, expires: 2_000_000 });
    assert.deepEqual(await store.commit([{ put: full }]), [true]);
    assert.deepEqual(await store.get("s", "a"), full);
    assert.equal(await store.get("s", "b"), undefined);
    assert.equal(await store.get("t", "a"), undefined);
  });

  it("keeps its own copy of a value, from the moment of the commit", async () => {
    const value = { list: [1] };
    const done = store.commit([{ put: row("a", { value }) }]);
    value.list.push(2);
    await done;
    const got = (await store.get("s", "a"))?.value as { list: number[] };
    got.list.push(3);
    assert.deepEqual((await store.get("s", "a"))?.value, { list: [1] });
  });

  it("inserts a key once and says so", async () => {
    assert.deepEqual(await store.commit([{ insert: row("a", { value: 1 }) }]), [true]);
    assert.deepEqual(await store.commit([{ insert: row("a", { value: 2 }) }, { insert: row("b") }]), [
      false,
      true,
    ]);
    assert.equal((await store.get("s", "a"))?.value, 1);
  });

  it("lets one of many inserts of the same key win, also in the same turn", async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.commit([{ insert: row("a", { value: i }) }])),
    );
    assert.deepEqual(answers.flat(), [true, ...Array(49).fill(false)]);
    assert.equal((await store.get("s", "a"))?.value, 0);
  });

  it("updates only the given fields, and only in the given state", async () => {
    await store.commit([{ put: row("a", { state: "queued", account: "x" }) }]);
    const update = (more: object): Write => ({ update: { space: "s", key: "a", ...more } });
    assert.deepEqual(await store.commit([update({ ifState: "sent", state: "lost" })]), [false]);
    assert.deepEqual(await store.commit([update({ ifState: "queued", state: "sending", at: 9 })]), [true]);
    assert.deepEqual(await store.get("s", "a"), row("a", { state: "sending", account: "x", at: 9 }));
    assert.deepEqual(await store.commit([update({ value: null })]), [true]);
    assert.equal((await store.get("s", "a"))?.value, null);
    assert.deepEqual(await store.commit([{ update: { space: "s", key: "none", state: "x" } }]), [false]);
    assert.equal(await store.get("s", "none"), undefined);
  });

  it("keeps a body until it is wiped, and gives it back only when asked for", async () => {
    const body = { text: "good morning \u{1f600}", lines: ["\ud800", ""] };
    await store.commit([{ insert: row("a", { body }) }, { insert: row("b", { body: null }) }]);
    assert.deepEqual(await store.get("s", "a"), row("a", { body }));
    assert.deepEqual(await store.get("s", "b"), row("b"));
    assert.deepEqual(await store.find({ space: "s" }), [row("a", { body }), row("b")]);
    assert.deepEqual(await store.find({ space: "s", bare: true }), [row("a"), row("b")]);
    const update = (more: object): Write => ({ update: { space: "s", key: "a", ...more } });
    await store.commit([update({ state: "new" })]);
    assert.deepEqual((await store.get("s", "a"))?.body, body);
    await store.commit([update({ body: "other" })]);
    assert.equal((await store.get("s", "a"))?.body, "other");
    await store.commit([update({ body: null, state: "settled" })]);
    assert.deepEqual(await store.get("s", "a"), row("a", { state: "settled" }));
  });

  it("keeps bodies of every length apart", async () => {
    const bodies = Array.from({ length: 400 }, (_, n) => `${n}${"\u00e4x".repeat(n % 61)}`);
    bodies.push("x".repeat(40_000), "\u20ac".repeat(16_000), "y".repeat(1024 * 1024), "");
    await Promise.all(
      bodies.map((body, at) => store.commit([{ put: row(String(at), { at, body, state: "new" }) }])),
    );
    const rows = await store.find({ space: "s", limit: 1000, state: "new" });
    assert.deepEqual(
      rows.map(({ body }) => body),
      bodies,
    );
  });

  it("adds to the trail of a row", async () => {
    await store.commit([{ insert: row("a", { trail: [["accepted", 1]] }) }, { insert: row("b") }]);
    await store.commit([
      { update: { space: "s", key: "a", trail: [["emitted", 2.5]] } },
      { update: { space: "s", key: "a", trail: [["held", 3, 'said "no", \ud800\uffff']] } },
      { update: { space: "s", key: "a", trail: [] } },
      { update: { space: "s", key: "b", trail: [["x", 1, undefined]] } },
      { insert: row("c", { trail: [] }) },
    ]);
    assert.deepEqual((await store.get("s", "a"))?.trail, [
      ["accepted", 1],
      ["emitted", 2.5],
      ["held", 3, 'said "no", \ud800\uffff'],
    ]);
    assert.deepEqual((await store.get("s", "b"))?.trail, [["x", 1]]);
    assert.deepEqual((await store.get("s", "c"))?.trail, []);
  });

  it("finds open work and what has ended under each state it goes through", async () => {
    const states = ["new", "settled", "held", "held", "sent", undefined, "dismissed", "new", "new"];
    await store.commit([{ insert: row("a", { state: "new", body: 1, account: "x" }) }]);
    let now = "new";
    for (const state of states) {
      await store.commit([{ update: { space: "s", key: "a", state, body: 2 } }]);
      now = state ?? now;
      for (const asked of ["new", "held", "settled", "sent", "dismissed"]) {
        const there = asked === now ? 1 : 0;
        assert.equal(
          await store.count({ space: "s", state: asked, account: "x" }),
          there,
          `${asked} in ${now}`,
        );
        const both = await store.find({ space: "s", state: [asked, "other", "settled"] });
        assert.equal(both.length, there || (now === "settled" ? 1 : 0));
      }
      assert.deepEqual(await store.get("s", "a"), row("a", { state: now, body: 2, account: "x" }));
    }
    assert.deepEqual(await store.commit([{ delete: { space: "s", key: "a" } }]), [true]);
    assert.equal(await store.count({ space: "s" }), 0);
  });

  it("finds what lies before a time", async () => {
    await store.commit([1, 2, 2, 3].map((at, i) => ({ put: row(`k${i}`, { at, state: "new" }) })));
    for (const state of [undefined, "new", ["new", "sent"]]) {
      const found = async (query: object) => keys(await store.find({ space: "s", state, ...query })).join();
      assert.equal(await found({ before: 3 }), "k0,k1,k2");
      assert.equal(await found({ before: 2.5, order: "newest", limit: 2 }), "k2,k1");
      assert.equal(await found({ before: 2, prefix: "k" }), "k0");
      assert.equal(await store.count({ space: "s", state, before: 2 }), 1);
    }
  });

  it("finds among thousands what it finds among few", async () => {
    const at = (i: number): number => Math.floor((i * 7919) % 3000);
    const rows = Array.from({ length: 6000 }, (_, i) =>
      row(`k${i}`, {
        at: at(i),
        state: ["new", "sent", "settled"][i % 3],
        conversation: i % 600 === 0 ? "seldom" : "often",
      }),
    );
    await store.commit(rows.map((each) => ({ put: each })));
    const model = new StoreModel();
    model.commit(
      rows.map((each) => ({ put: each })),
      0,
    );
    for (const order of ["oldest", "newest"] as const) {
      for (const query of [
        { conversation: "seldom" },
        { conversation: "seldom", limit: 3, offset: 4 },
        { state: "new", limit: 10, offset: 1500 },
        { state: ["sent", "settled"], limit: 5, offset: 3500, before: 2900 },
        { limit: 10_000 },
      ]) {
        const asked = { space: "s", order, bare: true, ...query };
        assert.deepEqual(await store.find(asked), model.find(asked, 0));
        assert.equal(await store.count(asked), model.count(asked, 0));
      }
    }
  });

  it("deletes, and says whether there was anything", async () => {
    await store.commit([{ put: row("a") }]);
    const drop: Write = { delete: { space: "s", key: "a" } };
    assert.deepEqual(await store.commit([drop, drop]), [true, false]);
    assert.equal(await store.get("s", "a"), undefined);
  });

  it("does nothing of a commit that has a bad write, and harms no other commit of the same turn", async () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const bad: unknown[] = [
      row("b", { value: cycle }),
      row("b", { value: 1n }),
      row("b", { at: Number.NaN }),
      row("b", { at: undefined }),
      row("b", { expires: Number.POSITIVE_INFINITY }),
      row("b", { key: 7 as unknown as string }),
      row("b", { space: undefined }),
      row("b", { state: {} as string }),
      row("b", { body: cycle }),
      row("b", { trail: "sent" as never }),
      row("b", { trail: [["sent"]] as never }),
      row("b", { trail: [["sent", Number.NaN]] }),
      row("b", { trail: [["sent", 1, 2]] as never }),
      null,
    ];
    for (const wrong of bad) {
      const results = await Promise.allSettled([
        store.commit([{ put: row("before") }]),
        store.commit([{ put: row("a") }, { put: wrong as Row }]),
        store.commit([{ put: row("after") }]),
      ]);
      assert.deepEqual(
        results.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      assert.equal((results[1] as PromiseRejectedResult).reason.code, "bad-row");
      assert.equal(await store.get("s", "a"), undefined);
    }
    for (const wrong of [null, 1, {}, { move: {} }]) {
      await assert.rejects(store.commit([wrong as unknown as Write]), { code: "bad-row" });
    }
    assert.equal(await store.count({ space: "s" }), 2);
  });

  it("takes an empty commit", async () => {
    assert.deepEqual(await store.commit([]), []);
  });

  it("finds in the order of `at`, then of writing, both ways, in pages", async () => {
    await store.commit([
      { put: row("c", { at: 2 }) },
      { put: row("a", { at: 1 }) },
      { put: row("z", { at: 1 }) },
      { put: row("b", { at: 1 }) },
    ]);
    assert.deepEqual(keys(await store.find({ space: "s" })), ["a", "z", "b", "c"]);
    assert.deepEqual(keys(await store.find({ space: "s", order: "newest" })), ["c", "b", "z", "a"]);
    assert.deepEqual(keys(await store.find({ space: "s", limit: 2, offset: 1 })), ["z", "b"]);
    assert.deepEqual(keys(await store.find({ space: "s", limit: 0 })), []);
    assert.deepEqual(keys(await store.find({ space: "s", offset: 9 })), []);
    assert.deepEqual(keys(await store.find({ space: "s", limit: Number.POSITIVE_INFINITY })), [
      "a",
      "z",
      "b",
      "c",
    ]);
  });

  it("finds at most 100 rows unless told", async () => {
    await store.commit(Array.from({ length: 150 }, (_, i) => ({ put: row(String(i), { at: i }) })));
    assert.equal((await store.find({ space: "s" })).length, 100);
    assert.equal((await store.find({ space: "s", limit: 1000 })).length, 150);
    assert.equal(await store.count({ space: "s" }), 150);
  });

  it("finds by state, account, conversation and prefix, alone and together", async () => {
    await store.commit([
      { put: row("p:1", { state: "new", account: "x", conversation: "c1" }) },
      { put: row("p:2", { state: "sent", account: "x", conversation: "c2" }) },
      { put: row("q:3", { state: "held", account: "y", conversation: "c1" }) },
      { put: row("q:4") },
    ]);
    const found = async (query: object): Promise<string> => {
      const rows = keys(await store.find({ space: "s", ...query }));
      assert.equal(await store.count({ space: "s", ...query }), rows.length);
      return rows.join();
    };
    assert.equal(await found({ state: "sent" }), "p:2");
    assert.equal(await found({ state: ["new", "held", "new"] }), "p:1,q:3");
    assert.equal(await found({ state: [] }), "");
    assert.equal(await found({ account: "x" }), "p:1,p:2");
    assert.equal(await found({ conversation: "c1" }), "p:1,q:3");
    assert.equal(await found({ prefix: "q:" }), "q:3,q:4");
    assert.equal(await found({ prefix: "" }), "p:1,p:2,q:3,q:4");
    assert.equal(
      await found({ prefix: "p:", state: ["new", "sent"], account: "x", conversation: "c2" }),
      "p:2",
    );
  });

  it("finds a row under its new state, and no longer under the old", async () => {
    await store.commit([{ put: row("a", { state: "new" }) }]);
    await store.commit([{ update: { space: "s", key: "a", state: "sent" } }]);
    assert.equal(await store.count({ space: "s", state: "new" }), 0);
    assert.equal(await store.count({ space: "s", state: "sent" }), 1);
  });

  it("treats prefixes as text, not as patterns", async () => {
    for (const [i, key] of [
      "a%b",
      "a_b",
      "aXb",
      "a*b",
      "A%b",
      "\u{10ffff}\u{10ffff}1",
      "\ud7ff1",
      "\ue000",
    ].entries()) {
      await store.commit([{ put: row(key, { at: i }) }]);
    }
    const found = async (prefix: string): Promise<string[]> => keys(await store.find({ space: "s", prefix }));
    assert.deepEqual(await found("a%"), ["a%b"]);
    assert.deepEqual(await found("a_"), ["a_b"]);
    assert.deepEqual(await found("a*"), ["a*b"]);
    assert.deepEqual(await found("\u{10ffff}"), ["\u{10ffff}\u{10ffff}1"]);
    assert.deepEqual(await found("\ud7ff"), ["\ud7ff1"]);
  });

  it("treats an expired row as absent everywhere", async () => {
    await store.commit([{ put: row("a", { state: "new", value: 1, expires: 1_000_100 }) }]);
    clock.time = 1_000_099;
    assert.ok(await store.get("s", "a"));
    clock.time = 1_000_100;
    assert.equal(await store.get("s", "a"), undefined);
    assert.deepEqual(await store.find({ space: "s" }), []);
    assert.equal(await store.count({ space: "s", state: "new" }), 0);
    assert.deepEqual(await store.commit([{ update: { space: "s", key: "a", state: "x" } }]), [false]);
    assert.deepEqual(await store.commit([{ delete: { space: "s", key: "a" } }]), [false]);
    assert.deepEqual(await store.commit([{ insert: row("a", { value: 2 }) }]), [true]);
    assert.deepEqual(await store.get("s", "a"), row("a", { value: 2 }));
  });

  it("sweeps away what expired and says how many", async () => {
    const writes = Array.from({ length: 2500 }, (_, i) => ({
      put: row(`k${i}`, { expires: 1_000_001 + (i % 2) }),
    }));
    await store.commit([...writes, { put: row("stays") }]);
    assert.equal(await store.sweep(), 0);
    assert.equal(await store.sweep(1_000_001), 1250);
    clock.time = 1_000_002;
    assert.equal(await store.sweep(), 1250);
    assert.equal(await store.sweep(), 0);
    clock.time = 0;
    assert.deepEqual(keys(await store.find({ space: "s" })), ["stays"]);
  });

  it("keeps nasty names and values apart and intact", async () => {
    const names = [
      "",
      "\0",
      "a\0b",
      "a",
      "__proto__",
      "constructor",
      "\ud800",
      "\udc00",
      "\udc00\ud800",
      "\ufffd",
      "\uffff",
      "\uffffd800",
      "👩‍👩‍👧",
      "e\u0301",
      "\u00e9",
      "'; DROP TABLE rows; --",
      "x".repeat(5000),
    ];
    for (const name of names) {
      const nasty = row(name, { space: name, state: name, account: name, conversation: name, value: [name] });
      assert.deepEqual(await store.commit([{ insert: nasty }]), [true], JSON.stringify(name.slice(0, 20)));
    }
    for (const name of names) {
      const expected = row(name, {
        space: name,
        state: name,
        account: name,
        conversation: name,
        value: [name],
      });
      assert.deepEqual(await store.get(name, name), expected);
      const query = { space: name, state: name, account: name, conversation: name, prefix: name };
      assert.deepEqual(await store.find(query), [expected]);
    }
  });

  it("keeps any JSON value", async () => {
    const values: unknown[] = [
      null,
      false,
      0,
      -0.5,
      1e300,
      "",
      "\ud800 lone",
      "\0",
      [],
      [[[]]],
      JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}'),
      "x".repeat(1024 * 1024),
    ];
    for (const value of values) {
      await store.commit([{ put: row("v", { value }) }]);
      assert.deepEqual((await store.get("s", "v"))?.value, value);
    }
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });

  it("finishes what was given before close, and refuses everything after it", async () => {
    const last = store.commit([{ put: row("a") }]);
    const closing = store.close();
    assert.deepEqual(await last, [true]);
    await closing;
    await store.close();
    const refused = { code: "store-closed" };
    await assert.rejects(store.commit([{ put: row("b") }]), refused);
    await assert.rejects(store.get("s", "a"), refused);
    await assert.rejects(store.find({ space: "s" }), refused);
    await assert.rejects(store.count({ space: "s" }), refused);
    await assert.rejects(store.sweep(), refused);
  });

  it("agrees with a simple model on any sequence of commands", async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(fc.array(anyCommand, { minLength: 1, maxLength: 40 }), async (commands) => {
        const real = await open(clock);
        const model = new StoreModel();
        clock.time = 100;
        try {
          for (const command of commands) {
            if ("wait" in command) clock.time += command.wait;
            else if ("commits" in command) {
              const answers = await Promise.all(command.commits.map((writes) => real.commit(writes)));
              assert.deepEqual(
                answers,
                command.commits.map((writes) => model.commit(writes, clock.time)),
              );
            } else if ("find" in command) {
              assert.deepEqual(await real.find(command.find), model.find(command.find, clock.time));
              assert.equal(await real.count(command.find), model.count(command.find, clock.time));
            } else if ("get" in command) {
              assert.deepEqual(await real.get("s", command.get), model.get("s", command.get, clock.time));
            } else assert.equal(await real.sweep(), model.sweep(clock.time));
          }
        } finally {
          await real.close();
        }
      }),
      { numRuns: 200 },
    );
  });
}

const key = fc.constantFrom("a", "ab", "b", "\0", "\ud800", "__proto__");
const space = fc.constantFrom("s", "t");
const state = fc.constantFrom("new", "sent", "settled", "\udfff");
const trail = fc.array(
  fc.oneof(
    fc.tuple(fc.constantFrom("new", "\ud800"), fc.integer()),
    fc.tuple(fc.constant("x"), fc.integer(), fc.string()),
  ),
  { maxLength: 2 },
);
const at = fc.integer({ min: -2, max: 3 });
const time = fc.integer({ min: 95, max: 130 });
const value = fc.jsonValue({ maxDepth: 2 }).map((json) => JSON.parse(JSON.stringify(json)) as unknown);
const anyRow = fc.record(
  {
    space,
    key,
    value,
    body: value,
    trail,
    at,
    state,
    account: fc.constantFrom("x", "y"),
    conversation: fc.constantFrom("c", "d"),
    expires: time,
  },
  { requiredKeys: ["space", "key", "value", "at"] },
);
const anyWrite: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ put: anyRow }),
  fc.record({ insert: anyRow }),
  fc.record({
    update: fc.record(
      { space, key, ifState: state, value, body: value, trail, state, at, expires: time },
      { requiredKeys: ["space", "key"] },
    ),
  }),
  fc.record({ delete: fc.record({ space, key }) }),
);
const anyQuery = fc.record(
  {
    space,
    state: fc.oneof(state, fc.array(state, { maxLength: 3 })),
    account: fc.constantFrom("x", "y", "z"),
    conversation: fc.constantFrom("c", "e"),
    prefix: fc.constantFrom("", "a", "ab", "\ud800", "_"),
    order: fc.constantFrom("oldest" as const, "newest" as const),
    before: at,
    bare: fc.boolean(),
    limit: fc.integer({ min: 0, max: 5 }),
    offset: fc.integer({ min: 0, max: 3 }),
  },
  { requiredKeys: ["space"] },
);
const anyCommand = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      commits: fc.array(fc.array(anyWrite, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ find: anyQuery }) },
  { weight: 2, arbitrary: fc.record({ get: key }) },
  { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 0, max: 10 }) }) },
  { weight: 1, arbitrary: fc.constant({ sweep: true }) },
);
