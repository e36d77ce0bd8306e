/**
 * Preloaded into a Node-RED that `node-red.ts` starts: answers the message "probe" with the memory in use and,
 * when `REDCLAW_PROBE_MODULES` is set, with the files that were loaded so far.
 */
const modules = [];
if (process.env["REDCLAW_PROBE_MODULES"]) {
  require("node:module").registerHooks({
    load(url, context, next) {
      modules.push(url);
      return next(url, context);
    },
  });
}

process.on("message", (message) => {
  if (message !== "probe") return;
  global.gc();
  process.send({ rss: process.memoryUsage.rss(), modules });
});
// The channel to the parent must not keep Node-RED alive.
process.channel?.unref();
