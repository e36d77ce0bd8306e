/**
 * Where requests from outside come in: `<httpNodeRoot>/redclaw/<channel>/<account id>`.
 *
 * Webhooks are taken at the front of the root Express stack, because Node-RED's editor app parses bodies before any
 * node sees them, and a signature can only be checked on the raw bytes; `httpNodeAuth`, which no platform can pass,
 * stands behind it. A gateway with a port of its own takes them there as well. Pages (the web chat) stay behind
 * httpNode, so that httpNodeAuth and httpNodeMiddleware protect them as the owner expects.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { GatewayConfig } from "../../configuration";
import { asError } from "../../errors";
import type { Gateway } from "../../gateway";
import type { FlowEvents } from "../../lifecycle";
import type { Account } from "../account";
import type { Log } from "../define";
import { accountAt, isExact, readAddress, receivesByWebhook } from "./address";
import { refuse } from "./answer";
import { Failures } from "./failures";
import { addressObstacles, type Obstacle, type Servers, serverObstacles } from "./obstacles";
import { OwnPort } from "./own-port";
import { servePage } from "./pages";
import { answerProbe } from "./probe";
import { ownOrigin, SelfTest } from "./self-test";
import { Sentences } from "./sentences";
import { readProxies } from "./source";
import { putFirst, type Stack } from "./stack";
import { acceptsAnybody, takeWebhook } from "./webhook";

export interface IntakeHost {
  httpNode?: unknown;
  /** Node-RED's web server. */
  server?: unknown;
  /** `httpNodeRoot` without a slash at its end; false when Node-RED serves no pages. */
  nodeRoot: string | false;
  /** Until the flows are started, accounts that are not there yet count as starting. */
  events?: FlowEvents;
  log: Log;
}

/** Installs the handlers, once for each Node-RED, and makes the intake known to the gateway. */
export function installIntake(gateway: Gateway, host: IntakeHost): void {
  gateway.intake = new Intake(gateway, host);
}

export class Intake {
  readonly #gateway: Gateway;
  readonly #host: IntakeHost;
  readonly #prefix: string;
  readonly #failures = new Failures();
  readonly #ownPort: OwnPort;
  readonly #selfTest: SelfTest;
  readonly #aboutProxies: Sentences;
  readonly #aboutAccounts = new Map<string, Sentences>();
  /** Accounts that a platform has reached: whatever a rule says, it works. */
  readonly #reached = new WeakSet<Account>();
  #server: Servers["server"];
  #started: boolean;
  #config?: GatewayConfig;
  #proxies = readProxies();
  #portFault?: string;
  #settling?: NodeJS.Immediate;
  #waitsForServer = false;
  #closed = false;

