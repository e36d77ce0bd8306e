/** The ledger in the admin API: what became of every message, and what a person wants done about it. */
import type { RequestHandler, Router } from "express";
import { RedclawError } from "../errors";
import type { Gateway } from "../gateway";
import type { Row } from "../store/store";
import { answeringStrictly as answering, checkJson, formOf, Refusal } from "./answer";
import { findRow } from "./ledger-ids";
import { isStopped, itemOf, kindOf, pathOf } from "./ledger-item";
import { listMessages } from "./ledger-list";
import { dismiss, purge } from "./purge";

const ROOT = "/redclaw/api/ledger";

export function installLedger(
  gateway: Gateway,
  httpAdmin: Pick<Router, "get" | "post">,
  { read, write }: { read: RequestHandler; write: RequestHandler },
): void {
  httpAdmin.get(
    ROOT,
    read,
    answering(async ({ query }) => listMessages(gateway, query)),
  );
  httpAdmin.get(
    `${ROOT}/:id`,
    read,
    answering(async ({ params }) => {
      const row = await rowOf(gateway, params["id"]);
      const body = row.body === undefined ? {} : { body: row.body };
      return { ...itemOf(gateway, row), ...body, path: pathOf(row) };
    }),
  );
  httpAdmin.post(
    `${ROOT}/purge`,
    write,
    answering(async (request) => ({ ok: true, purged: await purge(gateway, formOf(request)) })),
  );
  httpAdmin.post(
    `${ROOT}/:id/resend`,
    write,
    answering(async (request) => {
      checkJson(request);
      return resend(gateway, await rowOf(gateway, request.params["id"]));
    }),
  );
  httpAdmin.post(
    `${ROOT}/:id/dismiss`,
    write,
    answering(async (request) => {
      checkJson(request);
      const row = await rowOf(gateway, request.params["id"]);
      checkStopped(row, "dismissed");
      const state = await conflicting(dismiss(gateway, row));
      if (state === undefined) throw changed();
      return { ok: true, state };
    }),
  );
}

async function rowOf(gateway: Gateway, id: unknown): Promise<Row> {
  const row = await findRow(await gateway.store(), String(id));
  // Other spaces of the store are nobody's messages.
  if (row) return row;
  throw new Refusal(
    404,
    "no-such-message",
    "This message is not in the ledger any more. Load the list again.",
  );
}

async function resend(gateway: Gateway, row: Row): Promise<{ ok: true; state: string }> {
  checkStopped(row, "sent again");
  const account = gateway.accounts.get(row.account ?? "");
  if (!account) {
    throw new Refusal(
      409,
      "account-missing",
      "The account of this message is not there any more. Put it back and deploy, then send the message again - or dismiss it.",
    );
  }
  if (row.body === undefined) {
    throw new Refusal(
      409,
      "unreadable",
      "The text of this message cannot be read any more, so it cannot be sent again.",
    );
  }
  if (kindOf(row) === "event") {
    if (!(await gateway.inbox.sendAgain(account.definition, account.id, row.key))) throw changed();
    return { ok: true, state: "accepted" };
  }
  await conflicting(gateway.outbox.resend(account, row.key));
  return { ok: true, state: "intended" };
}

function checkStopped(row: Row, what: string): void {
  if (isStopped(row)) return;
  const which = kindOf(row) === "event" ? "quarantined or expired" : "held, failed or expired";
  throw new Refusal(
    409,
    "wrong-state",
    `This message is "${row.state}" by now. Only one that is ${which} can be ${what}. Load the list again.`,
  );
}

/** Somebody else was quicker. */
function changed(): Refusal {
  return new Refusal(
    409,
    "not-there",
    "This message was sent again, dismissed or purged meanwhile. Load the list again.",
  );
}

/** What the engine refuses because of the message's state is a conflict, too. */
async function conflicting<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    if (thrown instanceof RedclawError && thrown.code === "not-there") throw changed();
    throw thrown;
  }
}
