/**
 * Which network addresses are public. The guard asks at the moment of connecting, on the address that is really
 * used: a name that pointed elsewhere a moment ago does not help an attacker.
 */
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/** Says no to a connection; `lib/http/faults.ts` makes a sentence of it. */
export class PrivateAddress extends Error {}

/** IPv4 that is not the public Internet (IANA special-purpose registry), and Azure's metadata address. */
const PRIVATE_V4 = blockList("ipv4", [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
]);
/** All that is public in IPv6 lies here: not `::`, `::1`, v4-mapped, NAT64, ULA, link-local, multicast. */
const GLOBAL_V6 = blockList("ipv6", ["2000::/3"]);
/** Teredo and other protocol addresses, documentation, 6to4 (which hides an IPv4 address). */
const PRIVATE_V6 = blockList("ipv6", ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]);

/** True unless `address` is an IP address of the public Internet. Anything that is no IP address counts as private. */
export function isPrivateAddress(address: string): boolean {
  const ip = bare(address);
  const version = isIP(ip);
  if (version === 4) return PRIVATE_V4.check(ip, "ipv4");
  if (version === 6) return !GLOBAL_V6.check(ip, "ipv6") || PRIVATE_V6.check(ip, "ipv6");
  return true;
}

/** True for a host that is an IP address itself, so that nothing is looked up. `URL` has already read odd notations. */
export function isLiteral(hostname: string): boolean {
  return isIP(bare(hostname)) !== 0;
}

/**
 * A `lookup` for sockets that fails with PrivateAddress when any of the name's addresses is private: one bad
 * address among good ones is an attack or a mistake, never a public server.
 */
export function guardedLookup(lookup: LookupFunction = systemLookup as LookupFunction): LookupFunction {
  return (hostname: string, options: LookupOptions, callback): void => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, "", 0);
      const addresses: LookupAddress[] = Array.isArray(found)
        ? found
        : [{ address: found, family: isIP(found) }];
      const [first] = addresses;
      if (!first || addresses.some(({ address }) => isPrivateAddress(address))) {
        return callback(new PrivateAddress(hostname), "", 0);
      }
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function bare(address: string): string {
  return address.replace(/^\[|\]$/g, "");
}

function blockList(type: "ipv4" | "ipv6", networks: string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split("/");
    list.addSubnet(address as string, Number(bits), type);
  }
  return list;
}
