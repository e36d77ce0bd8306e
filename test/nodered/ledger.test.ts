/** The ledger API in a real Node-RED with a real platform server: what a person does with a held message. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";
import { Gateway } from "../../lib/gateway";
import type { LedgerItem, LedgerStep } from "../../lib/ops/ledger-item";
import { sqliteStore } from "../../lib/store/sqlite";
import { adminRoutes } from "../ops/admin-app";
import { TelegramServer } from "../platforms/telegram";
import { type Runtime, startNodeRed } from "./runtime";

interface List {
  total: number;
  items: LedgerItem[];
}
type Whole = LedgerItem & { path: LedgerStep[]; body?: { text?: string } };

const POISON = "telegram:tg:7";

async function until(condition: () => boolean | Promise<boolean>, explain: () => string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`did not happen in 20 s. ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** telegram in -> reply: an echo, kept in SQLite. */
function flow(server: TelegramServer): Record<string, unknown>[] {
  const place = { z: "tab", x: 100, y: 100 };
  return [
    { id: "tab", type: "tab", label: "Test" },
    { id: "gw", type: "redclaw-gateway", store: "sqlite" },
    {
      id: "tg",
      type: "redclaw-telegram",
      name: "bot",
      apiRoot: server.url,
      limits: "{}",
      credentials: { token: server.token },
    },
    { ...place, id: "in", type: "redclaw-telegram-in", account: "tg", wires: [["text"]] },
    {
      ...place,
      id: "text",
      type: "change",
      rules: [{ t: "set", p: "payload", pt: "msg", to: "payload.text", tot: "msg" }],
      wires: [["reply"]],
    },
    { ...place, id: "reply", type: "redclaw-reply", wires: [[]] },
  ];
}

/** An event that was on the wires at each of three crashes, and a history of what was sent long ago. */
async function earlier(userDir: string): Promise<void> {
  const store = await sqliteStore({ path: path.join(userDir, "redclaw", "gateway.db") });
  const now = Date.now();
  const event = {
    v: 1,
    id: POISON,
    kind: "message",
    channel: "telegram",
    account: "tg",
    conversation: { id: "99", kind: "direct" },
    sender: { id: "99", name: "Eve", isBot: false },
    text: "poison",
    mentionsMe: false,
    attachments: [],
    messageId: "7",
    timestamp: new Date(now).toISOString(),
    trusted: false,
  };
  const of = { account: "tg", conversation: "99" };
  await store.commit([
    {
      put: {
        ...of,
        space: "event",
        key: POISON,
        value: { n: 3, c: 3 },
        body: event,
        state: "emitted",
        at: now - 1000,
        trail: [["emitted", now - 1000]],
      },
    },
    ...Array.from({ length: 100 }, (_, index) => ({
      put: {
        ...of,
        account: "another",
        space: "response",
        key: `old${index}`,
        value: { to: { conversation: "99" }, done: 1, ids: [String(index)] },
        state: "sent",
        at: now - 60_000 - index,
        expires: now + 3_600_000,
        trail: [["sent", now]] as const,
      },
    })),
  ]);
  await store.close();
}

