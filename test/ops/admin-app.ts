/** The admin API on a server of its own, without a Node-RED around it, and what it has for routes. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { RequestHandler, Router } from "express";
import type { Gateway } from "../../lib/gateway";
import { installAdmin } from "../../lib/ops/admin";

/** The Express of Node-RED itself. */
const express = createRequire(require.resolve("node-red"))("express") as {
  (): RequestListener & { use(...handlers: unknown[]): void };
  Router(): Router;
  json(): RequestHandler;
};

export interface AdminRoute {
  method: "GET" | "POST";
  /** As it stands in the code, with `:id`. */
  path: string;
  /** Asked for before anything else happens. */
  permission?: string;
}

type Guard = RequestHandler & { permission?: string };

function adminRouter(gateway: Gateway): Router {
  const httpAdmin = express.Router();
  installAdmin(gateway, {
    httpAdmin,
    auth: {
      needsPermission: (permission) => {
        const guard: Guard = (_request, _response, next) => next();
        guard.permission = permission;
        return guard;
      },
    },
    nodes: { getCredentials: () => undefined },
    settings: {},
  });
  return httpAdmin;
}

/** All of them, read from the router: also those that no test names. */
export function adminRoutes(gateway: Gateway): AdminRoute[] {
  return adminRouter(gateway).stack.flatMap(({ route }) => {
    if (!route) throw new Error("a handler without a route has no permission");
    const { path, stack } = route as unknown as {
      path: string;
      stack: { method: string; handle: Guard }[];
    };
    const methods = new Set(stack.map(({ method }) => method));
    return [...methods].map((method) => ({
      method: method.toUpperCase() as "GET",
      path,
      permission: stack.find((layer) => layer.method === method)?.handle.permission,
    }));
  });
}

export interface AdminApp {
  /** Ends with a slash. */
  url: string;
  ask(
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Promise<{ status: number; headers: Headers; json: never }>;
  close(): Promise<void>;
}

export async function serveAdmin(gateway: Gateway): Promise<AdminApp> {
  const app = express();
  app.use(express.json());
  app.use(adminRouter(gateway));
  const server: Server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/redclaw/api/`,
    async ask(method, path, body, type = "application/json") {
      const answer = await fetch(`http://127.0.0.1:${port}/redclaw/api/${path}`, {
        method,
        headers: { "content-type": type },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: answer.status, headers: answer.headers, json: (await answer.json()) as never };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
