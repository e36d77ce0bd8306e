/**
 * What the demo model says. Rules, no intelligence: it is there so that a flow answers before anybody has an
 * account, and it says so. Same conversation, same clock: same answer.
 */
import { workOut } from "./arithmetic";
import { factsIn, isQuestion, key, statementAbout } from "./demo-memory";
import { tellResult } from "./demo-tools";

export interface DemoMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
}

const REAL = "set OPENAI_API_KEY or start Ollama (`ollama serve`), or choose a provider in the ai box";

const jokes = [
  "Why did the crayfish never share? Because it was a little shellfish.",
  "There are 10 kinds of people: those who understand binary and those who do not.",
  "Why do programmers mix up Halloween and Christmas? Because Oct 31 equals Dec 25.",
  "I would tell you a joke about UDP, but you might not get it.",
];

/** The answer to the last message of a conversation. */
export function demoAnswer(messages: readonly DemoMessage[], now: Date): string {
  const results = trailingResults(messages);
  if (results.length > 0)
    return `I asked the tool, and it says: ${results.map(tellResult).join("; ")}.`.replace("..", ".");

  const system = messages
    .filter((message) => message.role === "system")
    .map((message) => message.content)
    .join("\n");
  const said = messages
    .filter((message) => message.role === "user")
    .map((message) => withoutSender(message.content));
  const text = (said.at(-1) ?? "").slice(0, 4000).trim();
  const earlier = said.slice(0, -1);
  const { about, notes } = factsIn(said);
  const name =
    about.get("name") ??
    /\b(?:talk(?:ing)? (?:to|with)|name of the person is|person is called)\s+(\p{Lu}[\p{L}'-]*)/u.exec(
      system,
    )?.[1];
  const self = /\b(?:[Yy]ou are|[Yy]our name is)\s+(?:called\s+)?(\p{Lu}[\p{L}\d'-]*)/u.exec(system)?.[1];
  const iAm = self
    ? `I am ${self}, played by Redclaw's built-in demo model`
    : "I am Redclaw's built-in demo model";
  const lower = text.toLowerCase().replace(/[’]/g, "'");
  const ask = lower.replace(/[\s?!.]+$/, "");

  if (text === "") return "You sent nothing that I can read. Write me something, for example: hello";
  if (/^\[sent:/i.test(text))
    return `I see that you sent something: ${text.slice(1, -1).slice(6).trim()}. I cannot open files; a real model may.`;

  if (
    /^(?:\/start|hi|hello|hey|hallo|hola|bonjour|ciao|ol[aá]|salut|servus|moin|good (?:morning|afternoon|evening)|greetings)\b/.test(
      lower,
    ) &&
    ask.length < 40
  ) {
    const word = /^(?:hallo|hola|bonjour|ciao|ol[aá]|salut|servus|moin)/.exec(lower)?.[0];
    const hello = word ? word[0]?.toUpperCase() + word.slice(1) : "Hello";
    return `${hello}${name ? ` ${name}` : ""}! ${iAm}, not a real AI. Try: "my name is ...", "what is 12 * 34?", "what time is it?" or "tell me a joke".`;
  }
  if (/^(?:\/?help|what can you do|what do you do|how does this work|commands)$/.test(ask)) {
    return `${iAm}. I can greet, remember what you tell me in this chat ("my name is Ann", "remember that the key is under the mat"), tell the time and date, do sums, tell jokes and call tools. For a real AI, ${REAL}.`;
  }
  if (
    /\b(?:who|what) are you\b|\byour name\b|\bare you (?:an? )?(?:ai|bot|human|real|robot|person)\b/.test(ask)
  ) {
    return `${iAm}, not a real AI. For real answers, ${REAL}.`;
  }

  if (/\b(?:what(?:'s| is)|do you (?:know|remember)|tell me) my name\b|^who am i$/.test(ask)) {
    return name ? `Your name is ${name}.` : 'You have not told me your name yet. Say "my name is ...".';
  }
  if (
    /\bwhat (?:do you (?:know|remember)|did i tell you)(?: about me)?$|^what do you know about me$/.test(ask)
  ) {
    return everything(about, notes);
  }
  if (
    /\bwhat (?:did|have) i (?:just |last )?(?:say|said|ask|asked|write|wrote)\b|\brepeat what i said\b|\bmy last message\b/.test(
      ask,
    )
  ) {
    const last = earlier.at(-1);
    return last ? `You said: "${short(last)}"` : "This is the first thing you have said to me.";
  }
  if (/\b(?:first thing|first message|begin with|said first|say first)\b/.test(ask) && isQuestion(text)) {
    return `You began with: "${short(said[0] ?? "")}"`;
  }
  const mine =
    /\b(?:what(?:'s| is| are)|who(?:'s| is)|do you (?:know|remember)|tell me|where(?:'s| is))\s+my\s+(.+)$/.exec(
      ask,
    )?.[1];
  const known = mine && about.get(key(mine));
  if (known) return `Your ${mine} is ${known}.`;
  const doing = /^(?:what|where|who|which \w+) do i (\w+)/.exec(ask)?.[1];
  const done = doing && about.get(`i ${doing}`);
  if (done) return `You ${doing} ${done}.`;

  const sum = workOut(text);
  if (sum !== undefined) return `That is ${sum}.`;
  if (/\bwhat time\b|\bwhat's the time\b|\bthe time is it\b|^time$|\bwhat is the time\b/.test(ask)) {
    return `It is ${now.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}.`;
  }
  if (
    /\bwhat (?:date|day)\b|\bwhat(?:'s| is) the date\b|\btoday's date\b|^date$|\bwhat(?:'s| is) today\b/.test(
      ask,
    )
  ) {
    return `Today is ${now.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" })}.`;
  }
  if (/\bjoke\b|\bmake me laugh\b|\banother one\b/.test(ask)) {
    const told = earlier.filter((line) => /\bjoke\b|make me laugh|another one/i.test(line)).length;
    return jokes[told % jokes.length] as string;
  }
  const echo = /^(?:say|repeat(?: after me)?|echo)[:,]?\s+(.+)$/is.exec(text)?.[1];
  if (echo) return short(echo.replace(/^["“](.+)["”]$/s, "$1"));
  if (/\bhow are you\b|\bhow's it going\b|\bhow do you do\b/.test(ask))
    return "I am fine, as fine as a demo model can be. And you?";
  if (
    /^(?:thanks|thank you|thx|danke|merci|gracias|great|cool|nice|ok|okay|good)\b/.test(ask) &&
    ask.length < 40
  )
    return "You are welcome.";
  if (/^(?:bye|goodbye|good night|see you|ciao|tsch[uü]ss|adios)\b/.test(ask))
    return `Goodbye${name ? `, ${name}` : ""}!`;

  if (isQuestion(text)) {
    const statement = statementAbout(text, earlier);
    if (statement) return `You told me: "${short(statement)}"`;
  } else {
    const now = factsIn([text]);
    const told = now.about.get("name");
    if (told) return `Nice to meet you, ${told}! I will remember your name in this chat.`;
    const fact = now.notes[0] ?? (now.about.size > 0 ? text : undefined);
    if (fact) return `I will remember that: ${short(fact)}`;
  }
  return `You said: "${short(text)}". ${iAm}, not a real AI, so I cannot say much about that. For real answers, ${REAL}.`;
}

/** Contents of the tool results at the end of the conversation. */
function trailingResults(messages: readonly DemoMessage[]): string[] {
  const last = messages.findLastIndex((message) => message.role !== "tool");
  return messages.slice(last + 1).map((message) => message.content);
}

/** In groups every message starts with its sender in brackets. */
function withoutSender(text: string): string {
  return /^\[sent:/i.test(text) ? text : text.replace(/^\[[^\]\n]{1,80}\]\s+/, "");
}

function everything(about: ReadonlyMap<string, string>, notes: readonly string[]): string {
  const lines = [...about].map(([what, value]) =>
    what.startsWith("i ") ? `You ${what.slice(2)} ${value}.` : `Your ${what} is ${value}.`,
  );
  for (const note of notes) lines.push(`You asked me to remember: ${note}.`);
  return lines.length > 0
    ? short(lines.join("\n"), 2000)
    : 'Nothing yet. Tell me something, for example "my name is Ann".';
}

function short(text: string, most = 300): string {
  return text.length > most ? `${text.slice(0, most).replace(/[\uD800-\uDBFF]$/, "")}...` : text;
}
