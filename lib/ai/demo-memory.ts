/** What the demo model knows: only what stands in the conversation that it is given. */

/** Reads facts such as "my dog's name is Rex" from what the person wrote, oldest first; a later one replaces it. */
export function factsIn(said: readonly string[]): { about: Map<string, string>; notes: string[] } {
  const about = new Map<string, string>();
  const notes: string[] = [];
  for (const text of said) {
    for (const sentence of sentences(text)) {
      if (isQuestion(sentence)) continue;
      const note = /^(?:please )?(?:remember|note|keep in mind)(?: that| this)?[:,]?\s+(.+)$/i.exec(
        sentence,
      )?.[1];
      if (note) notes.push(note);
      const plain = note ?? sentence;
      const named =
        /\b(?:my name is|call me|i am called|i'm called)\s+([\p{L}\p{M}][\p{L}\p{M}'’-]*(?:\s+\p{Lu}[\p{L}\p{M}'’-]*){0,3})/iu;
      const name =
        named.exec(plain)?.[1] ??
        /^i(?: am|'m|’m)\s+(\p{Lu}[\p{L}\p{M}'’-]+)$/iu.exec(capitalOnly(plain))?.[1];
      if (name) about.set("name", name);
      const mine =
        /\bmy\s+([\p{L}\p{M}\d'’ -]{1,40}?)\s+(?:is|are)\s+(?:called\s+|named\s+)?(.{1,120})$/iu.exec(plain);
      if (mine?.[1] && mine[2] && key(mine[1]) !== "name") about.set(key(mine[1]), mine[2]);
      const does =
        /^i\s+(?:really\s+|also\s+)?(like|love|hate|live|work|play|speak|drive|have|eat|drink)\s+(.{1,120})$/i.exec(
          plain,
        );
      if (does?.[1] && does[2] && !note) {
        const verb = does[1].toLowerCase();
        const before = about.get(`i ${verb}`);
        const keeps = before && /^(?:like|love|hate|have|speak|play)$/.test(verb) && before !== does[2];
        about.set(`i ${verb}`, keeps ? `${before} and ${does[2]}` : does[2]);
      }
    }
  }
  return { about, notes };
}

/** An earlier statement that shares words with the question; the one that shares most, the latest of equals. */
export function statementAbout(question: string, said: readonly string[]): string | undefined {
  const asked = new Set(significant(question));
  let best: { sentence: string; score: number } | undefined;
  for (const text of said) {
    for (const sentence of sentences(text)) {
      if (isQuestion(sentence)) continue;
      const score = new Set(significant(sentence).filter((word) => asked.has(word))).size;
      if (score > 0 && score >= (best?.score ?? 0)) best = { sentence, score };
    }
  }
  return best?.sentence.replace(/^(?:please )?(?:remember|note|keep in mind)(?: that| this)?[:,]?\s+/i, "");
}

export function isQuestion(text: string): boolean {
  return (
    /\?\s*$/.test(text) ||
    /^(?:who|what|what's|when|where|where's|why|how|which|whose|do|does|did|is|are|am|can|could|will|tell me)\b/i.test(
      text,
    )
  );
}

/** Words that carry meaning, lower case, without a plural s. */
export function significant(text: string): string[] {
  const found =
    text
      .slice(0, 4000)
      .toLowerCase()
      .match(/[\p{L}\p{M}\d]+/gu) ?? [];
  return found
    .filter((word) => word.length > 2 && !common.has(word))
    .map((word) => word.replace(/(?<=..)s$/, ""));
}

/** `my dog's name` and `dogs name` are one thing. */
export function key(text: string): string {
  return text
    .toLowerCase()
    .replace(/favorite/g, "favourite")
    .replace(/['’]/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

function sentences(text: string): string[] {
  return text
    .slice(0, 4000)
    .split(/(?<=[.!?])\s+|\n+/)
    .map((sentence) => sentence.trim().replace(/[.!]+$/, ""))
    .filter((sentence) => sentence !== "");
}

/** "I am Ann" names a person, "I am tired" does not: only a capital letter tells. */
function capitalOnly(sentence: string): string {
  return /^i(?: am|'m|’m)\s+\p{Lu}/u.test(sentence.replace(/^I/, "i")) ? sentence : "";
}

const common = new Set(
  (
    "the and for are was were has have had you your yours mine that this these those with what when where who whom why how " +
    "which whose did does can could would will shall should about from into they them there here his her hers its our not but " +
    "tell say said please know remember note keep mind just now let get got one any all some told give show like"
  ).split(" "),
);
