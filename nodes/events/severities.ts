/** How bad news are; the form needs it, too, to tell that a choice lets nothing through. */
import type { News } from "../../lib/delivery/news";

/** From harmless to bad. */
export const SEVERITIES: readonly News["severity"][] = ["info", "warning", "error"];

/** Events that are not errors. */
const MILDER: Partial<Record<News["event"], News["severity"]>> = {
  connected: "info",
  "breaker-closed": "info",
  "store-well": "info",
  down: "warning",
  "breaker-open": "warning",
  held: "warning",
};

/** Does a choice of events let anything through that is at least as bad as `least`? */
export function letsThrough(events: readonly string[], least: string): boolean {
  const from = SEVERITIES.indexOf(least as News["severity"]);
  return (
    events.length === 0 ||
    events.some((event) => SEVERITIES.indexOf(MILDER[event as News["event"]] ?? "error") >= from)
  );
}
