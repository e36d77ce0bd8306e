import { Recent } from "../../lib/delivery/recent";
import type { ChatContext } from "../../lib/message/types";

/**
 * Counts the replies of one node to one event. The number is part of the idempotency key: when an event comes again
 * after a crash the count starts anew, the keys are the same, and what was sent is not sent again.
 */
const EVENTS_KEPT = 10_000;

export class Ordinals {
  readonly #counts = new Recent<number>(EVENTS_KEPT);

  next(eventId: string): number {
    const ordinal = this.#counts.get(eventId) ?? 0;
    this.#counts.set(eventId, ordinal + 1);
    return ordinal;
  }
}

/** One run of an event through the flow: the count starts anew when the event goes out again after a deploy, too. */
export function runOf(chat: ChatContext): string {
  const { eventId, redelivered } = chat;
  return redelivered ? `${eventId}#${redelivered}` : eventId;
}
