/**
 * Works out what a sentence asks for, such as `what is 12 * (3 + 4)?` or `20% of 80`. A small parser of its own:
 * nothing that a person writes is ever run as code.
 */
const words: [RegExp, string][] = [
  [/\bplus\b/gi, "+"],
  [/\bminus\b|−|–/gi, "-"],
  [/\btimes\b|\bmultiplied by\b|×|·/gi, "*"],
  [/(\d)\s*x\s*(?=\d)/gi, "$1*"],
  [/\bdivided by\b|\bover\b|÷/gi, "/"],
  [/\bto the power of\b|\*\*/gi, "^"],
  [/%\s*of\b|\bpercent of\b/gi, "/100*"],
  [/(\d),(?=\d{3}\b)/g, "$1"],
];

const question =
  /^(?:and |so |please )?(?:what is|what's|whats|how much is|calculate|compute|work out|solve)\s+/i;

/** The result as text, or undefined when the sentence is no sum. */
export function workOut(sentence: string): string | undefined {
  if (sentence.length > 300) return undefined;
  let sum = sentence
    .trim()
    .replace(/[\s?=.!]+$/, "")
    .replace(question, "");
  for (const [pattern, symbol] of words) sum = sum.replace(pattern, symbol);
  sum = sum.replace(/\s+/g, "");
  // A date or a telephone number is no sum.
  if (!/^[\d.+\-*/^()]+$/.test(sum) || !/\d[\d.)]*[+\-*/^]/.test(sum) || /^\d+-\d+-\d+$/.test(sum))
    return undefined;
  const result = parse(sum);
  if (result === undefined) return undefined;
  if (!Number.isFinite(result)) return "not a number I can write down (is there a division by zero?)";
  return String(Number(result.toPrecision(12)));
}

/** Grammar: sum = product {("+"|"-") product}; product = power {("*"|"/") power}; power = sign ["^" power]. */
function parse(text: string): number | undefined {
  let at = 0;
  let depth = 0;
  let failed = false;
  const value = sum();
  return failed || at < text.length ? undefined : value;

  function sum(): number {
    let total = product();
    while (!failed && (text[at] === "+" || text[at] === "-"))
      total += text[at++] === "+" ? product() : -product();
    return total;
  }
  function product(): number {
    let total = power();
    while (!failed && (text[at] === "*" || text[at] === "/")) {
      if (text[at++] === "*") total *= power();
      else total /= power();
    }
    return total;
  }
  function power(): number {
    if (++depth > 50) failed = true;
    let result = 0;
    if (failed) result = 0;
    else if (text[at] === "-") {
      at++;
      result = -power();
    } else {
      result = atom();
      if (text[at] === "^") {
        at++;
        result **= power();
      }
    }
    depth--;
    return result;
  }
  function atom(): number {
    if (text[at] === "(") {
      at++;
      const inner = sum();
      if (text[at++] !== ")") failed = true;
      return inner;
    }
    const digits = /^\d+(?:\.\d+)?|^\.\d+/.exec(text.slice(at))?.[0];
    if (!digits) {
      failed = true;
      return 0;
    }
    at += digits.length;
    return Number(digits);
  }
}
