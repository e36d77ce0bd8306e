/** Validators of the generated forms. Each answers `true`, or the sentence that stands below the field. */
import type { EditorNode } from "./red";
import { word } from "./words";

export interface FieldRule {
  name: string;
  required?: boolean;
  number?: boolean;
  pattern?: string;
  when?: Record<string, string | string[]>;
}

/** Node-RED runs validators for every node at load, before and without any form. */
export function checkField(node: EditorNode, value: unknown, rule: FieldRule): true | string {
  const text = textOf(value);
  if (text === "__PWRD__" || hasVariable(text)) return true;
  if (rule.when && !matches(rule.when, (option) => textOf(formValue(option) ?? node[option]))) return true;
  if (text === "") return rule.required ? node._(`field.${rule.name}.missing`) : true;
  if (rule.number && !Number.isFinite(Number(text))) return word("error.number");
  if (rule.pattern && !new RegExp(rule.pattern).test(text)) return node._(`field.${rule.name}.mismatch`);
  return true;
}

export function checkAccount(_node: EditorNode, value: unknown): true | string {
  const id = textOf(value);
  if (hasVariable(id)) return true;
  if (id === "" || id === "_ADD_") return word("error.noAccount");
  const account = RED.nodes.node(id);
  if (!account) return word("error.accountMissing");
  return account.valid === false ? word("error.accountInvalid") : true;
}

/** An `http:` or `https:` address, or nothing. */
export function checkAddress(_node: EditorNode, value: unknown): true | string {
  const text = textOf(value);
  if (text === "" || hasVariable(text)) return true;
  try {
    const { protocol } = new URL(text);
    if (protocol === "http:" || protocol === "https:") return true;
  } catch {
    // The sentence below says it.
  }
  return word("error.address");
}

/** `{"perChat":"1/s","perAccount":"30/s"}`, either of the two, or nothing. An empty rate means no limit. */
export function checkLimits(_node: EditorNode, value: unknown): true | string {
  const text = textOf(value);
  if (text === "" || hasVariable(text)) return true;
  try {
    const limits: unknown = JSON.parse(text);
    if (typeof limits !== "object" || limits === null || Array.isArray(limits)) return word("error.limits");
    const right = Object.entries(limits).every(
      ([name, rate]) =>
        ["perChat", "perAccount", "global"].includes(name) &&
        /^(|\s*(\d*[1-9]\d*(\.\d+)?|0\.\d*[1-9]\d*)\s*\/\s*(s|min|h)\s*)$/.test(String(rate)),
    );
    return right ? true : word("error.limits");
  } catch {
    return word("error.limits");
  }
}

/** A number above 0 (or at least `least`), or nothing. */
export function checkNumber(_node: EditorNode, value: unknown, least = 0): true | string {
  const text = textOf(value);
  if (text === "" || hasVariable(text)) return true;
  const number = Number(text);
  return Number.isFinite(number) && number >= least ? true : word("error.number");
}

/** A port number, or nothing. */
export function checkPort(_node: EditorNode, value: unknown): true | string {
  const text = textOf(value);
  if (text === "" || hasVariable(text)) return true;
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535 ? true : word("error.port");
}

/** `127.0.0.1, 10.0.0.0/8, fd00::/8`, or nothing. */
export function checkProxies(_node: EditorNode, value: unknown): true | string {
  const text = textOf(value);
  if (hasVariable(text)) return true;
  const wrong = text.split(/[\s,;]+/).find((entry) => entry !== "" && !isNetwork(entry));
  return wrong === undefined ? true : word("error.proxies", { entry: wrong });
}

/** An IP address, alone or with the number of bits that count. */
function isNetwork(entry: string): boolean {
  const [address = "", bits, ...more] = entry.split("/");
  if (more.length > 0) return false;
  const isV4 =
    /^(\d{1,3}\.){3}\d{1,3}$/.test(address) && address.split(".").every((part) => Number(part) < 256);
  const isV6 = address.includes(":") && URL.canParse(`http://[${address}]/`);
  const most = isV4 ? 32 : 128;
  return (isV4 || isV6) && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
}

/** Do the options have the values that a field is shown for? */
export function matches(
  when: Record<string, string | readonly string[]>,
  read: (option: string) => string,
): boolean {
  return Object.entries(when).every(([option, values]) => [values].flat().includes(read(option)));
}

function formValue(option: string): unknown {
  const input = $(`#node-config-input-${option}`);
  return input.length > 0 ? input.val() : undefined;
}

function hasVariable(text: string): boolean {
  return /\$\{\w+\}/.test(text);
}

function textOf(value: unknown): string {
  return value === undefined || value === null
    ? ""
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value).trim();
}
