/** What every bare echo shares: the poll loop, and one answer after the other in each chat. */

/** The parts of a Telegram update that an echo needs. */
export interface Update {
  update_id: number;
  message: { chat: { id: number }; text: string };
}

/** Calls a method of the Bot API. Resolves with `result`. */
export type Call = (method: string, args: object) => Promise<unknown>;

/** Sends each text back; answers of one chat leave one after the other, as every bot must. */
export class Echo {
  readonly #call: Call;
  readonly #lastOf = new Map<number, Promise<unknown>>();

  constructor(call: Call) {
    this.#call = call;
  }

  take({ message }: Update): void {
    const chat = message.chat.id;
    const send = () => this.#call("sendMessage", { chat_id: chat, text: message.text });
    const sending = (this.#lastOf.get(chat)?.then(send) ?? send()).finally(() => {
      if (this.#lastOf.get(chat) === sending) this.#lastOf.delete(chat);
    });
    this.#lastOf.set(chat, sending);
  }
}

export async function pollAndEcho(call: Call): Promise<void> {
  const echo = new Echo(call);
  for (let offset = 0; ; ) {
    const updates = (await call("getUpdates", { offset, limit: 100, timeout: 30 })) as Update[];
    for (const update of updates) {
      offset = update.update_id + 1;
      echo.take(update);
    }
  }
}
