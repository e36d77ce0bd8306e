/**
 * Takes secrets out of text that a person or a log will see: the secrets we know, in the forms they travel in, and
 * whatever looks like one. Never throws.
 */
const MASK = "***";
/** Shorter ones would blot out half of every sentence. */
const MIN_SECRET = 4;

/** Each pattern is a single pass without nested repetition, so that a hostile text costs no more than its length. */
const SHAPES: readonly [RegExp, string][] = [
  // Telegram: https://api.telegram.org/bot123456:ABC-def/sendMessage, also %3A, and the bare token.
  [/\bbot\d{1,20}(?::|%3a)[\w-]+/gi, `bot${MASK}`],
  [/\b\d{6,20}:[\w-]{30,}/g, MASK],
  // https://user:password@host
  [/(:\/\/)[^\s/?#@"'<>]{1,1000}@/g, `$1${MASK}@`],
  // Authorization: Bearer abc / "authorization": "Basic abc"
  [
    /\b((?:proxy-)?authorization["']?\s{0,5}[:=]\s{0,5}["']?)(?!["'\s])(?:(?:bearer|basic|bot|token)\s{1,5})?[^\s"',;]+/gi,
    `$1${MASK}`,
  ],
  [/\b(bearer\s{1,5})[\w.~+/=-]{4,}/gi, `$1${MASK}`],
  // ?key=abc&access_token=abc, password=abc, "api_key": "abc"
  [
    /((?:key|token|secret|password|passwd|pwd|signature)["']?(?:=|["']\s{0,5}:\s{0,5}["']))[^\s&#"',;<>]+/gi,
    `$1${MASK}`,
  ],
  // Keys that tell themselves by their beginning: OpenAI and its like, Slack, GitHub.
  [/\b(?:sk-|xox[a-z]-|xapp-|gh[a-z]_|github_pat_)[\w*-]{8,}/g, MASK],
];

/**
 * `text` without `secrets` (also percent-encoded, base64 and inside JSON) and without anything shaped like a token,
 * an Authorization header or a password in an address. Secrets shorter than 4 characters are left: they are words.
 */
export function redact(text: string, secrets: Iterable<string | undefined> = []): string {
  let clean: string;
  let forms: string[];
  try {
    clean = String(text);
    forms = formsOf(secrets);
  } catch {
    return MASK;
  }
  for (const [shape, mask] of SHAPES) clean = clean.replace(shape, mask);
  // What is left after a cut may form a secret again ("ab" + "***" + ...): look until there is none.
  for (let round = 0; forms.some((form) => clean.includes(form)); round++) {
    if (round === 5) return MASK;
    for (const form of forms) clean = clean.replaceAll(form, MASK);
  }
  return clean;
}

function formsOf(secrets: Iterable<string | undefined>): string[] {
  const forms = new Set<string>();
  for (const secret of secrets ?? []) {
    if (typeof secret !== "string") continue;
    for (const known of [secret, secret.trim()]) {
      if (known.length < MIN_SECRET) continue;
      const bytes = Buffer.from(known);
      const percent = encodeURIComponent(known.toWellFormed());
      for (const form of [
        known,
        percent,
        percent.replaceAll("%20", "+"),
        percent.replace(/%../g, (code) => code.toLowerCase()),
        bytes.toString("base64").replace(/=+$/, ""),
        bytes.toString("base64url"),
        JSON.stringify(known).slice(1, -1),
      ]) {
        if (form.length >= MIN_SECRET) forms.add(form);
      }
    }
  }
  // The longest first: a secret inside a longer one must not leave the rest of it standing.
  return [...forms].sort((a, b) => b.length - a.length);
}
