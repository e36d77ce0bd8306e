/** The form of `redclaw-events`: which events, of which accounts, and how bad they must be. */
import type { News } from "../../lib/delivery/news";
import type { EditorNode } from "../editor/red";
import { letsThrough } from "./severities";

/** What the forms of all node sets share; `nodes/editor/index.ts`. */
declare const Redclaw: { openForm(node: EditorNode): unknown };

interface EditorRed {
  nodes: { getType(type: string): unknown };
  utils: { getNodeLabel(node: EditorNode, otherwise: string): string };
}

/** In the order in which people meet them. */
const GROUPS: Record<string, readonly News["event"][]> = {
  connection: ["connected", "down", "refused", "conflict", "misconfigured", "same-bot", "crash-loop"],
  delivery: ["held", "dead-letter", "expired", "quarantined", "breaker-open", "breaker-closed"],
  storage: ["store-trouble", "store-well"],
};

/** The node whose form is open: what is ticked there counts already. */
let edited: EditorNode | undefined;

/** `oneditprepare`. */
function open(node: EditorNode): void {
  drawEvents(node);
  drawAccounts(node);
  edited = node;
  Redclaw.openForm(node);
  // What is ticked can make the severity wrong, or right.
  $("#redclaw-events").on("change", () => {
    document.getElementById("node-input-severity")?.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function drawEvents(node: EditorNode): void {
  const place = document.getElementById("redclaw-events");
  const chosen = listOf(node["events"]);
  for (const [group, events] of Object.entries(GROUPS)) {
    const box = document.createElement("div");
    box.setAttribute("role", "group");
    box.className = "redclaw-events-group";
    const title = document.createElement("div");
    title.className = "redclaw-events-title";
    title.id = `redclaw-events-${group}`;
    title.textContent = node._(`group.${group}`);
    box.setAttribute("aria-labelledby", title.id);
    const chips = document.createElement("div");
    chips.className = "redclaw-chips";
    chips.append(...events.map((event) => chip("redclaw-event", event, node._(`event.${event}`), chosen)));
    box.append(title, chips);
    place?.append(box);
  }
}

function drawAccounts(node: EditorNode): void {
  const place = document.getElementById("redclaw-events-accounts");
  const chosen = listOf(node["accounts"]);
  const accounts = accountNodes();
  const there = new Set(accounts.map(({ id }) => id));
  const known = accounts.map((account) =>
    chip("redclaw-events-account", account.id, labelOf(account), chosen),
  );
  // To be unticked: nothing is taken away without somebody seeing it.
  const gone = chosen
    .filter((id) => !there.has(id))
    .map((id) => chip("redclaw-events-account", id, node._("field.accounts.deleted"), chosen));
  for (const label of gone) label.classList.add("redclaw-wrong");
  place?.append(...known, ...gone);
  if (known.length + gone.length === 0) place?.append(node._("field.accounts.none"));
}

/** Config nodes that in- and out-nodes belong to, of all channels. */
function accountNodes(): EditorNode[] {
  const accounts: EditorNode[] = [];
  RED.nodes.eachConfig((config) => {
    const { getType } = (RED as unknown as EditorRed).nodes;
    if (config.type.startsWith("redclaw-") && getType(`${config.type}-in`)) accounts.push(config);
  });
  return accounts;
}

function labelOf(account: EditorNode): string {
  const channel = account.type.replace(/^redclaw-/, "");
  const label = (RED as unknown as EditorRed).utils.getNodeLabel(account, channel);
  return label.toLowerCase().includes(channel) ? label : `${label} (${channel})`;
}

function chip(name: string, value: string, text: string, chosen: string[]): HTMLLabelElement {
  const label = document.createElement("label");
  label.className = "redclaw-chip";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.name = name;
  box.value = value;
  box.checked = chosen.includes(value);
  label.append(box, ` ${text}`);
  return label;
}

/** `oneditsave`. */
function save(node: EditorNode): void {
  for (const [property, name] of [
    ["events", "redclaw-event"],
    ["accounts", "redclaw-events-account"],
  ] as const) {
    const ticked = tickedIn(name);
    // The order in which they were ticked is no change.
    const before = listOf(node[property]);
    if (before.length !== ticked.length || !ticked.every((value) => before.includes(value)))
      node[property] = ticked;
  }
  close();
}

/** `oneditcancel`. */
function close(): void {
  edited = undefined;
}

function tickedIn(name: string): string[] {
  const boxes = document.querySelectorAll<HTMLInputElement>(`input[name="${name}"]:checked`);
  return [...boxes].map(({ value }) => value);
}

function listOf(value: unknown): string[] {
  return [value].flat().flatMap((item) => (typeof item === "string" && item ? [item] : []));
}

function checkAccounts(node: EditorNode, value: unknown): true | string {
  return listOf(value).every((id) => RED.nodes.node(id)) ? true : node._("field.accounts.missing");
}

function checkSeverity(node: EditorNode, value: unknown): true | string {
  const events = edited === node ? tickedIn("redclaw-event") : listOf(node["events"]);
  return letsThrough(events, String(value)) ? true : node._("field.severity.nothing");
}

Object.assign(window, { RedclawEvents: { open, save, close, checkAccounts, checkSeverity } });
