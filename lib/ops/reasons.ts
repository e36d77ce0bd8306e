/** What a step of a message's path says to a person: sentences for the codes that the ledger keeps. */

const SENTENCES: Record<string, string> = {
  answered: "An answer was sent.",
  "let-go": "It was let go without an answer.",
  ended: "It reached the end of its flow.",
  failed: "The answer to it could not be delivered.",
  dismissed: "It was dismissed by hand.",
  "by hand": "It was sent again by hand.",
  crashes: "Node-RED crashed each time this message was in the flow, so it is kept out of it.",
  "too late": "It waited too long until a flow could take it.",
  unreadable: "It cannot be read any more, because the key of the database was lost or changed.",
  expired: "It could not be sent while it made sense.",
  "no account": "Its account is not there any more.",
  "stopped in the middle": "Node-RED stopped while it was being sent, so it may not have been delivered.",
  closing: "Its account was closed before it could be sent.",
  "channel-auth": "The platform refused the account's credential.",
  "channel-rate": "The platform asked to send more slowly.",
  "channel-conflict": "Another copy of this bot was at work.",
  "channel-unreachable": "The platform could not be reached.",
  "channel-interrupted": "The connection broke while it was being sent.",
  "channel-unavailable": "The platform could not take it at that moment.",
  "channel-formatting": "The platform could not read how the text is formatted.",
  "channel-gone": "The chat is gone, or the bot was blocked or removed there.",
  "channel-refused": "The platform did not accept it.",
  "message-gone": "The message that it is about is not there any more.",
  "no-such-visitor": "This chat does not exist on the chat page.",
  "no-text": "There was nothing in it to send.",
  "no-file": "A file in it could not be sent.",
  "file-missing": "A file in it was not found.",
  "file-gone": "A file in it is not there any more.",
  "file-empty": "A file in it is empty.",
  "file-unreadable": "A file in it could not be read.",
  "file-too-large": "A file in it is too large for the platform.",
  "too-large": "A file in it is too large.",
  "private-address": "A file in it has an address in the local network, which is not allowed.",
  timeout: "It took too long.",
};

const HELD: Record<string, string> = {
  event: "The answer to it is held, because it may not have been delivered.",
  response: "The connection broke while it was being sent, so it may not have been delivered.",
};

/** A sentence for a code of the trail; "" where there is none. */
export function sentenceFor(reason: string | undefined, kind: "event" | "response"): string {
  if (reason === undefined) return "";
  const known = reason === "held" ? HELD[kind] : SENTENCES[reason];
  if (known !== undefined) return known;
  return /\s/.test(reason) ? reason : `The reason is "${reason}".`;
}
