/** What the form of an account asks: does anything stand in the way of its webhook? */
import type { RequestHandler, Router } from "express";
import { asError } from "../../errors";
import type { Gateway } from "../../gateway";

export interface FormHost {
  httpAdmin?: Pick<Router, "get">;
  auth: { needsPermission(permission: string): RequestHandler };
}

/** `GET <httpAdminRoot>/redclaw/api/accounts/<id>/webhook` -> `{ warnings: string[] }`, sentences for the owner. */
export function installWebhookForm(gateway: Gateway, { httpAdmin, auth }: FormHost): void {
  httpAdmin?.get(
    "/redclaw/api/accounts/:id/webhook",
    auth.needsPermission("redclaw.read"),
    (request, response) => {
      Promise.resolve(gateway.intake?.warnings(String(request.params["id"])) ?? []).then(
        (warnings) => response.json({ warnings }),
        (thrown) => response.json({ warnings: [asError(thrown).message] }),
      );
    },
  );
}
