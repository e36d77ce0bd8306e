import assert from "node:assert/strict";
import { ChannelError, type RedclawError } from "../../lib/errors";
import { Scripted, until } from "./scripted";

describe("outbox", () => {
  let channel: Scripted;
  beforeEach(() => {
    channel = new Scripted();
  });
  afterEach(() => channel.close());

  it("answers the platform's receipt", async () => {
    channel.open();
    const receipt = await channel.send("hi");
    assert.equal(receipt.messageId, "1");
    assert.deepEqual(receipt.messageIds, ["1"]);
    assert.equal(receipt.conversation, "c1");
    assert.ok(Date.parse(receipt.sentAt) > 0);
  });

  it("sends the same key once, and answers the same receipt, at once or later", async () => {
    channel.open();
    const [first, second] = await Promise.all([channel.send("hi", "c1", "k"), channel.send("hi", "c1", "k")]);
    const third = await channel.send("hi", "c1", "k");
    assert.deepEqual(second, first);
    assert.deepEqual(third, first);
    assert.equal(channel.sent.length, 1);
  });

  it("keeps the order inside a conversation, also when the first one is slow", async () => {
    channel.onSend = async ({ part }) => {
      if (part.kind === "text" && part.plain === "first")
        await new Promise((resolve) => setTimeout(resolve, 80));
    };
    channel.open();
    await Promise.all([channel.send("first"), channel.send("second"), channel.send("third")]);
    assert.deepEqual(channel.texts(), ["first", "second", "third"]);
  });

  it("lets other conversations pass a slow one", async () => {
    channel.onSend = async ({ to }) => {
      if (to.conversation === "slow") await new Promise((resolve) => setTimeout(resolve, 150));
    };
    channel.open();
    await Promise.all([channel.send("a", "slow"), channel.send("b", "quick")]);
    assert.deepEqual(channel.texts(), ["b", "a"]);
  });

  it("waits exactly as long as the platform asks, then sends once", async () => {
    let refused = 0;
    channel.onSend = () => {
      if (refused === 0) {
        refused = Date.now();
        throw new ChannelError("rate", "Too fast.", { retryAfterMs: 200 });
      }
    };
    channel.open();
    await channel.send("hi");
    assert.equal(channel.sent.length, 1);
    assert.ok((channel.sent[0]?.at ?? 0) - refused >= 199);
  });

  it("sends text again as plain when the platform refuses the formatting", async () => {
    channel.onSend = ({ part }) => {
      if (!part.unformatted) throw new ChannelError("formatting", "can't parse entities");
    };
    channel.open();
    await channel.send("**bold**");
    assert.deepEqual(channel.texts(), ["bold"]);
  });

  it("holds a message that may have arrived, and does not send it again by itself", async () => {
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      throw new ChannelError("interrupted", "cut off");
    };
    channel.open();
    await assert.rejects(channel.send("hi", "c1", "k"), { code: "held" });
    await assert.rejects(channel.send("hi", "c1", "k"), { code: "held" });
    assert.equal(calls, 1);
    const row = await (await channel.gateway.store()).get("response", "k");
    assert.equal(row?.state, "unknown");
  });

  it("sends a message that may have arrived again, when the account asks for it", async () => {
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      if (calls === 1) throw new ChannelError("interrupted", "cut off", { retryAfterMs: 10 });
    };
    channel.open({ onUnknown: "resend" });
    await channel.send("alarm");
    assert.equal(calls, 2);
  });

  it("tries again when the request never left", async () => {
    let calls = 0;
    channel.onSend = () => {
      calls += 1;
      if (calls < 3) throw new ChannelError("unreachable", "refused", { retryAfterMs: 5 });
    };
    channel.open();
    await channel.send("hi");
    assert.equal(channel.sent.length, 1);
  });

  it("goes on with the part where it stopped, not with the first", async () => {
    let failed = false;
    channel.onSend = () => {
      if (channel.sent.length === 1 && !failed) {
        failed = true;
        throw new ChannelError("unavailable", "503", { retryAfterMs: 5 });
      }
    };
    channel.open();
    const words = Array.from({ length: 20 }, (_, index) => `word${index}`).join(" ");
    const receipt = await channel.send(words);
    assert.equal(channel.texts().join(" "), words);
    assert.equal(receipt.messageIds.length, channel.sent.length);
  });

  it("tells why the platform said no, and goes on with the next message", async () => {
    channel.onSend = ({ part }) => {
      if (part.kind === "text" && part.plain === "bad")
        throw new ChannelError("gone", "The bot was blocked.");
    };
    channel.open();
    await assert.rejects(channel.send("bad"), /blocked/);
    await channel.send("good");
    assert.deepEqual(channel.texts(), ["good"]);
  });

  it("keeps messages while the token is refused and sends them with the new one", async () => {
    channel.onSend = () => {
      throw new ChannelError("auth", "Token refused.");
    };
    const account = channel.open();
    const refused = channel.send("waits").catch((error: RedclawError) => error.code);
    await until(() => account.status.state === "refused");
    assert.equal(channel.gateway.outbox.counts("acc").waiting, 1);
    await channel.gateway.closeAccount(account);
    assert.equal(await refused, "closing");
    channel.onSend = () => undefined;
    channel.open({ credentials: { token: "new" } });
    await until(() => channel.sent.length === 1);
    assert.deepEqual(channel.texts(), ["waits"]);
  });

  it("lets a request in flight finish when the account closes: nothing is lost or held", async () => {
    channel.onSend = () => new Promise((resolve) => setTimeout(resolve, 200));
    const account = channel.open();
    const sending = channel.send("hi", "c1", "k");
    await until(() => account.client !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await channel.gateway.closeAccount(account);
    await sending;
    assert.equal((await (await channel.gateway.store()).get("response", "k"))?.state, "sent");
  });

  it("keeps to the account's own limits", async () => {
    channel.open({ limits: { perChat: "20/s" } });
    await Promise.all(Array.from({ length: 25 }, (_, index) => channel.send(String(index))));
    const first = channel.sent[0]?.at ?? 0;
    const last = channel.sent.at(-1)?.at ?? 0;
    assert.ok(last - first >= 200, `25 messages in ${last - first} ms`);
  });

  it("reports a message to an account that is gone", async () => {
    await assert.rejects(channel.send("hi"), (error: RedclawError) => error.code === "account-missing");
  });
});

describe("outbox: a deploy between intent and sending", () => {
  it("an answer to an account that is just closed waits and goes out when it opens", async () => {
    const channel = new Scripted();
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await channel.gateway.closeAccount(account);
    await assert.rejects(channel.send("late", "c1", "k"), { code: "closing" });
    channel.open();
    await until(() => channel.sent.length === 1);
    assert.deepEqual(channel.texts(), ["late"]);
    const again = await channel.send("late", "c1", "k");
    assert.equal(again.messageId, "1");
    assert.equal(channel.sent.length, 1);
    await channel.close();
  });

  it("an answer to an account that was deleted says so", async () => {
    const channel = new Scripted();
    const account = channel.open();
    await account.ready(Date.now() + 1000);
    await channel.gateway.closeAccount(account, true);
    await assert.rejects(channel.send("late"), { code: "account-missing" });
    await channel.close();
  });
});
