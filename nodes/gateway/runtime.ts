/** One gateway per running Node-RED, shared by all node files. */
import { join } from "node:path";
import { installIntake } from "../../lib/channel/intake";
import { installWebhookForm } from "../../lib/channel/intake/form";
import { CrashWatch } from "../../lib/delivery/crash-watch";
import { Gateway } from "../../lib/gateway";
import { installAdmin } from "../../lib/ops/admin";
import type { NodeRed } from "../red";

/**
 * Every node set gets its own `RED`, but they share `RED.httpAdmin` (and `RED.events`, when the editor is switched
 * off). The plugin of this package only makes the gateway known to other packages; under the test helper, which has
 * no plugins, everything works all the same.
 */
const gateways = new WeakMap<object, Gateway>();

export function gatewayOf(red: NodeRed): Gateway {
  const anchor = red.httpAdmin ?? red.events;
  let gateway = gateways.get(anchor);
  if (!gateway) {
    const { log, settings } = red;
    const root = typeof settings.httpNodeRoot === "string" ? settings.httpNodeRoot.replace(/\/+$/, "") : "";
    const ownLog = {
      debug: (text: string) => log.debug(`[redclaw] ${text}`),
      info: (text: string) => log.info(`[redclaw] ${text}`),
      warn: (text: string) => log.warn(`[redclaw] ${text}`),
      error: (text: string) => log.error(`[redclaw] ${text}`),
    };
    const { userDir } = settings;
    gateway = new Gateway({
      log: ownLog,
      nodeRoot: root,
      flows: red.events,
      ...(userDir ? { crashWatch: new CrashWatch(join(userDir, "redclaw", "run.json")) } : {}),
    });
    gateways.set(anchor, gateway);
    installIntake(gateway, {
      httpNode: red.httpNode,
      server: red.server,
      nodeRoot: settings.httpNodeRoot === false ? false : root,
      events: red.events,
      log: ownLog,
    });
    installWebhookForm(gateway, red);
    installAdmin(gateway, red);
  }
  return gateway;
}
