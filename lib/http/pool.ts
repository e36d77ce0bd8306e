/**
 * Pooled keep-alive connections. There are two pools, and a socket of the one is never used by the other: `guarded`
 * refuses private addresses at the moment of connecting, `open` reaches everything (for hosts a user entered).
 */
import type { LookupFunction, Socket } from "node:net";
import type { Agent, buildConnector, Dispatcher } from "undici";
import { guardedLookup, isLiteral, isPrivateAddress, PrivateAddress } from "./addresses";

const CONNECT_TIMEOUT_MS = 10_000;
/** Per origin: far more than a bot needs, few enough not to run out of ports. */
const CONNECTIONS = 128;

export interface Pools {
  guarded: Dispatcher;
  open: Dispatcher;
  /** Cuts every connection. */
  destroy(): Promise<void>;
}

/** Makes both pools; opens nothing yet. `lookup` replaces the system's name resolution. */
export function createPools(lookup?: LookupFunction): Pools {
  const undici = loadUndici();
  const pool = (connect: buildConnector.connector): Agent =>
    new undici.Agent({ connect, connections: CONNECTIONS });
  const common = { timeout: CONNECT_TIMEOUT_MS, autoSelectFamily: true };
  const sockets = new Set<Socket>();
  const connector = (rule: LookupFunction | undefined) =>
    tracked(undici.buildConnector(rule ? { ...common, lookup: rule } : common), sockets);
  const open = pool(connector(lookup));
  const guarded = pool(guard(connector(guardedLookup(lookup))));
  return {
    guarded,
    open,
    destroy: async () => {
      await Promise.all([guarded.destroy(), open.destroy()]);
      // undici leaves a socket that is still connecting to its timeout.
      for (const socket of sockets) socket.destroy(new Error("closed"));
    },
  };
}

function tracked(connect: buildConnector.connector, sockets: Set<Socket>): buildConnector.connector {
  return (options, callback) => {
    // The types leave out that a connector answers its socket.
    const socket = connect(options, callback) as unknown as Socket;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    return socket;
  };
}

function guard(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    // A literal address is not looked up, so the guarded lookup never sees it.
    if (isLiteral(options.hostname) && isPrivateAddress(options.hostname)) {
      callback(new PrivateAddress(options.hostname), null);
      return;
    }
    connect(options, (...result) => {
      const socket: Socket | null = result[1];
      if (socket && isPrivateAddress(socket.remoteAddress ?? "")) {
        socket.destroy();
        callback(new PrivateAddress(options.hostname), null);
      } else callback(...result);
    });
  };
}

interface Undici {
  Agent: new (options: Agent.Options) => Agent;
  buildConnector: typeof buildConnector;
}

/** The two files of undici that we use. The whole of it takes twice the memory (30 MB), for a second `fetch`. */
function loadUndici(): Undici {
  try {
    return {
      Agent: require("undici/lib/dispatcher/agent.js") as Undici["Agent"],
      buildConnector: require("undici/lib/core/connect.js") as Undici["buildConnector"],
    };
  } catch {
    return require("undici") as Undici;
  }
}
