/** Who calls: the address at the other end of the connection or, behind a proxy of the owner's, what that proxy says. */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";

/** A longer chain of proxies is an invention. */
const HOPS_MAX = 20;

/** Reads `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`; `wrong` holds what is no address. */
export function readProxies(list: readonly string[] = []): { proxies: BlockList; wrong: string[] } {
  const proxies = new BlockList();
  const wrong = list.filter((entry) => {
    const [address = "", bits, ...more] = entry.trim().split("/");
    const family = familyOf(address);
    const most = family === "ipv4" ? 32 : 128;
    if (
      !family ||
      more.length > 0 ||
      (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most))
    )
      return true;
    proxies.addSubnet(address, bits === undefined ? most : Number(bits), family);
    return false;
  });
  return { proxies, wrong };
}

/**
 * The address that a request comes from. `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from
 * its end, up to the first address that is none of them. One home network (IPv6 /64) counts as one source.
 */
export function sourceOf(request: IncomingMessage, proxies: BlockList): string {
  let source = plain(request.socket.remoteAddress ?? "");
  if (isIn(proxies, source)) {
    const hops = String(request.headers["x-forwarded-for"] ?? "").split(",");
    for (const hop of hops.reverse().slice(0, HOPS_MAX)) {
      const address = plain(hop.trim());
      if (!familyOf(address)) break;
      source = address;
      if (!isIn(proxies, source)) break;
    }
  }
  return isIP(source) === 6 ? networkOf(source) : source;
}

function isIn(proxies: BlockList, address: string): boolean {
  const family = familyOf(address);
  return family !== undefined && proxies.check(address, family);
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
  return ({ 4: "ipv4", 6: "ipv6" } as const)[isIP(address)];
}

/** Without a port, brackets, a zone, or the IPv6 way to write an IPv4 address. */
function plain(address: string): string {
  const bare = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
  return bare.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
}

/** The first four groups of an IPv6 address. */
function networkOf(address: string): string {
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
