/**
 * Preloaded into a process that shall die at one of its steps: counts every COMMIT, every write to a socket and every
 * read from one - before and after each - and kills the process at number `CHAOS_KILL_AT` (0: only counts).
 * The file `CHAOS_STEP_FILE` tells afterwards where that was, or how many steps there were.
 */
const fs = require("node:fs");
const net = require("node:net");
const { DatabaseSync, StatementSync } = require("node:sqlite");

const killAt = Number(process.env["CHAOS_KILL_AT"] ?? 0);
const file = process.env["CHAOS_STEP_FILE"];
let steps = 0;

function step(what) {
  steps += 1;
  if (steps !== killAt) return;
  if (file) fs.writeFileSync(file, `${steps} ${what}`);
  process.kill(process.pid, "SIGKILL");
}

/** Not `process.on("exit")` alone: a process that ends by itself has gone through the script. */
process.once("exit", () => {
  if (file) fs.writeFileSync(file, `${steps} the end`);
});

const ENDS_TRANSACTION = /^\s*(COMMIT|END)\b/i;
const WRITES = /^\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|PRAGMA journal_mode)/i;

/** A step is what becomes durable: a COMMIT, or a statement outside of a transaction. */
function isDurable(sql, database) {
  return ENDS_TRANSACTION.test(sql) || (WRITES.test(sql) && !database?.isTransaction);
}

const databases = new WeakMap();
const { prepare, exec } = DatabaseSync.prototype;
DatabaseSync.prototype.prepare = function (sql, ...rest) {
  const statement = prepare.call(this, sql, ...rest);
  databases.set(statement, { sql, database: this });
  return statement;
};
DatabaseSync.prototype.exec = function (sql) {
  const durable = isDurable(sql, this);
  const name = sql.trim().slice(0, 30);
  if (durable) step(`before ${name}`);
  const result = exec.call(this, sql);
  if (durable) step(`after ${name}`);
  return result;
};
for (const method of ["run", "get", "all"]) {
  const original = StatementSync.prototype[method];
  StatementSync.prototype[method] = function (...values) {
    const { sql = "", database } = databases.get(this) ?? {};
    const durable = isDurable(sql, database);
    const name = sql.trim().slice(0, 30);
    if (durable) step(`before ${name}`);
    const result = original.apply(this, values);
    if (durable) step(`after ${name}`);
    return result;
  };
}

for (const method of ["_write", "_writev"]) {
  const original = net.Socket.prototype[method];
  net.Socket.prototype[method] = function (...values) {
    if (this.chaosIgnored) return original.apply(this, values);
    const [data] = values;
    const text =
      Buffer.isBuffer(data) || typeof data === "string" ? String(data) : String(data?.[0]?.chunk ?? "");
    const name = text
      .slice(0, 60)
      .split("\r\n")[0]
      .replace(/\/bot[^/]*/, "");
    step(`before sending ${name}`);
    const result = original.apply(this, values);
    step(`after sending ${name}`);
    return result;
  };
}

const { push } = net.Socket.prototype;
net.Socket.prototype.push = function (chunk, ...rest) {
  if (chunk === null || this.chaosIgnored) return push.call(this, chunk, ...rest);
  const name = String(chunk).slice(0, 40).split("\r\n")[0];
  step(`before reading ${name}`);
  const result = push.call(this, chunk, ...rest);
  step(`after reading ${name}`);
  return result;
};
// What it says to us is no step of the product.
for (const stream of [process.stdout, process.stderr]) stream.chaosIgnored = true;
