/** One bot in a real Node-RED, behind a front that can do to its calls what it likes: the scene of most tests. */
import { NodeRedChild } from "./child";
import { type AccountNode, echoFlow, type FlowOptions } from "./flows";
import { Front } from "./front";
import { readLedger } from "./ledger";
import { type Bounds, broken, judge, type Verdict } from "./oracle";
import { databaseOf } from "./package";
import { TelegramSide } from "./telegram-side";
import { eventually } from "./wait";

export interface BotOptions extends FlowOptions {
  promised?: "hold" | "resend";
  from?: string;
  /** Files that Node.js loads before Node-RED. */
  preload?: string[];
  account?: Partial<AccountNode>;
}

export class Bot {
  readonly side: TelegramSide;
  readonly front: Front;
  readonly red: NodeRedChild;
  readonly #options: BotOptions;

  private constructor(options: BotOptions) {
    this.#options = options;
    this.side = new TelegramSide({ account: "acct", promised: options.promised ?? "hold" });
    this.front = new Front(() => this.side.server.url);
    const { from, preload } = options;
    this.red = new NodeRedChild({ flows: [], ...(from && { from }), ...(preload && { preload }) });
  }

  /** Started, deployed and polling. */
  static async start(options: BotOptions = {}): Promise<Bot> {
    const bot = new Bot(options);
    try {
      await bot.side.server.start();
      await bot.front.start();
      await bot.red.start();
      await bot.deploy();
      if (!(await eventually(() => bot.front.of("getUpdates").length > 0, 10_000)))
        throw new Error(`The bot does not poll:\n${bot.red.log}`);
      return bot;
    } catch (error) {
      await bot.close();
      throw error;
    }
  }

  flow(account: Partial<AccountNode> = {}, flow: FlowOptions = {}) {
    return echoFlow(
      [{ side: this.side, id: "acct", apiRoot: this.front.url, ...this.#options.account, ...account }],
      { ...this.#options, ...flow },
    );
  }

  async deploy(account?: Partial<AccountNode>): Promise<void> {
    await this.red.deploy(this.flow(account));
  }

  /** True when everything that was asked has at least one answer. */
  isAnswered(): boolean {
    const got = new Set(this.side.delivered().map(({ id }) => id));
    return this.side.asked().every(({ id }) => got.has(id));
  }

  /** The same within some time. */
  answered(withinMs: number): Promise<boolean> {
    return eventually(() => this.isAnswered(), withinMs);
  }

  /** Ends Node-RED and judges. */
  async verdict(bounds?: Bounds): Promise<{ verdict: Verdict; broken: string[] }> {
    await this.red.stop();
    const verdict = judge([this.side], await readLedger(databaseOf(this.red.userDir), this.red.from));
    return { verdict, broken: broken(verdict, bounds) };
  }

  async close(): Promise<void> {
    await this.red.remove();
    await this.front.stop();
    await this.side.stop();
  }
}
