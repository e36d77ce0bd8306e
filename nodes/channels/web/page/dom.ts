/** The few things that every part of the page does with the document. */

/** The element with this id; the page's HTML has it. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** A new element. Strings become text, never markup. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | undefined> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Random letters and digits. `crypto.randomUUID` is missing on plain http, where many houses are. */
export function randomName(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

/** What is kept while the page is open, where the browser allows nothing more. */
const here = new Map<string, string>();
let elsewhere: ((name: string, value: string | undefined) => void) | undefined;

/** True in a frame whose browser gives foreign frames no storage. */
export function storageDenied(): boolean {
  try {
    return window.localStorage === null;
  } catch {
    return true;
  }
}

/** Keeps things with somebody else: the widget around us. `kept` is what it has from an earlier page. */
export function keepElsewhere(kept: Record<string, string>, keep: typeof elsewhere): void {
  for (const [name, value] of Object.entries(kept)) here.set(`localStorage:${name}`, value);
  elsewhere = keep;
}

/** Small things that survive a reload; a browser that forbids it keeps them until then. */
export function keeper(area: "localStorage" | "sessionStorage"): {
  get(name: string): string | undefined;
  set(name: string, value: string | undefined): void;
} {
  // Several accounts may live on one server: each keeps its things under its own address.
  const prefix = `redclaw:${location.pathname}:`;
  return {
    get(name) {
      try {
        return window[area].getItem(prefix + name) ?? undefined;
      } catch {
        return here.get(`${area}:${name}`);
      }
    },
    set(name, value) {
      if (value === undefined) here.delete(`${area}:${name}`);
      else here.set(`${area}:${name}`, value);
      try {
        if (value === undefined) window[area].removeItem(prefix + name);
        else window[area].setItem(prefix + name, value);
      } catch {
        if (area === "localStorage") elsewhere?.(name, value);
      }
    },
  };
}
