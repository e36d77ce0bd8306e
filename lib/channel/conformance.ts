/**
 * The conformance suite: what every channel must hold, ours and those of other packages. It runs the channel's real
 * client under a real gateway against a platform server, and replays recorded updates through its parser.
 */
import assert from "node:assert/strict";
import { Gateway } from "../gateway";
import { checkEvent } from "../message/check";
import type { EventKind, MessageEvent, Response } from "../message/types";
import type { Account, AccountConfig } from "./account";
import type { ChannelDefinition, Client, Destination, MessagePart } from "./define";

/** A channel, and a server that speaks its platform's protocol. */
export interface ConformanceSubject {
  definition: ChannelDefinition;
  /** Recorded updates and the kinds of event they become. */
  updates: { name: string; update: unknown; kinds: EventKind[] }[];
  /** Recorded updates of the bot's own messages. */
  own: unknown[];
  /** A chat that the platform server knows. */
  destination(): Destination;
  /**
   * Starts the platform; settings that lead the account to it. `client` is for channels that serve pages: the
   * client that answers now.
   */
  start(
    client: () => Client | undefined,
  ): Promise<Pick<AccountConfig, "credentials" | "options" | "apiRoot">>;
  stop(): Promise<void>;
  /** Called when the account is connected, before anything is written or sent. */
  arrive?(): Promise<void>;
  /** Plain texts that arrived at `destination`, in order. */
  delivered(): string[] | Promise<string[]>;
  /** Something a person writes to the bot now: it must come in as an event with this text. */
  write(text: string): void | Promise<void>;
  /** Makes the platform unreachable, then reachable again; left out where there is no connection to lose. */
  drop?(): Promise<void>;
  /** Makes the platform refuse the credential; left out where there is none. */
  revoke?(): void | Promise<void>;
}

/** Declares the suite with the test runner's own `describe` and `it` (mocha, vitest, node:test). */
export function channelConformance(
  subject: ConformanceSubject,
  {
    describe,
    it,
  }: {
    describe: (name: string, body: () => void) => void;
    it: (name: string, body: () => Promise<void>) => void;
  },
): void {
  const { definition } = subject;

  describe(`channel ${definition.name}: conformance`, () => {
    it("says what it is: label, icon, help for every credential", async () => {
      assert.match(definition.icon, /^[a-z0-9-]+\.svg$/);
      assert.ok(definition.label.length > 0);
      for (const [field, { label, help }] of Object.entries(definition.credentials)) {
        assert.ok(label && help, `${field} needs a label and a help text`);
      }
      for (const [field, { choices, default: standard }] of Object.entries(definition.options)) {
        const values = choices?.map((choice) => (typeof choice === "string" ? choice : choice.value));
        assert.ok(
          !values || values.includes(String(standard)),
          `${field}: the default is not one of the choices`,
        );
      }
    });

    it("has exactly the methods that its capabilities promise", () =>
      withAccount(subject, async ({ client }) => {
        const { capabilities: can } = definition;
        const pairs: [boolean, keyof Client][] = [
          [can.edit, "edit"],
          [can.delete, "remove"],
          [can.reactions, "react"],
          [can.typing, "typing"],
          [can.idempotency === "lookup", "lookup"],
        ];
        for (const [promised, method] of pairs) {
          assert.equal(typeof client[method] === "function", promised, `${method} and its capability differ`);
        }
      }));

    for (const { name, update, kinds } of subject.updates) {
      it(`parses ${name} into valid, plain, repeatable events`, () =>
        withAccount(subject, async ({ client, account }) => {
          const events = client.receive(structuredClone(update));
          assert.deepEqual(
            events.map(({ kind }) => kind),
            kinds,
          );
          for (const event of events) {
            checkEvent(event);
            assert.deepEqual(JSON.parse(JSON.stringify(event)), event);
            assert.deepEqual(structuredClone(event), event);
            assert.ok(event.id.startsWith(`${definition.name}:${account.id}:`), `id ${event.id}`);
            assert.ok(definition.events.includes(event.kind), `${event.kind} is not in definition.events`);
            assert.ok(!Number.isNaN(Date.parse(event.timestamp)));
          }
          assert.deepEqual(timeless(client.receive(structuredClone(update))), timeless(events));
        }));
    }

    it("ignores what it does not know, and what it wrote itself", () =>
      withAccount(subject, async ({ client }) => {
        for (const nonsense of [
          undefined,
          null,
          7,
          "x",
          [],
          {},
          { update_id: "x", __proto__: null },
          { a: { b: [[]] } },
        ]) {
          assert.deepEqual(client.receive(nonsense), []);
        }
        for (const update of subject.own) assert.deepEqual(client.receive(structuredClone(update)), []);
      }));

    it("takes an event in once, however often the platform delivers it", () =>
      withAccount(subject, async ({ gateway, account }) => {
        const seen: MessageEvent[] = [];
        gateway.inbox.listen(account.id, (event) => seen.push(event));
        const first = subject.updates.find(({ kinds }) => kinds.length === 1);
        assert.ok(first, "one update with one event is needed");
        for (let again = 0; again < 3; again += 1) await account.accept(structuredClone(first.update));
        assert.equal(seen.length, 1);
      }));

    it("delivers text of any length in parts that the platform accepts, in order and complete", () =>
      withAccount(subject, async ({ send, client }) => {
        const words = Array.from(
          { length: Math.ceil((definition.capabilities.text.max * 2.5) / 8) },
          (_, n) => `word${n}`,
        );
        const receipt = await send({ text: words.join(" ") });
        assert.ok(receipt.messageId);
        const delivered = await subject.delivered();
        assert.ok(delivered.length > 1);
        assert.equal(delivered.join(" ").replace(/\s+/g, " ").trim(), words.join(" "));
        assert.ok(client);
      }));

    if (definition.capabilities.idempotency === "key") {
      it("shows a message once that is sent twice with the same key", () =>
        withAccount(subject, async ({ client }) => {
          const part: MessagePart = { kind: "text", text: "only once", plain: "only once" };
          const options = { key: "conformance/same#0", signal: new AbortController().signal };
          const first = await client.send(part, subject.destination(), options);
          assert.deepEqual(await client.send(part, subject.destination(), options), first);
          assert.deepEqual(await subject.delivered(), ["only once"]);
        }));
    }

    it("shows markdown, nasty text and plain text without losing a character", () =>
      withAccount(subject, async ({ send }) => {
        await send({ text: "**bold** `a < b && c > d` [link](https://example.org/?a=1&b=2)" });
        await send({ text: "<script>alert(1)</script> & *not closed _either", format: "plain" });
        const delivered = (await subject.delivered()).join("\n");
        for (const piece of [
          "bold",
          "a < b && c > d",
          "link",
          "<script>alert(1)</script> & *not closed _either",
        ]) {
          assert.ok(delivered.includes(piece), `${piece} is not in ${delivered}`);
        }
      }));

    it("keeps what a person writes in order", () =>
      withAccount(subject, async ({ gateway, account }) => {
        const seen: string[] = [];
        gateway.inbox.listen(account.id, (event) => seen.push(event.text));
        for (const text of ["one", "two", "three"]) await subject.write(text);
        await until(() => seen.length === 3);
        assert.deepEqual(seen, ["one", "two", "three"]);
      }));

    it("closes in under 2 s and leaves no timer or socket behind", async () => {
      await withAccount(subject, async () => undefined);
      const before = resources();
      let took = 0;
      await withAccount(subject, async ({ gateway, account }) => {
        const start = Date.now();
        await gateway.closeAccount(account);
        took = Date.now() - start;
      });
      assert.ok(took < 2000, `took ${took} ms`);
      await until(
        () => resources() <= before,
        () => `${process.getActiveResourcesInfo()} (before: ${before})`,
      );
    });

    if (subject.drop) {
      it("comes back by itself when the platform was away", () =>
        withAccount(subject, async ({ gateway, account }) => {
          await subject.drop?.();
          const seen: string[] = [];
          gateway.inbox.listen(account.id, (event) => seen.push(event.text));
          await subject.write("after the drop");
          await until(
            () => seen.includes("after the drop"),
            () => JSON.stringify(account.status),
          );
        }));
    }

    if (subject.revoke) {
      it("says that the credential was refused, without showing it", () =>
        withAccount(subject, async ({ account, logged }) => {
          await subject.revoke?.();
          await until(
            () => account.status.state === "refused",
            () => JSON.stringify(account.status),
          );
          const said = JSON.stringify(account.status) + logged.join("\n");
          for (const secret of Object.values(account.settings.credentials)) {
            assert.ok(!secret || !said.includes(secret), "a secret is in the status or the log");
          }
        }));
    }
  });
}

