/** Shows where an account is reached from outside (its webhook, its page), ready to be copied, and what is in the way. */
import type { Form } from "./form";
import type { EditorNode } from "./red";
import { word } from "./words";

/** What the gateway node says, saved or not. */
function gatewayNode(): EditorNode | undefined {
  let found: EditorNode | undefined;
  RED.nodes.eachConfig((node) => {
    if (node.type === "redclaw-gateway" && !node.d) found ??= node;
  });
  return found;
}

function publicUrl(): string {
  return gatewayNode()?.publicUrl?.trim().replace(/\/+$/, "") ?? "";
}

/** Where the editor was opened; webhooks with a port of their own are taken there. */
function thisOrigin(kind: "webhook" | "page", prefix: string): string {
  const port = String(gatewayNode()?.["webhookPort"] ?? "").trim();
  return kind === "webhook" && port ? `http://${location.hostname}:${port}` : location.origin + prefix;
}

/**
 * The public address of the gateway when one is set, else the address that this editor was opened with. `prefix` is
 * what a proxy puts in front of Node-RED's own paths.
 */
function accountAddress(kind: "webhook" | "page", channel: string, id: string, prefix = ""): string {
  const nodeRoot = (RED.settings.httpNodeRoot || "/").replace(/\/+$/, "");
  const base = publicUrl() || thisOrigin(kind, prefix);
  // A public address may name the prefix of Node-RED's own pages already.
  const root = nodeRoot && base.endsWith(nodeRoot) ? "" : nodeRoot;
  return `${base}${root}/redclaw/${channel}/${encodeURIComponent(id)}`;
}

/** Finds the prefix: what stands in the address bar before the path at which Node-RED serves its editor. */
function withPrefix(use: (prefix: string) => void): void {
  $.ajax({ url: "redclaw/api/roots", dataType: "json", timeout: 5000 }).then(
    (answer) => {
      const { adminRoot } = answer as { adminRoot: string };
      const seen = location.pathname.replace(/\/[^/]*$/, "");
      if (seen.endsWith(adminRoot) && seen !== adminRoot) use(seen.slice(0, seen.length - adminRoot.length));
    },
    () => {},
  );
}

export function showAddress(form: Form, channel: string, id: string): void {
  for (const row of form.element.querySelectorAll<HTMLElement>("[data-redclaw=address]")) {
    const input = row.querySelector("input");
    const copy = row.querySelector<HTMLButtonElement>("[data-redclaw=copy]");
    const open = row.querySelector<HTMLAnchorElement>("[data-redclaw=open]");
    if (!input || !copy) continue;
    const show = (prefix?: string) => {
      input.value = accountAddress(open ? "page" : "webhook", channel, id, prefix) + (open ? "/" : "");
      if (open) open.href = input.value;
    };
    show();
    withPrefix(show);
    if (!open) showWarnings(form, row, id);
    input.addEventListener("focus", () => input.select());
    copy.addEventListener("click", () => {
      const label = copy.textContent;
      input.select();
      // The clipboard API is missing on plain http; then the old command does it.
      const copied = navigator.clipboard ? navigator.clipboard.writeText(input.value) : Promise.reject();
      copied.catch(() => document.execCommand("copy"));
      copy.textContent = word("form.copied");
      copy.disabled = true;
      setTimeout(() => {
        copy.textContent = label;
        copy.disabled = false;
      }, 2000);
    });
  }
}

/** Below the webhook address: why a platform could not call it. The running Node-RED knows more than the settings. */
function showWarnings(form: Form, row: HTMLElement, id: string): void {
  const list = document.createElement("ul");
  list.className = "redclaw-warnings";
  list.setAttribute("role", "status");
  row.append(list);
  let found: string[] = [];
  const show = () => {
    list.replaceChildren(
      ...[...addressWarnings(String(form.value("apiRoot") ?? "").trim() !== ""), ...found].map((html) => {
        const item = document.createElement("li");
        item.innerHTML = html;
        return item;
      }),
    );
  };
  show();
  form.element.addEventListener("input", show);
  $.ajax({
    url: `redclaw/api/accounts/${encodeURIComponent(id)}/webhook`,
    dataType: "json",
    timeout: 5000,
  }).then(
    (answer) => {
      found = (answer as { warnings: string[] }).warnings.map(escaped);
      show();
    },
    () => {},
  );
}

/** @param own the platform's server is the owner's and may stand in the same network */
function addressWarnings(own: boolean): string[] {
  const address = publicUrl();
  const say = (key: string, values?: Record<string, unknown>) =>
    RED.utils.renderMarkdown(word(`form.webhook.${key}`, values));
  if (!address) return [say("noAddress")];
  if (own || !URL.canParse(address)) return [];
  const { protocol, hostname } = new URL(address);
  if (isInside(hostname)) return [say("inside", { host: escaped(hostname) })];
  return protocol === "http:" ? [say("http")] : [];
}

/** Names without a dot, names of home networks, and the private ranges of IPv4. */
function isInside(hostname: string): boolean {
  return (
    !/[.:]/.test(hostname) ||
    /\.(local|lan|home|internal|localhost)$/.test(hostname) ||
    /^(127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.)[\d.]+$/.test(hostname) ||
    /^\[(::1|f[cde])/.test(hostname)
  );
}

function escaped(text: string): string {
  const span = document.createElement("span");
  span.textContent = text;
  return span.innerHTML;
}
