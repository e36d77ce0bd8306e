/** JSON of strangers. */

/** No platform nests deeper than a few dozen; what is nested by the thousand breaks whoever walks through it. */
const DEPTH_MAX = 100;

/** The value, or undefined when it is no JSON or nested too deeply. Depth is looked at before anything is built. */
export function readJson(body: Buffer): { value: unknown } | undefined {
  if (isTooDeep(body)) return undefined;
  try {
    return { value: JSON.parse(body.toString("utf8")) };
  } catch {
    return undefined;
  }
}

function isTooDeep(body: Buffer): boolean {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < body.length; at += 1) {
    const sign = body[at];
    if (inText) {
      if (sign === BACKSLASH) at += 1;
      else if (sign === QUOTE) inText = false;
    } else if (sign === QUOTE) inText = true;
    else if (sign === BRACKET || sign === BRACE) {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (sign === BRACKET + 2 || sign === BRACE + 2) depth -= 1;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` and `{`; the closing ones stand two places further in ASCII. */
const BRACKET = 0x5b;
const BRACE = 0x7b;
