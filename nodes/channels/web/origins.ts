/** Where a request comes from: its site, its address, and how the visitor sees this server through a proxy. */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/** The sites that may show the widget, as written in the account. `https://*.example.com` stands for all below it. */
export class Origins {
  readonly #allowed: string[];

  constructor(written: string) {
    this.#allowed = written.split(/[\s,]+/).flatMap((entry) => {
      const origin = entry.trim().replace(/\/+$/, "").toLowerCase();
      // A wildcard host is not a URL everywhere: it is checked with a name in its place.
      return origin === "*" || /^https?:\/\/(\*\.)?[a-z0-9.:[\]-]+$/.test(origin) ? [origin] : [];
    });
  }

  /** Is this site on the list? */
  listed(origin: string): boolean {
    const asked = origin.toLowerCase();
    return this.#allowed.some((allowed) => {
      if (allowed === "*" || allowed === asked) return true;
      const [scheme, host] = allowed.split("://*.", 2);
      return host !== undefined && asked.startsWith(`${scheme}://`) && asked.endsWith(`.${host}`);
    });
  }

  /** For the `frame-ancestors` of the page. */
  get frameAncestors(): string {
    return ["'self'", ...this.#allowed].join(" ");
  }

  /**
   * May this request act for its visitor? Browsers name the site a request comes from; a program that names none is
   * not carrying somebody else's cookie.
   */
  allows(request: IncomingMessage): boolean {
    const site = header(request, "sec-fetch-site");
    // Only a browser sets this header, and no page can change it. It is right where a proxy hides our own name.
    if (site === "same-origin") return true;
    const origin = header(request, "origin");
    if (origin === undefined) return site === undefined || site === "none" || site === "same-site";
    return this.isOwn(request, origin) || this.listed(origin);
  }

  isOwn(request: IncomingMessage, origin: string): boolean {
    if (!URL.canParse(origin)) return false;
    const { protocol, host } = new URL(origin);
    if (protocol !== "https:" && protocol !== "http:") return false;
    const plain = (name: string) => name.toLowerCase().replace(/:(80|443)$/, "");
    const names = [first(header(request, "x-forwarded-host")), header(request, "host")];
    return names.some((name) => name !== undefined && plain(name) === plain(host));
  }
}

/** True when the visitor's browser speaks https, also when a proxy in front does it. */
export function isHttps(request: IncomingMessage): boolean {
  if ("encrypted" in request.socket && request.socket.encrypted) return true;
  return first(header(request, "x-forwarded-proto"))?.toLowerCase() === "https";
}

/**
 * The visitor's address; of IPv6 the network, as every house has all addresses of one. A proxy on this machine or network is believed when it names one; the last name that is
 * not itself such a proxy counts, as the visitor can write anything before it.
 */
export function addressOf(request: IncomingMessage): string {
  return networkOf(visibleAddress(request));
}

function visibleAddress(request: IncomingMessage): string {
  const direct = request.socket.remoteAddress ?? "unknown";
  if (!isNear(direct)) return direct;
  const named = (header(request, "x-forwarded-for") ?? "").split(",").map((entry) => entry.trim());
  const valid = named.filter((entry) => isIP(entry) !== 0);
  return valid.findLast((entry) => !isNear(entry)) ?? valid[0] ?? direct;
}

/** The first 64 bits of an IPv6 address; any other as it is. */
function networkOf(address: string): string {
  if (isIP(address) !== 6 || address.includes(".")) return address;
  const [before = "", after] = (address.split("%")[0] as string).toLowerCase().split("::", 2);
  const groups = (part: string | undefined) => (part ? part.split(":") : []);
  const [left, right] = [groups(before), groups(after)];
  const all = [...left, ...Array(Math.max(0, 8 - left.length - right.length)).fill("0"), ...right];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/** Loopback, private or link-local. */
function isNear(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, "");
  return /^(127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|::1$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)/i.test(
    plain,
  );
}

export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function first(list: string | undefined): string | undefined {
  return list?.split(",")[0]?.trim();
}
