/** Calls of the Bot API with undici's `request`: the cheapest client that is not a bare socket. */
import { Pool } from "undici";
import type { Call } from "./echo";

export function bareCall(apiRoot: string, token: string): Call {
  const pool = new Pool(apiRoot, { connections: 64 });
  const headers = { "content-type": "application/json" };
  return async (method, args) => {
    const { body } = await pool.request({
      path: `/bot${token}/${method}`,
      method: "POST",
      headers,
      body: JSON.stringify(args),
    });
    return ((await body.json()) as { result: unknown }).result;
  };
}
