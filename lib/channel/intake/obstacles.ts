/** What keeps a platform from calling an account, as far as the settings tell. */
import { isLiteral, isPrivateAddress } from "../../http/addresses";
import type { Account } from "../account";

export interface Obstacle {
  /** Its first words, up to a colon or full stop, also stand below the nodes. */
  sentence: string;
  /** True when no call can get through as things are. */
  blocks: boolean;
}

export interface Servers {
  /** Are webhooks taken on Node-RED's own server? `no-root`: `httpNodeRoot` is false; `behind`: bodies are parsed before. */
  server: "yes" | "no-root" | "behind" | "none";
  ownPort: boolean;
}

const PORT = "Set a port of its own for webhooks in the Redclaw gateway.";

export function serverObstacles(account: Account, { server, ownPort }: Servers): Obstacle[] {
  if (ownPort || server === "yes") return [];
  const { label } = account.definition;
  if (server === "no-root") {
    const sentence = `Node-RED serves no pages: httpNodeRoot is false in settings.js, so ${label} cannot call. ${PORT}`;
    return [{ sentence, blocks: true }];
  }
  const why =
    server === "none"
      ? "Redclaw found no web server to take them on"
      : "another part of the web server reads them before Redclaw, so no signature can be checked";
  return [{ sentence: `Webhooks cannot be taken: ${why}. ${PORT}`, blocks: true }];
}

export function addressObstacles(account: Account, publicUrl: string | undefined): Obstacle[] {
  const { label } = account.definition;
  if (!publicUrl) {
    const sentence = `Needs a public address: ${label} must know where to call. Set it in the Redclaw gateway, for example https://home.example.org.`;
    return [{ sentence, blocks: true }];
  }
  // A platform of the owner's own may well stand in the same network.
  if (account.settings.apiRoot || !URL.canParse(publicUrl)) return [];
  const { protocol, hostname } = new URL(publicUrl);
  if (isInside(hostname)) {
    const sentence = `The public address is inside your own network: ${label} cannot reach ${hostname}. Enter the address under which the internet reaches Node-RED.`;
    return [{ sentence, blocks: false }];
  }
  if (protocol === "https:") return [];
  const sentence = `The public address begins with http://: ${label} calls only https, because anybody on the way could read along. Put a proxy or tunnel with a certificate before Node-RED.`;
  return [{ sentence, blocks: false }];
}

function isInside(hostname: string): boolean {
  if (isLiteral(hostname)) return isPrivateAddress(hostname);
  return !hostname.includes(".") || /\.(local|lan|home|internal|localhost)$/.test(hostname);
}
