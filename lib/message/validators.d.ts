/** Types of `validators.js`, which `scripts/build-schemas.ts` makes from `types.ts`. */
import type { ChatContext, MessageEvent, Response } from "./types";

export interface Violation {
  /** JSON pointer: `/buttons/0/0/label`. */
  instancePath: string;
  keyword: string;
  params: Record<string, unknown>;
}

/** After a refusal, `errors` holds the first violation. */
export interface Validator<T> {
  (value: unknown): value is T;
  errors?: Violation[] | null;
}

export const validateMessageEvent: Validator<MessageEvent>;
export const validateChatContext: Validator<ChatContext>;
export const validateResponse: Validator<Response>;
