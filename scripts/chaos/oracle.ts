/**
 * Judges a run by what the world outside saw (I1-I7 of the fault matrix). The product's own ledger is asked for one
 * thing only: whether a message that was not answered can be seen there, and why.
 */

import type { Ledger } from "./ledger";
import type { Asked, Delivered, Side } from "./side";

export interface Verdict {
  asked: number;
  acknowledged: number;
  answered: number;
  /** Not answered, and to be seen in the ledger as "may not have been delivered". */
  held: number;
  /** Not answered, and to be seen in the ledger as failed or expired. */
  failed: number;
  /** Not answered, and to be seen in the ledger as given up before there was an answer. */
  quarantined: number;
  /** Those, with what the ledger says. */
  givenUp: string[];
  /** I1: acknowledged, not answered, and nowhere to be seen. */
  lost: string[];
  /** Never acknowledged, although there was time. */
  stuck: string[];
  /** I1: rows that are neither done nor waiting for a person. */
  unsettled: string[];
  /** I2: answers above the first, by what was promised. */
  doubled: { key: string[]; hold: string[]; resend: string[] };
  /** I3: answers that came before the answer to an earlier message of the same conversation. */
  inversions: string[];
  /** I4: answers to nobody's message, or in another conversation than the message. */
  strayed: string[];
  /** I6: what SQLite's integrity_check said, unless "ok". */
  damage: string;
  /** Rows in state "unknown", also those whose answer did arrive, by account. */
  heldRows: Record<string, number>;
}

export function judge(sides: readonly Side[], ledger?: Ledger): Verdict {
  const verdict: Verdict = {
    asked: 0,
    acknowledged: 0,
    answered: 0,
    held: 0,
    failed: 0,
    quarantined: 0,
    givenUp: [],
    lost: [],
    stuck: [],
    unsettled: [],
    doubled: { key: [], hold: [], resend: [] },
    inversions: [],
    strayed: [],
    damage: ledger?.damage ?? "",
    heldRows: ledger?.heldRows ?? {},
  };
  for (const side of sides) judgeSide(side, verdict, ledger);
  for (const { eventId, what } of ledger?.unsettled ?? [])
    verdict.unsettled.push(`${eventId} ${what} (ledger: ${ledger?.describe(eventId)})`);
  return verdict;
}

function judgeSide(side: Side, verdict: Verdict, ledger?: Ledger): void {
  const asked = side.asked();
  const byId = new Map(asked.map((message, index) => [message.id, { message, index }]));
  const answers = new Map<string, Delivered[]>();
  for (const answer of side.delivered()) {
    const found = byId.get(answer.id);
    if (!found || found.message.conversation !== answer.conversation)
      verdict.strayed.push(`${side.account} ${answer.id} in ${answer.conversation}`);
    answers.set(answer.id, [...(answers.get(answer.id) ?? []), answer]);
  }
  verdict.asked += asked.length;
  for (const message of asked) {
    if (message.acknowledged) verdict.acknowledged += 1;
    const got = answers.get(message.id) ?? [];
    const name = `${side.account} ${message.id} of ${message.conversation}`;
    if (got.length > 1) for (const _ of got.slice(1)) verdict.doubled[side.promised].push(name);
    if (got.length > 0) verdict.answered += 1;
    else judgeSilence(message, name, verdict, ledger);
  }
  verdict.inversions.push(...inversionsOf(side.account, byId, answers, side.delivered()));
}

function judgeSilence(message: Asked, name: string, verdict: Verdict, ledger?: Ledger): void {
  if (!message.acknowledged) {
    verdict.stuck.push(name);
    return;
  }
  const seen = message.eventId === undefined ? undefined : ledger?.seen(message.eventId);
  if (seen !== undefined) {
    verdict[seen] += 1;
    if (seen !== "held") verdict.givenUp.push(`${name} (ledger: ${ledger?.describe(message.eventId ?? "")})`);
  } else verdict.lost.push(`${name} (ledger: ${ledger?.describe(message.eventId ?? "") ?? "not asked"})`);
}

/** Looks at first deliveries only: a doubled answer is late by its nature. */
function inversionsOf(
  account: string,
  byId: Map<string, { message: Asked; index: number }>,
  answers: Map<string, Delivered[]>,
  delivered: readonly Delivered[],
): string[] {
  const found: string[] = [];
  const latest = new Map<string, { index: number; id: string }>();
  for (const answer of delivered) {
    const asked = byId.get(answer.id);
    if (!asked || answers.get(answer.id)?.[0] !== answer) continue;
    const before = latest.get(answer.conversation);
    if (before && before.index > asked.index)
      found.push(`${account} ${answer.id} after ${before.id} in ${answer.conversation}`);
    else latest.set(answer.conversation, { index: asked.index, id: answer.id });
  }
  return found;
}

export interface Bounds {
  kills: number;
  /** Accounts that resend / hold; at most eight sends of each are in flight at a kill. */
  resending: number;
  holding: number;
  /** Answers that may be given up. */
  failed?: number;
  /** Messages that may be given up: they were in the flow at more than three crashes, or are too old. */
  quarantined?: number;
}

/** Sends in flight of one class C account. */
export const IN_FLIGHT = 8;

/** What the promises do not allow; empty when all of them were kept. */
export function broken(verdict: Verdict, bounds: Bounds = { kills: 0, resending: 0, holding: 0 }): string[] {
  const some = (list: readonly string[]) =>
    `${list.slice(0, 8).join("; ")}${list.length > 8 ? ` and ${list.length - 8} more` : ""}`;
  const wrong: string[] = [];
  const none = (what: string, list: readonly string[]) => {
    if (list.length > 0) wrong.push(`${list.length} ${what}: ${some(list)}`);
  };
  none("acknowledged and lost", verdict.lost);
  none("never acknowledged", verdict.stuck);
  none("neither done nor waiting for a person", verdict.unsettled);
  none("answered twice although the platform takes a key", verdict.doubled.key);
  none("answered twice although the account holds", verdict.doubled.hold);
  none("out of order", verdict.inversions);
  none("in the wrong place", verdict.strayed);
  const { resend } = verdict.doubled;
  if (resend.length > IN_FLIGHT * bounds.kills * bounds.resending)
    wrong.push(`${resend.length} answered twice in ${bounds.kills} kills: ${some(resend)}`);
  for (const how of ["failed", "quarantined"] as const)
    if (verdict[how] > (bounds[how] ?? 0))
      wrong.push(
        `${verdict[how]} ${how} although nothing was wrong with the platform: ${some(verdict.givenUp)}`,
      );
  const held = Object.values(verdict.heldRows).reduce((sum, count) => sum + count, 0);
  if (held > IN_FLIGHT * bounds.kills * bounds.holding)
    wrong.push(`${held} held in ${bounds.kills} kills, although ${IN_FLIGHT} are in flight at most`);
  if (verdict.damage !== "") wrong.push(`the database is damaged: ${verdict.damage}`);
  return wrong;
}
