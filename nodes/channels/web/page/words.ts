/** All texts of the page. A language that is missing here is English. */
const en = {
  online: "Online",
  connecting: "Connecting…",
  reconnecting: "No connection. Trying again…",
  tabs: "Paused: this chat is open in other tabs. Click here to go on.",
  placeholder: "Write a message…",
  send: "Send",
  attach: "Attach files",
  remove: "Remove",
  close: "Close the chat",
  log: "Conversation",
  you: "You:",
  bot: "Answer:",
  writing: "is writing…",
  edited: "edited",
  sending: "Sending…",
  waiting: "Not sent yet. It is tried again by itself.",
  failed: "Not sent.",
  retry: "Try again",
  discard: "Discard",
  newer: "New messages",
  download: "Download",
  drop: "Drop files here to send them",
  uploading: "uploading…",
  codeLabel: "This chat is private. Access code:",
  enter: "Enter",
  today: "Today",
  yesterday: "Yesterday",
  "too-long": "This message is too long (16 kB at most). Shorten it, or send it as a file.",
  "file-too-big": "This file is too big: 10 MB at most.",
  "too-many-files": "Five files at most in one message.",
  "file-gone": "A file is no longer there. Attach it again.",
  "button-gone": "This button is no longer in use.",
  "wrong-code": "This access code is not right.",
  "too-fast": "That was a bit fast. It is sent in a moment.",
  empty: "This file is empty.",
  "upload-failed": "This file could not be sent. Remove it or try again.",
};

export type Words = typeof en;

const languages: Record<string, Partial<Words>> = {
  de: {
    online: "Online",
    connecting: "Verbinde…",
    reconnecting: "Keine Verbindung. Neuer Versuch läuft…",
    tabs: "Pausiert: Dieser Chat ist in anderen Tabs offen. Zum Fortsetzen hier klicken.",
    placeholder: "Nachricht schreiben…",
    send: "Senden",
    attach: "Dateien anhängen",
    remove: "Entfernen",
    close: "Chat schließen",
    log: "Unterhaltung",
    you: "Sie:",
    bot: "Antwort:",
    writing: "schreibt…",
    edited: "bearbeitet",
    sending: "Wird gesendet…",
    waiting: "Noch nicht gesendet. Es wird von selbst weiter versucht.",
    failed: "Nicht gesendet.",
    retry: "Noch einmal",
    discard: "Verwerfen",
    newer: "Neue Nachrichten",
    download: "Herunterladen",
    drop: "Dateien hier ablegen",
    uploading: "wird hochgeladen…",
    codeLabel: "Dieser Chat ist privat. Zugangscode:",
    enter: "Öffnen",
    today: "Heute",
    yesterday: "Gestern",
    "too-long": "Diese Nachricht ist zu lang (höchstens 16 kB). Kürzen Sie sie oder senden Sie eine Datei.",
    "file-too-big": "Diese Datei ist zu groß: höchstens 10 MB.",
    "too-many-files": "Höchstens fünf Dateien pro Nachricht.",
    "file-gone": "Eine Datei ist nicht mehr da. Hängen Sie sie noch einmal an.",
    "button-gone": "Dieser Knopf gilt nicht mehr.",
    "wrong-code": "Dieser Zugangscode stimmt nicht.",
    "too-fast": "Das war etwas schnell. Es wird gleich gesendet.",
    empty: "Diese Datei ist leer.",
    "upload-failed":
      "Diese Datei konnte nicht gesendet werden. Entfernen Sie sie oder versuchen Sie es noch einmal.",
  },
};

export const language = languages[navigator.language.slice(0, 2)] ? navigator.language.slice(0, 2) : "en";
export const words: Words = { ...en, ...languages[language] };

/** The page's own words for what went wrong, else the server's sentence. */
export function explain(problem: { code?: string; sentence?: string }): string {
  return (problem.code && words[problem.code as keyof Words]) || problem.sentence || words.failed;
}

const clock = new Intl.DateTimeFormat(navigator.language, { hour: "numeric", minute: "2-digit" });
const date = new Intl.DateTimeFormat(navigator.language, { weekday: "long", day: "numeric", month: "long" });

export function timeOf(at: number): string {
  return clock.format(at);
}

export function dayOf(at: number, now = new Date()): string {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  if (at >= midnight.getTime()) return words.today;
  return at >= midnight.setDate(midnight.getDate() - 1) ? words.yesterday : date.format(at);
}

export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB"];
  let unit = 0;
  let size = bytes;
  for (; size >= 1000 && unit < units.length - 1; unit += 1) size /= 1000;
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}
