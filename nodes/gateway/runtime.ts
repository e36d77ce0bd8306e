/** One gateway per running Node-RED, shared by all node files. */
import { join } from "node:path";
import { installIntake } from "../../lib/channel/intake";
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
    gateway = new Gateway({
      log: {
        debug: (text) => log.debug(`[redclaw] ${text}`),
        info: (text) => log.info(`[redclaw] ${text}`),
        warn: (text) => log.warn(`[redclaw] ${text}`),
        error: (text) => log.error(`[redclaw] ${text}`),
      },
      nodeRoot: root,
      flows: red.events,
      ...(settings.userDir
        ? { crashWatch: new CrashWatch(join(settings.userDir, "redclaw", "run.json")) }
        : {}),
    });
    gateways.set(anchor, gateway);
    installIntake(gateway, { httpNode: red.httpNode, nodeRoot: root });
    installAdmin(gateway, red);
  }
  return gateway;
}
