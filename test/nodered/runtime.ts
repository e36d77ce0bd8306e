/** A real Node-RED with this checkout (its `dist/`) installed, in a child process and a user directory of its own. */
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { type FlowNode, linkPackage, startNodeRed as startChild } from "../../scripts/node-red";

export interface RuntimeOptions {
  /** `httpAdminRoot`, for example `/admin`. */
  adminRoot?: string;
  /** `httpNodeRoot`, for example `/api`. */
  nodeRoot?: string;
  /** Switches `adminAuth` on, with this one user who may do everything. */
  adminAuth?: { username: string; password: string };
  /** Flows that are there at the start. */
  flows?: FlowNode[];
  /** Laid over the settings. Plain JSON. */
  settings?: Record<string, unknown>;
  env?: Record<string, string>;
  /** Prepares the user directory before the start: installs further packages, for example. */
  prepare?: (userDir: string) => void;
}

export interface Runtime {
  /** The server, no slash at its end. */
  url: string;
  /** Below it stands the editor, no slash at its end. */
  adminUrl: string;
  /** Below it stands what nodes serve, no slash at its end. */
  nodeUrl: string;
  userDir: string;
  /** Deploys through the admin API. `flows` may carry `credentials`. */
  deploy(flows: FlowNode[], type?: "full" | "nodes" | "flows" | "reload"): Promise<void>;
  /** JSON of the admin API. Rejects with the answer's text when it is not 2xx. */
  get<T = unknown>(address: string): Promise<T>;
  post<T = unknown>(address: string, body: unknown): Promise<T>;
  /** All it wrote so far. */
  logs(): string;
  stop(): Promise<void>;
}

export async function startNodeRed(options: RuntimeOptions = {}): Promise<Runtime> {
  const userDir = fs.mkdtempSync(path.join(os.tmpdir(), "redclaw-test-"));
  linkPackage(userDir);
  options.prepare?.(userDir);
  const adminRoot = trim(options.adminRoot);
  const nodeRoot = trim(options.nodeRoot);
  // Another Node-RED than the installed one: `npm run matrix -- --tests` runs these tests on the oldest we support.
  const from = process.env["REDCLAW_NODE_RED"];
  const child = await startChild({
    userDir,
    ...(from && { from }),
    ...(options.flows && { flows: options.flows }),
    ...(options.env && { env: options.env }),
    settings: {
      httpAdminRoot: `${adminRoot}/`,
      httpNodeRoot: `${nodeRoot}/`,
      ...(options.adminAuth && { adminAuth: authSettings(options.adminAuth) }),
      ...options.settings,
    },
  });
  const adminUrl = child.url + adminRoot;
  const headers: Record<string, string> = { accept: "application/json", "content-type": "application/json" };

  const ask = async <T>(method: string, address: string, body?: unknown, more = {}): Promise<T> => {
    const answer = await fetch(`${adminUrl}/${address}`, {
      method,
      headers: { ...headers, ...more },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${address}: ${answer.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  };

  if (options.adminAuth) {
    const { access_token } = await ask<{ access_token: string }>("POST", "auth/token", {
      client_id: "node-red-admin",
      grant_type: "password",
      scope: "*",
      ...options.adminAuth,
    });
    headers["authorization"] = `Bearer ${access_token}`;
  }

  return {
    url: child.url,
    adminUrl,
    nodeUrl: child.url + nodeRoot,
    userDir,
    async deploy(flows, type = "full") {
      await ask(
        "POST",
        "flows",
        { flows },
        { "node-red-api-version": "v2", "node-red-deployment-type": type },
      );
    },
    get: (address) => ask("GET", address),
    post: (address, body) => ask("POST", address, body),
    logs: child.log,
    async stop() {
      await child.stop();
      fs.rmSync(userDir, { recursive: true, force: true });
    },
  };
}

function trim(root = ""): string {
  return root.replace(/^\/*/, "/").replace(/\/+$/, "");
}

/** The same bcrypt that Node-RED checks passwords with. */
function authSettings({ username, password }: { username: string; password: string }): object {
  const nodeRedRequire = createRequire(require.resolve("node-red"));
  const { hashSync } = nodeRedRequire("bcryptjs") as { hashSync(text: string, rounds: number): string };
  return { type: "credentials", users: [{ username, password: hashSync(password, 4), permissions: "*" }] };
}
