/** Pages that an account serves itself (the web chat). They stay behind httpNode, so that the owner's login applies. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { asError } from "../../errors";
import type { Account } from "../account";
import { answer } from "./answer";

/** @param rest what follows the account in the address */
export function servePage(
  account: Account,
  rest: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { client } = account;
  if (!client?.handle) {
    answer(response, 503, "The chat is just starting. Try again in a few seconds.", { "Retry-After": "3" });
    return;
  }
  Promise.resolve()
    .then(() => client.handle?.(request, response, rest))
    .catch((error) => {
      account.log.error(`${account.definition.label}: ${asError(error).message}`);
      if (response.headersSent) response.destroy();
      else answer(response, 500, "The chat could not answer this request. Look at the Node-RED log.");
    });
}
