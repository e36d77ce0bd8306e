/**
 * Preloaded into a Node-RED: answers the message "insides" with what must stay constant over deploys - timers, sockets,
 * listeners of the process, and the layers of all Express stacks behind its HTTP servers - and the memory in use.
 * `CHAOS_CLOCK_MS` shifts its wall clock; the file named in `CHAOS_CLOCK_FILE` does so while it runs.
 */
const fs = require("node:fs");
const http = require("node:http");

const servers = new Set();
const { createServer } = http;
http.createServer = (...args) => {
  const server = createServer(...args);
  servers.add(server);
  return server;
};

/** Layers of an Express application or router and of those mounted in it. */
function layersOf(handler, seen = new Set()) {
  if (!handler || seen.has(handler)) return 0;
  seen.add(handler);
  const stack = handler.stack ?? handler._router?.stack ?? handler.router?.stack;
  if (!Array.isArray(stack)) return 0;
  let count = stack.length;
  for (const { handle, route } of stack) {
    count += layersOf(handle, seen) + (route?.stack.length ?? 0);
  }
  return count;
}

function count(names) {
  const counts = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Applications are mounted behind closures, so they are noted when they are made. */
const applications = new Set();
const Module = require("node:module");
const load = Module._load;
let express;
Module._load = function (request, ...rest) {
  const loaded = load.call(this, request, ...rest);
  if (request !== "express" || typeof loaded !== "function") return loaded;
  express ??= new Proxy(loaded, {
    apply(target, self, args) {
      const application = Reflect.apply(target, self, args);
      applications.add(application);
      return application;
    },
  });
  return express;
};

process.on("message", (message) => {
  if (message !== "insides") return;
  global.gc?.();
  const { heapUsed } = process.memoryUsage();
  const seen = new Set();
  let layers = 0;
  for (const server of servers)
    for (const handler of server.listeners("request")) layers += layersOf(handler, seen);
  for (const application of applications) layers += layersOf(application, seen);
  process.send({
    rss: process.memoryUsage.rss(),
    heapUsed,
    resources: count(process.getActiveResourcesInfo()),
    listeners: Object.fromEntries(
      process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
    ),
    layers,
  });
});
process.channel?.unref();

// A clock that is wrong, or is set while the process runs. Timers and performance.now are not touched by it.
const file = process.env["CHAOS_CLOCK_FILE"];
let shift = Number(process.env["CHAOS_CLOCK_MS"] ?? 0);
if (file || shift !== 0) {
  const RealDate = Date;
  const read = () => {
    try {
      shift = Number(fs.readFileSync(file, "utf8")) || 0;
    } catch {
      // Not there yet: the clock is right.
    }
  };
  if (file) setInterval(read, 50).unref();
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      if (args.length === 0) super(RealDate.now() + shift);
      else super(...args);
    }
    static now() {
      return RealDate.now() + shift;
    }
  };
}
