/**
 * Every byte at which a connection can break, fresh or used before: what was done there is never called undone, and
 * nothing is sent twice.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { ChannelError } from "../../lib/errors";
import { createHttp, type Http } from "../../lib/http/client";
import { serveTcp, stopServers } from "./servers";

const JSON_BODY = '{"ok":true,"result":{"message_id":7}}';
const ANSWERS: Record<string, string> = {
  "with a length": `HTTP/1.1 200 OK\r\nContent-Length: ${JSON_BODY.length}\r\n\r\n${JSON_BODY}`,
  "in chunks": `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${JSON_BODY.length.toString(16)}\r\n${JSON_BODY}\r\n0\r\n\r\n`,
  "up to its end": `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${JSON_BODY}`,
};

type Cut = (socket: Socket) => void;
const CUTS: Record<string, Cut> = {
  closes: (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
};

/** A server that does what whole requests say, behind a line that breaks. */
async function world(answer: string) {
  const state = { executed: 0, requestLength: 0 };
  const server = await serveTcp((socket) => {
    let seen = "";
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      for (;;) {
        const head = seen.indexOf("\r\n\r\n");
        const length = /content-length: (\d+)/i.exec(seen)?.[1];
        const end = head + 4 + Number(length);
        if (head < 0 || seen.length < end) return;
        state.requestLength = end;
        seen = seen.slice(end);
        state.executed += 1;
        socket.write(answer);
        if (answer.includes("Connection: close")) socket.end();
      }
    });
  });
  /** After so many bytes of the question or of the answer the line breaks; `Infinity`: it holds. */
  const line = {
    question: Number.POSITIVE_INFINITY,
    answer: Number.POSITIVE_INFINITY,
    cut: CUTS["closes"] as Cut,
  };
  const proxy = await serveTcp((near) => {
    const far = connect(server.port, "127.0.0.1");
    far.on("error", () => {});
    near.on("close", () => far.destroy());
    far.on("close", () => line.answer === Number.POSITIVE_INFINITY && near.end());
    const pass = (to: Socket, side: "question" | "answer") => (chunk: Buffer) => {
      const left = line[side];
      line[side] -= chunk.length;
      if (left > chunk.length) return void to.write(chunk);
      to.write(chunk.subarray(0, left), () => {
        // What was let through shall arrive before the break does.
        setTimeout(() => line.cut(near), 1);
        if (side === "question") setTimeout(() => far.destroy(), 1);
      });
    };
    near.on("data", pass(far, "question"));
    far.on("data", pass(near, "answer"));
  });
  return { state, line, url: proxy.url };
}

describe("http connections that break", () => {
  let http: Http;
  beforeEach(() => {
    http = createHttp({ allowPrivate: true });
  });
  afterEach(async () => {
    await http.close();
    await stopServers();
  });

  /** What a caller learns: the fault, or that it was done. */
  async function outcome(url: string): Promise<string> {
    try {
      const answer = await http.request({ url: `${url}/send`, body: '{"text":"hi"}', timeoutMs: 5000 });
      return (answer.json() as { ok: boolean }).ok ? "done" : "?";
    } catch (error) {
      assert.ok(error instanceof ChannelError, String(error));
      return error.fault;
    }
  }

  for (const [how, cut] of Object.entries(CUTS)) {
    it(`the line ${how} at every byte of the question: never called undone once it had left`, async () => {
      const { state, line, url } = await world(ANSWERS["with a length"] as string);
      assert.equal(await outcome(url), "done");
      for (const used of [false, true]) {
        for (let at = 1; at < state.requestLength; at += 1) {
          if (!used) {
            await http.close();
            http = createHttp({ allowPrivate: true });
          } else if ((await outcome(url)) !== "done") assert.fail("the line does not recover");
          const before = state.executed;
          Object.assign(line, { question: at, answer: Number.POSITIVE_INFINITY, cut });
          const fault = await outcome(url);
          line.question = Number.POSITIVE_INFINITY;
          assert.deepEqual([fault, state.executed - before], ["interrupted", 0], `byte ${at}`);
        }
      }
    });

    for (const [kind, whole] of Object.entries(ANSWERS)) {
      it(`the line ${how} at every byte of an answer ${kind}: done once, and never called undone`, async () => {
        const { state, line, url } = await world(whole);
        const keeps = !whole.includes("close");
        for (const used of keeps ? [false, true] : [false]) {
          for (let at = 0; at < whole.length; at += 1) {
            if (!used) {
              await http.close();
              http = createHttp({ allowPrivate: true });
            } else if ((await outcome(url)) !== "done") assert.fail("the line does not recover");
            const before = state.executed;
            Object.assign(line, { question: Number.POSITIVE_INFINITY, answer: at, cut });
            const fault = await outcome(url);
            line.answer = Number.POSITIVE_INFINITY;
            assert.equal(state.executed - before, 1, `byte ${at}`);
            assert.equal(fault, "interrupted", `byte ${at}`);
          }
        }
        assert.equal(await outcome(url), "done");
      });
    }
  }
});