describe("the ledger API in a real Node-RED", function () {
  this.timeout(60_000);
  let server: TelegramServer;
  let runtime: Runtime;

  before(async () => {
    server = await new TelegramServer().start();
    runtime = await startNodeRed();
    await earlier(runtime.userDir);
    await runtime.deploy(flow(server) as never);
  });
  after(async () => {
    await runtime?.stop();
    await server?.stop();
  });

  const list = (query: string) => runtime.get<List>(`redclaw/api/ledger?${query}`);
  const look = (id: string) => runtime.get<Whole>(`redclaw/api/ledger/${id}`);
  const held = async (text: string): Promise<LedgerItem> => {
    server.fail("sendMessage", { kind: "drop-after" });
    server.say(text);
    let items: LedgerItem[] = [];
    await until(async () => {
      ({ items } = await list("state=held"));
      return items.length === 1;
    }, runtime.logs);
    return items[0] as LedgerItem;
  };
  const arrived = (text: string) => server.sent.filter((message) => message.text === text).length;

  it("an event that was in the flow at each crash is listed, and goes into the flow again when somebody says so", async () => {
    await until(async () => (await list("state=quarantined")).total === 1, runtime.logs);
    const [item] = (await list("state=quarantined")).items;
    assert.deepEqual(
      [item?.kind, item?.key, item?.text, item?.channel],
      ["event", POISON, "poison", "telegram"],
    );
    assert.match(item?.reason ?? "", /crashed/);
    assert.equal(arrived("poison"), 0);
    const answer = await runtime.post<{ ok: boolean }>(`redclaw/api/ledger/${item?.id}/resend`, {});
    assert.equal(answer.ok, true);
    await until(() => arrived("poison") === 1, runtime.logs);
    await until(async () => (await look(item?.id ?? "")).state === "settled", runtime.logs);
  });

  it("a held message shows its path, is sent again, and arrives once more and not twice", async () => {
    const item = await held("first");
    assert.equal(item.text, "first");
    const { path: steps, body } = await look(item.id);
    assert.deepEqual(
      steps.map(({ state }) => state),
      ["intended", "sending", "unknown"],
    );
    for (const { at } of steps) assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000, at);
    assert.match(steps[2]?.reason ?? "", /may not have been delivered/);
    assert.equal(body?.text, "first");
    const [account] = await runtime.get<{ held: number }[]>("redclaw/api/accounts");
    assert.equal(account?.held, 1);
    const before = arrived("first");
    await runtime.post(`redclaw/api/ledger/${item.id}/resend`, {});
    await until(async () => (await look(item.id)).state === "sent", runtime.logs);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(arrived("first"), before + 1);
    await assert.rejects(runtime.post(`redclaw/api/ledger/${item.id}/resend`, {}), /409/);
  });

  it("a held message that is dismissed leaves the list, and its text is wiped", async () => {
    const item = await held("second");
    await runtime.post(`redclaw/api/ledger/${item.id}/dismiss`, {});
    assert.equal((await list("state=held")).total, 0);
    const { state, body, text } = await look(item.id);
    assert.deepEqual([state, body, text], ["dismissed", undefined, ""]);
    const [account] = await runtime.get<{ held: number }[]>("redclaw/api/accounts");
    assert.equal(account?.held, 0);
  });

  it("pages through a hundred", async () => {
    const seen = new Set<string>();
    for (let offset = 0; offset < 100; offset += 40) {
      const { total, items } = await list(`account=another&limit=40&offset=${offset}`);
      assert.equal(total, 100);
      for (const { key } of items) seen.add(key);
    }
    assert.equal(seen.size, 100);
    assert.ok((await list("")).total > 100);
  });

  it("purges on demand, and an id in an address may be the message's own", async () => {
    const answer = await runtime.post<{ purged: number }>("redclaw/api/ledger/purge", { account: "another" });
    assert.equal(answer.purged, 100);
    assert.equal((await look(encodeURIComponent(POISON))).key, POISON);
  });
});

describe("the admin API for somebody without the right to", function () {
  this.timeout(60_000);
  let runtime: Runtime;
  let reader: string;
  const owner = { username: "owner", password: "long-enough" };
  const looker = { username: "looker", password: "only-looking" };

  before(async () => {
    const { hashSync } = createRequire(require.resolve("node-red"))("bcryptjs") as {
      hashSync(text: string, rounds: number): string;
    };
    const user = ({ username, password }: typeof owner, permissions: string) => ({
      username,
      password: hashSync(password, 4),
      permissions,
    });
    runtime = await startNodeRed({
      adminAuth: owner,
      settings: { adminAuth: { type: "credentials", users: [user(owner, "*"), user(looker, "read")] } },
    });
    const form = { client_id: "node-red-admin", grant_type: "password", scope: "read", ...looker };
    const { access_token } = await runtime.post<{ access_token: string }>("auth/token", form);
    reader = access_token;
  });
  after(async () => {
    await runtime?.stop();
  });

  /** From the code itself: a route that forgets to ask fails here, whoever adds it. */
  async function routes() {
    const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const gateway = new Gateway({ log });
    const found = adminRoutes(gateway);
    await gateway.close();
    return found.map(({ method, path: at }) => ({
      method,
      url: runtime.adminUrl + at.replace(/:\w+/g, "x"),
    }));
  }

  it("no route answers without a login", async () => {
    for (const { method, url } of await routes()) {
      const { status } = await fetch(url, { method });
      assert.equal(status, 401, `${method} ${url}`);
    }
  });

  it("who may only look may look, and change nothing", async () => {
    for (const { method, url } of await routes()) {
      const { status } = await fetch(url, { method, headers: { authorization: `Bearer ${reader}` } });
      if (method === "GET") assert.ok(status === 200 || status === 404, `${status} ${url}`);
      // Node-RED says 401 to somebody it knows, too.
      else assert.ok(status === 401 || status === 403, `${status} ${method} ${url}`);
    }
  });
});
