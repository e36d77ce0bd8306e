/**
 * Preloaded into every process that is measured: answers over IPC what it has cost so far, and records a CPU profile
 * when asked to. Costs nothing in between.
 */
const fs = require("node:fs");
const { Session } = require("node:inspector");

let started;
let session;

// Node-RED says when its flows run; the clock of this process counts from its own start.
const write = process.stdout.write;
process.stdout.write = function (chunk, ...rest) {
  if (started === undefined && String(chunk).includes("Started flows")) {
    const { user, system } = process.cpuUsage();
    started = { ms: performance.now(), cpu: user + system };
    process.stdout.write = write;
  }
  return write.call(this, chunk, ...rest);
};

process.on("message", (message) => {
  const ask = message?.meter;
  if (ask === undefined) return;
  if (ask === "gc") {
    global.gc?.();
    global.gc?.();
  }
  if (ask === "profile") {
    session = new Session();
    session.connect();
    session.post("Profiler.enable");
    session.post("Profiler.setSamplingInterval", { interval: 200 });
    session.post("Profiler.start");
  }
  if (ask === "profiled") {
    session.post("Profiler.stop", (_error, { profile }) => {
      fs.writeFileSync(message.file, JSON.stringify(profile));
      session.disconnect();
      answer();
    });
    return;
  }
  answer();
});

function answer() {
  const { user, system } = process.cpuUsage();
  process.send({
    meter: {
      cpu: user + system,
      rss: process.memoryUsage.rss(),
      heap: process.memoryUsage().heapUsed,
      peak: process.resourceUsage().maxRSS * 1024,
      started,
    },
  });
}

// The channel to the bench must not keep the process alive, but its end ends a process that was left alone.
process.channel?.unref();
process.on("disconnect", () => process.exit());
