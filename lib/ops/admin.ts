/** The admin API below `<httpAdminRoot>/redclaw/api/`: JSON, every route with a permission. */
import type { RequestHandler, Router } from "express";
import { Account } from "../channel/account";
import { accountConfig } from "../channel/settings";
import { RedclawError } from "../errors";
import type { Gateway } from "../gateway";
import { answering, formOf, objectOf } from "./answer";
import { installLedger } from "./ledger-routes";

/** What Node-RED puts in a password field instead of the saved secret. */
const SAVED = "__PWRD__";

export interface AdminHost {
  httpAdmin?: Pick<Router, "get" | "post">;
  auth: { needsPermission(permission: string): RequestHandler };
  nodes: { getCredentials(id: string): Record<string, string> | undefined };
  settings: { [setting: string]: unknown };
}

export function installAdmin(gateway: Gateway, host: AdminHost): void {
  const { httpAdmin, auth } = host;
  if (!httpAdmin) return;
  const read = auth.needsPermission("redclaw.read");
  const write = auth.needsPermission("redclaw.write");

  httpAdmin.get(
    "/redclaw/api/accounts",
    read,
    answering(async () => [...gateway.accounts.values()].map((account) => accountOf(gateway, account))),
  );

  // So that the editor can tell what a proxy puts in front of our paths.
  httpAdmin.get(
    "/redclaw/api/roots",
    read,
    answering(async () => {
      const httpAdminRoot = host.settings["httpAdminRoot"];
      return { adminRoot: typeof httpAdminRoot === "string" ? httpAdminRoot.replace(/\/+$/, "") : "" };
    }),
  );

  installLedger(gateway, httpAdmin, { read, write });

  httpAdmin.get(
    "/redclaw/api/accounts/:id/targets",
    read,
    answering(async ({ params, query }) => gateway.targets(String(params["id"]), String(query["q"] ?? ""))),
  );

  httpAdmin.post(
    "/redclaw/api/accounts/:id/test",
    write,
    answering(async (request) => {
      const form = formOf(request);
      const definition = gateway.channels.get(String(form["type"] ?? "").replace(/^redclaw-/, ""));
      if (!definition)
        throw new RedclawError("unknown-channel", "This channel is not installed in the running Node-RED.");
      const id = String(request.params["id"]);
      const settings = accountConfig(
        definition,
        { ...objectOf(form["options"]), id },
        withSaved(objectOf(form["credentials"]), host.nodes.getCredentials(id)),
      );
      const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
      return { ok: true, ...(await Account.test(gateway, definition, settings, log)) };
    }),
  );

  for (const action of ["test", "list"] as const) {
    httpAdmin.post(
      `/redclaw/api/models/:id/${action}`,
      write,
      answering(async (request) => {
        const form = formOf(request);
        const saved = host.nodes.getCredentials(String(request.params["id"]));
        const { apiKey } = withSaved({ apiKey: form["apiKey"] }, saved);
        const { listModels, testModel } = await import("../ai/form.js");
        const settings = { ...withEnvironment(form), apiKey, fetch: gateway.ownHttp.fetch };
        return action === "test" ? await testModel(settings) : await listModels(settings);
      }),
    );
  }
}

/** How an account is: its connection, what waits, and why. Times in milliseconds. */
function accountOf(gateway: Gateway, { id, definition, settings, status, slowForMs, breaker }: Account) {
  const nextTryMs = breaker.waitMs();
  return {
    id,
    channel: definition.name,
    name: settings.name,
    status,
    ...gateway.outbox.counts(id),
    inboxWaiting: gateway.inbox.waiting(id),
    slowForMs: Math.ceil(slowForMs),
    // While a message tries there is no next time yet.
    breaker: breaker.open
      ? { open: true, ...(Number.isFinite(nextTryMs) ? { nextTryMs: Math.ceil(nextTryMs) } : {}) }
      : { open: false },
    ...(gateway.trouble === undefined ? {} : { trouble: gateway.trouble }),
  };
}

/** Secrets of the form; one that was not typed anew is the saved one. `${ENV}` is replaced. */
function withSaved(
  form: Record<string, unknown>,
  saved: Record<string, string> = {},
): Record<string, string | undefined> {
  const typed = Object.entries(form).flatMap(([field, value]) =>
    typeof value === "string" && value !== SAVED ? [[field, value] as const] : [],
  );
  return withEnvironment({ ...saved, ...Object.fromEntries(typed) }) as Record<string, string | undefined>;
}

function withEnvironment(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [
      field,
      typeof value === "string"
        ? value.replace(/\$\{([^}\s]+)\}/g, (_whole, name: string) => process.env[name] ?? "")
        : value,
    ]),
  );
}

function ignore(): void {}
