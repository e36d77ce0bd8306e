/** The ledger API over an engine whose platform does what the test says. */
import assert from "node:assert/strict";
import { ChannelError } from "../../lib/errors";
import type { LedgerItem, LedgerStep } from "../../lib/ops/ledger-item";
import type { Row } from "../../lib/store/store";
import { messageEvent, Scripted, until } from "../delivery/scripted";
import { type AdminApp, adminRoutes, serveAdmin } from "./admin-app";

const DAY_MS = 24 * 3_600_000;

interface List {
  total: number;
  items: LedgerItem[];
}
type Whole = LedgerItem & { path: LedgerStep[]; body?: { text?: string } };
interface Done {
  ok: boolean;
  state?: string;
  code?: string;
  sentence?: string;
  purged?: number;
}

describe("the ledger API", () => {
  let channel: Scripted;
  let app: AdminApp;
  let now: number;

  beforeEach(async () => {
    now = Date.now();
    channel = new Scripted({ clock: { now: () => now } });
    app = await serveAdmin(channel.gateway);
  });
  afterEach(async () => {
    await app.close();
    await channel.close();
  });

  const list = async (query = ""): Promise<List> => (await app.ask("GET", `ledger${query}`)).json;
  const look = async (id: string): Promise<Whole> => (await app.ask("GET", `ledger/${id}`)).json;
  const say = async (id: string, what: string): Promise<Done & { status: number }> => {
    const { status, json } = await app.ask("POST", `ledger/${id}/${what}`, {});
    return { ...(json as Done), status };
  };
  const purge = async (form: object): Promise<Done & { status: number }> => {
    const { status, json } = await app.ask("POST", "ledger/purge", form);
    return { ...(json as Done), status };
  };
  const put = async (...rows: Partial<Row>[]) => {
    const store = await channel.gateway.store();
    await store.commit(
      rows.map((row, index) => ({
        put: {
          space: "response",
          key: `k${index}`,
          value: { to: { conversation: "c1" }, done: 0, ids: [] },
          account: "acc",
          conversation: "c1",
          at: now,
          expires: now + 30 * DAY_MS,
          ...row,
        },
      })),
    );
  };
  const connected = async () => {
    channel.open();
    await until(() => channel.gateway.accounts.get("acc")?.status.state === "connected");
  };
  /** A response that was cut off while it was sent. */
  const hold = async (text = "Is it **there**?\n\nWho knows.") => {
    channel.onSend = () => {
      throw new ChannelError("interrupted", "cut off");
    };
    await assert.rejects(channel.send(text));
    channel.onSend = () => undefined;
    const { items } = await list("?state=held");
    return items[0] as LedgerItem;
  };

  it("a message that was sent was tried once, also where the platform takes our keys", async () => {
    for (const idempotency of ["key", "none"]) {
      Object.assign(channel.definition.capabilities, { idempotency });
      await connected();
      await channel.send("hi");
      const { items } = await list("?state=sent&limit=1");
      assert.equal(items[0]?.attempts, 1, idempotency);
    }
  });

  it("every route asks for a permission before anything else: reading for GET, writing for all others", () => {
    const routes = adminRoutes(channel.gateway);
    assert.ok(routes.length >= 11, `${routes.length} routes`);
    for (const { method, path, permission } of routes)
      assert.equal(permission, method === "GET" ? "redclaw.read" : "redclaw.write", `${method} ${path}`);
  });

  it("a held message is listed with what was written, plain, and why; its path has every state with its time", async () => {
    await connected();
    const item = await hold();
    assert.equal(item.kind, "response");
    assert.equal(item.state, "unknown");
    assert.equal(item.text, "Is it there? Who knows.");
    assert.match(item.reason, /may not have been delivered/);
    assert.deepEqual(
      [item.account, item.name, item.channel, item.conversation],
      ["acc", "test", "scripted", "c1"],
    );
    assert.deepEqual([item.canResend, item.canDismiss, item.attempts], [true, true, 1]);
    const { path, body } = await look(item.id);
    assert.deepEqual(
      path.map(({ state }) => state),
      ["intended", "sending", "unknown"],
    );
    for (const { at } of path) assert.equal(new Date(at).toISOString(), at);
    assert.equal(path[2]?.code, "held");
    assert.match(path[2]?.reason ?? "", /broke/);
    assert.match(body?.text ?? "", /\*\*there\*\*/);
  });

  it("sent again it arrives once, however often the button is pressed", async () => {
    await connected();
    const { id } = await hold("again");
    const answers = await Promise.all([1, 2, 3].map(() => say(id, "resend")));
    assert.deepEqual(
      answers.map(({ status }) => status).sort((a, b) => a - b),
      [200, 409, 409],
    );
    await until(() => channel.sent.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(channel.texts(), ["again"]);
    const { state, path, body, text, receipt } = await look(id);
    assert.deepEqual(
      [state, path.map((step) => step.state).join(" "), body, text],
      ["sent", "intended sending unknown intended sending sent", undefined, ""],
    );
    assert.equal(receipt?.messageId, "1");
    assert.equal(channel.gateway.outbox.counts("acc").held, 0);
  });

  it("dismissed it leaves the list of held ones, and what was written is wiped", async () => {
    await connected();
    const { id } = await hold();
    assert.equal((await say(id, "dismiss")).state, "dismissed");
    assert.equal((await list("?state=held")).total, 0);
    const { state, text, body, canResend, canDismiss } = await look(id);
    assert.deepEqual([state, text, body, canResend, canDismiss], ["dismissed", "", undefined, false, false]);
    assert.equal((await say(id, "dismiss")).status, 409);
    assert.equal(channel.gateway.outbox.counts("acc").held, 0);
  });

  it("a quarantined event is listed and goes into the flow again, once", async () => {
    const got: string[] = [];
    await connected();
    channel.gateway.inbox.listen("acc", (event) => got.push(event.text));
    const event = messageEvent({ text: "It *crashes*" });
    await put({
      space: "event",
      key: event.id,
      value: { n: 3, c: 3 },
      body: event,
      state: "quarantined",
      trail: [["quarantined", now, "crashes"]],
    });
    const { items } = await list("?kind=event&state=quarantined");
    assert.equal(items[0]?.text, "It crashes");
    assert.equal(items[0]?.redelivered, 2);
    assert.match(items[0]?.reason ?? "", /crashed/);
    const answers = await Promise.all([1, 2].map(() => say(items[0]?.id ?? "", "resend")));
    assert.deepEqual(
      answers.map(({ status }) => status).sort((a, b) => a - b),
      [200, 409],
    );
    await until(() => got.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(got, ["It *crashes*"]);
    assert.equal((await look(items[0]?.id ?? "")).state, "emitted");
  });

  it("a quarantined event can be dismissed: it is settled, and its text is gone", async () => {
    const event = messageEvent();
    await put({
      space: "event",
      key: event.id,
      value: { n: 3 },
      body: event,
      state: "quarantined",
      trail: [],
    });
    const [item] = (await list("?state=quarantined")).items;
    assert.deepEqual(await say(item?.id ?? "", "dismiss"), { ok: true, state: "settled", status: 200 });
    const { state, body, reason } = await look(item?.id ?? "");
    assert.deepEqual([state, body, reason], ["settled", undefined, "It was dismissed by hand."]);
  });

  it("what is not there is 404, what its state does not allow 409, each with a sentence", async () => {
    for (const what of ["resend", "dismiss"]) {
      const none = await say("r:nothing", what);
      assert.deepEqual([none.status, none.ok], [404, false]);
      assert.match(none.sentence ?? "", /not in the ledger/);
    }
    assert.equal((await app.ask("GET", "ledger/x")).status, 404);
    await put({ state: "sent", trail: [["sent", now]] });
    const [sent] = (await list()).items;
    for (const what of ["resend", "dismiss"]) {
      const wrong = await say(sent?.id ?? "", what);
      assert.deepEqual([wrong.status, wrong.code], [409, "wrong-state"]);
    }
  });

  it("a page of another site cannot make a browser send or purge anything", async () => {
    await connected();
    const { id } = await hold();
    for (const path of [`ledger/${id}/resend`, `ledger/${id}/dismiss`, "ledger/purge"]) {
      const { status, json } = await app.ask("POST", path, {}, "text/plain");
      assert.deepEqual([status, (json as Done).code], [400, "bad-form"], path);
    }
    // A browser names the page's site with each POST; a program that has nothing to say needs no header at all.
    const dismiss = (headers: Record<string, string>) =>
      fetch(`${app.url}ledger/${id}/dismiss`, { method: "POST", headers });
    assert.equal((await dismiss({ origin: "https://elsewhere.example" })).status, 400);
    assert.equal((await look(id)).state, "unknown");
    assert.equal((await dismiss({})).status, 200);
  });

  it("a message to an account that is gone is not sent again, and says why", async () => {
    await put({
      state: "failed",
      account: "gone",
      body: { text: "hi" },
      trail: [["failed", now, "channel-gone"]],
    });
    const [item] = (await list("?state=failed")).items;
    assert.deepEqual([item?.canResend, item?.canDismiss], [false, true]);
    assert.match(item?.reason ?? "", /chat is gone/);
    const answer = await say(item?.id ?? "", "resend");
    assert.deepEqual([answer.status, answer.code], [409, "account-missing"]);
    assert.equal((await say(item?.id ?? "", "dismiss")).status, 200);
  });

  it("ids work in an address as they are; the message's own key works, too", async () => {
    const key = "telegram:acc:9/näe de/0?x=1#%";
    await put({ key, state: "failed", body: { text: "hi" }, trail: [] });
    const [item] = (await list()).items;
    assert.match(item?.id ?? "", /^[\w-]+$/);
    for (const id of [item?.id ?? "", encodeURIComponent(key)]) assert.equal((await look(id)).key, key);
    // No way into other spaces of the store.
    await put({ space: "history", key: "h1", body: { text: "secret" } });
    assert.equal((await app.ask("GET", "ledger/h1")).status, 404);
    const other = Buffer.from("history:h1").toString("base64url");
    assert.equal((await app.ask("GET", `ledger/${other}`)).status, 404);
  });

  it("pages through events and responses together, the newest first, with the total", async () => {
    await put(
      ...Array.from({ length: 100 }, (_, index) => ({
        key: `k${index}`,
        state: "sent",
        at: now - index * 1000,
        ...(index % 2 === 1 && { space: "event", value: { n: 1 }, state: "settled" }),
      })),
    );
    const seen: string[] = [];
    for (let offset = 0; offset < 120; offset += 30) {
      const { total, items } = await list(`?limit=30&offset=${offset}`);
      assert.equal(total, 100);
      seen.push(...items.map(({ key }) => key));
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 100 }, (_, index) => `k${index}`),
    );
    const events = await list("?kind=event&limit=30&offset=30");
    assert.deepEqual([events.total, events.items.length, events.items[0]?.key], [50, 20, "k61"]);
    assert.equal((await list("?limit=100000")).items.length, 100);
  });

  it("filters by states (also as people call them), account and conversation", async () => {
    await put(
      { key: "a", state: "intended" },
      { key: "b", state: "sending", conversation: "c2" },
      { key: "c", state: "accepted", space: "event", value: { n: 0 } },
      { key: "d", state: "unknown", account: "other" },
      { key: "e", state: "failed" },
    );
    const keys = async (query: string) =>
      (await list(query)).items
        .map(({ key }) => key)
        .sort()
        .join("");
    assert.equal(await keys("?state=waiting"), "abc");
    assert.equal(await keys("?state=held,failed"), "de");
    assert.equal(await keys("?state=held&state=failed"), "de");
    assert.equal(await keys("?account=other"), "d");
    assert.equal(await keys("?conversation=c2"), "b");
    assert.equal(await keys(""), "abcde");
  });

  it("says what cannot be asked, instead of answering something else", async () => {
    for (const [query, code] of [
      ["state=lost", "bad-state"],
      ["state=constructor", "bad-state"],
      ["kind=thing", "bad-kind"],
      ["limit=many", "bad-number"],
      ["offset=-1", "bad-number"],
    ]) {
      const { status, json } = await app.ask("GET", `ledger?${query}`);
      assert.deepEqual([status, (json as Done).code], [400, code], query);
    }
    for (const form of [
      { states: "sent" },
      { states: ["intended"] },
      { states: ["waiting"] },
      { olderThanDays: -1 },
      { account: 7 },
      [],
    ].slice(0, 5))
      assert.equal((await purge(form)).status, 400, JSON.stringify(form));
  });

  it("text of strangers travels as JSON that no browser takes for a page", async () => {
    await put({ state: "failed", body: { text: "<script>alert(1)</script>", format: "plain" }, trail: [] });
    const [item] = (await list()).items;
    for (const path of ["ledger", `ledger/${item?.id}`, "ledger/%3Cscript%3E", "accounts"]) {
      const { headers } = await app.ask("GET", path);
      assert.match(headers.get("content-type") ?? "", /^application\/json/, path);
      assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    }
  });

  it("purging takes texts and paths, keeps ids that may come again, and never open or held ones", async () => {
    await connected();
    const event = messageEvent({ id: "scripted:acc:known" });
    await channel.gateway.inbox.accept(channel.definition, "acc", [event]);
    await channel.gateway.ledger.commit([channel.gateway.ledger.settleEvent(event.id, "let-go")]);
    const { id: held } = await hold();
    await put(
      { key: "sent", state: "sent", body: { text: "kept for a history" }, trail: [["sent", now]] },
      {
        key: "failed",
        state: "failed",
        body: { text: "not sent" },
        trail: [["failed", now, "channel-gone"]],
      },
      {
        key: "open",
        state: "intended",
        account: "gone",
        body: { text: "waits" },
        trail: [["intended", now]],
      },
      { key: "old", state: "sent", at: now - 9 * DAY_MS, trail: [["sent", now - 9 * DAY_MS]] },
    );
    assert.deepEqual(await purge({}), { ok: true, purged: 4, status: 200 });
    assert.deepEqual((await purge({})).purged, 0, "there is nothing left to purge");
    const rest = (await list()).items.map(({ key, state, text }) => [key, state, text]);
    assert.deepEqual(
      rest.filter(([key]) => ["sent", "failed", "open", "old"].includes(key as string)).sort(),
      [
        ["failed", "dismissed", ""],
        ["open", "intended", "waits"],
        ["sent", "sent", ""],
      ],
    );
    assert.equal((await look(held)).state, "unknown");
    // The platform delivers it once more.
    await channel.gateway.inbox.accept(channel.definition, "acc", [event]);
    assert.equal(channel.gateway.inbox.duplicates, 1);
    const row = await (await channel.gateway.store()).get("event", event.id);
    assert.equal(row?.expires, now + 8 * DAY_MS, "its id is kept for 8 days");
  });

  it("purges held ones when they are named, and only as old as wanted, of one account", async () => {
    await connected();
    await hold();
    assert.equal((await purge({ states: ["held"], olderThanDays: 1 })).purged, 0);
    assert.equal((await purge({ states: ["held"], account: "other" })).purged, 0);
    assert.equal((await purge({ states: ["held"], account: "acc" })).purged, 1);
    assert.equal(channel.gateway.outbox.counts("acc").held, 0);
  });

  it("purges thousands that were written in one moment", async () => {
    const many = (state: string) =>
      Array.from({ length: 1200 }, (_, index) => ({
        key: `${state}${index}`,
        state,
        body: { text: "x" },
        trail: [[state, now]] as const,
      }));
    await put(...many("sent"), ...many("failed"));
    assert.equal((await purge({})).purged, 2400);
    assert.equal((await list("?state=failed")).total, 0);
    assert.ok((await list("?state=sent&limit=200")).items.every(({ text }) => text === ""));
  });

  it("a response in several parts tells how far it came", async () => {
    await connected();
    let sends = 0;
    channel.onSend = () => {
      sends += 1;
      if (sends === 2) throw new ChannelError("interrupted", "cut off");
    };
    await assert.rejects(channel.send("First part of the text, long enough to be cut. ".repeat(3)));
    const [item] = (await list("?state=held")).items;
    assert.equal(item?.parts?.done, 1);
    assert.ok((item?.parts?.of ?? 0) >= 3);
  });

  it("accounts tell what waits and why", async () => {
    await connected();
    channel.gateway.accounts.get("acc")?.slowDown(60_000);
    channel.send("waits").catch(() => undefined);
    await until(() => channel.gateway.outbox.counts("acc").waiting === 1);
    const { json } = await app.ask("GET", "accounts");
    const [account] = json as Record<string, unknown>[];
    const { slowForMs, ...rest } = account ?? {};
    assert.ok(Number(slowForMs) > 50_000);
    assert.deepEqual(
      { ...rest, status: undefined },
      {
        id: "acc",
        channel: "scripted",
        name: "test",
        status: undefined,
        sent: 0,
        waiting: 1,
        held: 0,
        inboxWaiting: 0,
        breaker: { open: false },
      },
    );
  });
});
