/** Shows where an account is reached from outside (its webhook, its page), ready to be copied. */
import type { Form } from "./form";
import { word } from "./words";

/**
 * The public address of the gateway when one is set, else the address that this editor was opened with. `prefix` is
 * what a proxy puts in front of Node-RED's own paths.
 */
function accountAddress(channel: string, id: string, prefix = ""): string {
  let publicUrl = "";
  RED.nodes.eachConfig((node) => {
    if (node.type === "redclaw-gateway" && !node.d && node.publicUrl) publicUrl = node.publicUrl;
  });
  const nodeRoot = (RED.settings.httpNodeRoot || "/").replace(/\/+$/, "");
  const base = publicUrl ? publicUrl.trim().replace(/\/+$/, "") : location.origin + prefix;
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

export function showAddress({ element }: Form, channel: string, id: string): void {
  for (const row of element.querySelectorAll<HTMLElement>("[data-redclaw=address]")) {
    const input = row.querySelector("input");
    const copy = row.querySelector<HTMLButtonElement>("[data-redclaw=copy]");
    const open = row.querySelector<HTMLAnchorElement>("[data-redclaw=open]");
    if (!input || !copy) continue;
    const show = (prefix?: string) => {
      input.value = accountAddress(channel, id, prefix) + (open ? "/" : "");
      if (open) open.href = input.value;
    };
    show();
    withPrefix(show);
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
