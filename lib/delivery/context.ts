/** The context of an event: all that a reply needs. */
import type { ChannelDefinition } from "../channel/define";
import type { ChatContext, MessageEvent } from "../message/types";

/** Shares no object with the event or the definition: every flow gets its own. */
export function contextOf(event: MessageEvent, { capabilities }: ChannelDefinition): ChatContext {
  const chat: ChatContext = {
    v: 1,
    eventId: event.id,
    channel: event.channel,
    account: event.account,
    conversation: { ...event.conversation },
    sender: { ...event.sender },
    can: { ...capabilities, text: { ...capabilities.text } },
  };
  if (event.messageId !== undefined) chat.messageId = event.messageId;
  // So that answers of this run of the flow are not counted on from those of the run before.
  if (event.redelivered !== undefined) chat.redelivered = event.redelivered;
  return chat;
}
