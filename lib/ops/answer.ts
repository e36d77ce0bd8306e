/** How the admin API answers: always JSON, and an error is `{ ok: false, code, sentence }`. */
import type { Request, RequestHandler, Response } from "express";
import { isStoreTrouble } from "../delivery/ledger";
import { asError, RedclawError } from "../errors";

/** The request cannot be served as it is; `status` is that of HTTP. */
export class Refusal extends RedclawError {
  readonly status: number;
  constructor(status: 400 | 404 | 409, code: string, sentence: string) {
    super(code, sentence);
    this.status = status;
  }
}

/** Runs `work` and answers its result. A failed test of a form is an answer like others (200). */
export function answering(work: (request: Request) => Promise<unknown>): RequestHandler {
  return handler(work, () => 200);
}

/** The same with a status that tells how it went. */
export function answeringStrictly(work: (request: Request) => Promise<unknown>): RequestHandler {
  return handler(work, (error) => {
    if (error instanceof Refusal) return error.status;
    return isStoreTrouble(error) ? 503 : 500;
  });
}

function handler(
  work: (request: Request) => Promise<unknown>,
  statusOf: (error: Error) => number,
): RequestHandler {
  return (request: Request, response: Response) => {
    // What people wrote is read as data only, and no proxy keeps it.
    response.set({ "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" });
    work(request).then(
      (result) => response.json(result),
      (thrown) => {
        const error = asError(thrown);
        const code = error instanceof RedclawError ? error.code : "unexpected";
        response.status(statusOf(error)).json({ ok: false, code, sentence: error.message });
      },
    );
  };
}

export function formOf(request: Request): Record<string, unknown> {
  checkJson(request);
  return objectOf(request.body);
}

/**
 * A page of another site can make a browser send a form, but not JSON (it would be asked whether it may), and its
 * browser names that site. A program that names none needs no JSON when it has nothing to say.
 */
export function checkJson({ headers }: Request): void {
  const empty = headers["content-type"] === undefined && !Number(headers["content-length"] ?? 0);
  if (empty && headers.origin === undefined && headers["sec-fetch-site"] === undefined) return;
  if (!/^application\/json\b/i.test(headers["content-type"] ?? ""))
    throw new Refusal(400, "bad-form", "The request must be sent as JSON (Content-Type: application/json).");
}

export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