interface Running {
  gateway: Gateway;
  account: Account;
  client: Client;
  logged: string[];
  send(response: Response): Promise<{ messageId: string }>;
}

async function withAccount(
  subject: ConformanceSubject,
  work: (running: Running) => Promise<void>,
): Promise<void> {
  const settings = await subject.start(() => gateway.accounts.get("acc1")?.client);
  const logged: string[] = [];
  const note = (text: string) => void logged.push(text);
  const log = { debug: note, info: note, warn: note, error: note };
  const gateway = new Gateway({ log });
  const account = gateway.openAccount(
    subject.definition,
    { id: "acc1", name: "conformance", limits: {}, ...settings },
    log,
  );
  let sent = 0;
  try {
    account.start();
    await until(
      () => account.client !== undefined,
      () => `${JSON.stringify(account.status)} ${logged.join("\n")}`,
    );
    await subject.arrive?.();
    await work({
      gateway,
      account,
      client: account.client as Client,
      logged,
      send: (response) => {
        sent += 1;
        return gateway.send({
          key: `conformance/${sent}`,
          account: account.id,
          to: subject.destination(),
          response,
        });
      },
    });
  } finally {
    await gateway.closeAccount(account);
    await gateway.close();
    await subject.stop();
  }
}

/** Where the platform gives no time (a Telegram button), ours stands in the event, and differs. */
function timeless(events: MessageEvent[]): object[] {
  return events.map(({ timestamp: _ours, ...rest }) => rest);
}

/** Timers and sockets that keep the process alive (pipes of the test runner are not ours). */
function resources(): number {
  return process.getActiveResourcesInfo().filter((kind) => /Timeout|TCP|TLS|Http/i.test(kind)).length;
}

async function until(condition: () => boolean, explain: () => string = () => ""): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) assert.fail(`did not happen within 10 s. ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