  constructor(gateway: Gateway, host: IntakeHost) {
    this.#gateway = gateway;
    this.#host = host;
    this.#prefix = `${host.nodeRoot || ""}/redclaw/`;
    this.#selfTest = new SelfTest(host.log);
    this.#aboutProxies = new Sentences(host.log);
    this.#ownPort = new OwnPort(
      (request, response) => {
        if (!this.#take(request, response)) refuse(request, response, 404, "Not found.");
      },
      (sentence) => {
        if (sentence && sentence !== this.#portFault) host.log.warn(sentence);
        this.#portFault = sentence;
      },
    );
    this.#server = host.nodeRoot === false ? "no-root" : "none";
    this.#started = host.events === undefined;
    host.events?.on("flows:started", () => {
      this.#started = true;
      this.changed();
    });
    this.#install();
  }

  #install(): void {
    const httpNode = this.#host.httpNode as Stack | undefined;
    if (!httpNode || typeof httpNode.use !== "function") return;
    const mounted = (root: Stack) => {
      const first = putFirst(root, (request, response, next) => {
        if (!this.#take(request, response)) next();
      });
      this.#server = first ? "yes" : "behind";
    };
    if (httpNode.parent) mounted(httpNode.parent);
    else httpNode.on?.("mount", mounted);
    httpNode.use("/redclaw", (request, response, next) => {
      const address = readAddress((request.url ?? "").replace(/^\//, ""));
      const account = address && accountAt(this.#gateway, address);
      if (account?.definition.pages) servePage(account, address?.rest ?? "", request, response);
      else next();
    });
  }

  /** Takes what is a webhook of ours; false for everything else. */
  #take(request: IncomingMessage, response: ServerResponse): boolean {
    const url = request.url ?? "";
    if (!url.startsWith(this.#prefix)) return false;
    if (answerProbe(request, response)) return true;
    const address = readAddress(url.slice(this.#prefix.length));
    if (!address || !isExact(address)) return false;
    const account = accountAt(this.#gateway, address);
    const webhook = (account?.definition ?? this.#gateway.channels.get(address.channel))?.webhook;
    if (!webhook || (account ? !webhook.active(account.settings) : this.#started)) return false;
    if (account) {
      const { proxies } = this.#proxies;
      const verified = () => this.#verified(account);
      void takeWebhook({ account, webhook, request, response, failures: this.#failures, proxies, verified });
    } else {
      // Node-RED's server answers before its flows are started.
      refuse(request, response, 503, "Not now. Try again later.", { "Retry-After": "5" });
    }
    return true;
  }

  #verified(account: Account): void {
    if (this.#reached.has(account)) return;
    this.#reached.add(account);
    account.hinder(undefined);
  }

  /** Call it when settings or accounts are other ones than before. Many calls in one turn cost as much as one. */
  changed(): void {
    if (this.#closed) return;
    this.#settling ??= setImmediate(() => {
      this.#settling = undefined;
      this.#settle().catch((thrown) => this.#host.log.warn(asError(thrown).message));
    });
  }

  async #settle(): Promise<void> {
    const { config } = this.#gateway;
    if (this.#config !== config) this.#proxies = readProxies(config.trustedProxies);
    this.#config = config;
    this.#aboutProxies.say(this.#wrongProxies());
    const accounts = [...this.#gateway.accounts.values()].filter(receivesByWebhook);
    const { webhookPort: port, webhookHost: host = "0.0.0.0" } = config;
    this.#ownPort.want(port && accounts.length > 0 ? { port, host } : undefined);
    for (const account of accounts) await this.#look(account);
    for (const id of this.#aboutAccounts.keys())
      if (!this.#gateway.accounts.has(id)) this.#aboutAccounts.delete(id);
    const connected = accounts.find(({ client }) => client);
    if (connected && this.#started && !this.#closed) this.#test(connected);
  }

  /** Says in the log and the status what keeps the platform from calling this account. */
  async #look(account: Account): Promise<void> {
    const obstacles = [
      ...(await this.#obstaclesOf(account)),
      ...addressObstacles(account, this.#gateway.config.publicUrl),
    ];
    const about = this.#aboutAccounts.get(account.id) ?? new Sentences(account.log);
    this.#aboutAccounts.set(account.id, about);
    about.say(obstacles.map(({ sentence }) => sentence));
    const blocking = this.#reached.has(account) ? undefined : obstacles.find(({ blocks }) => blocks);
    account.hinder(blocking?.sentence);
  }

  async #obstaclesOf(account: Account): Promise<Obstacle[]> {
    const ownPort = Boolean(this.#gateway.config.webhookPort);
    const obstacles = serverObstacles(account, { server: this.#server, ownPort });
    if (!(await acceptsAnybody(account))) return obstacles;
    const sentence = `No secret: anybody could write to this ${account.definition.label} account, so its webhook takes nothing. Open the account and fill in its secret.`;
    return [{ sentence, blocks: true }, ...obstacles];
  }

  #wrongProxies(): string[] {
    return this.#proxies.wrong.map(
      (entry) =>
        `The trusted proxy "${entry}" is no network address, so it is left out. Write it like 127.0.0.1 or 10.0.0.0/8 in the Redclaw gateway.`,
    );
  }

  #test(account: Account): void {
    const { gateway, server } = { gateway: this.#gateway, server: this.#host.server as Server | undefined };
    if (this.#server === "yes" && server && !server.listening) {
      if (!this.#waitsForServer) server.once("listening", () => this.changed());
      this.#waitsForServer = true;
      return;
    }
    const { name } = account.definition;
    const origin = this.#server === "yes" ? ownOrigin(server) : undefined;
    const outside = gateway.publicAddress(name, account.id);
    this.#selfTest.run(
      origin && origin + gateway.accountPath(name, account.id),
      outside && URL.canParse(outside) ? outside : undefined,
    );
  }

  /**
   * What stands in the way of calls to an account, deployed or not yet, for its form. What is to say about the public
   * address the form knows itself.
   */
  async warnings(id: string): Promise<string[]> {
    const account = this.#gateway.accounts.get(id);
    const obstacles = account && receivesByWebhook(account) ? await this.#obstaclesOf(account) : [];
    return [
      ...obstacles.map(({ sentence }) => sentence),
      ...this.#selfTest.obstacles,
      ...this.#wrongProxies(),
      ...(this.#portFault ? [this.#portFault] : []),
    ];
  }

  /** Ends what is of this intake alone; the handlers stay, as Node-RED's server does. */
  close(): void {
    this.#closed = true;
    clearImmediate(this.#settling);
    this.#selfTest.close();
    this.#ownPort.close();
  }
}
