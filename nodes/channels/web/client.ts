/** The web channel at work: serves the page of one account and carries messages to and from its visitors. */
import { createHash, randomBytes } from "node:crypto";
import path from "node:path";
import type {
  Client,
  Connect,
  ConnectContext,
  Destination,
  Identity,
  MessagePart,
  OpenedFile,
  SendOptions,
  TextPart,
} from "../../../lib/channel/define";
import { ChannelError } from "../../../lib/errors";
import { toHtml } from "../../../lib/message/markdown";
import { Assets } from "./assets";
import { Doors } from "./doors";
import { carryEarlier } from "./earlier";
import { Files } from "./files";
import { Conversations } from "./history";
import { Intake } from "./intake";
import { Origins } from "./origins";
import { parsePosted } from "./parse";
import { contentOf, draftOf, viewOf } from "./render";
import type { Conversation, Entry } from "./replay";
import { Site, type Welcome } from "./site";
import { Streams } from "./streams";
import { isVisitorId, Passes, visitorName } from "./visitors";

const HEARTBEAT_MS = 15_000;
const CLOSE_WITHIN_MS = 1_500;
const SUGGESTIONS_MAX = 3;
const TARGETS_MAX = 20;

export interface WebOptions {
  /** Folder with the built page. */
  pageFolder?: string;
  heartbeatMs?: number;
  /** Where the folder with the files is made; default: the system's place for temporary files. */
  filesIn?: string;
}

export const connect: Connect = (ctx) => openWeb(ctx);

/** Opens the page of one account. */
export async function openWeb(ctx: ConnectContext, options: WebOptions = {}): Promise<Client> {
  const secret = (await ctx.memory.get<string>("secret")) ?? (await newSecret(ctx));
  await carryEarlier(ctx.memory);
  const conversations = await Conversations.load(ctx.memory);
  const files = new Files(secret, ctx.account.id, options.filesIn);
  const streams = new Streams((visitors) => report(ctx, visitors), options.heartbeatMs ?? HEARTBEAT_MS);
  const site = new Site({
    doors: new Doors(
      new Passes(secret, ctx.account.id),
      new Origins(text(ctx, "allowOrigins")),
      ctx.account.credentials["token"]?.trim() ?? "",
    ),
    assets: new Assets(options.pageFolder ?? path.join(__dirname, "page"), {
      title: titleOf(ctx),
      color: /^#[0-9a-f]{6}$/i.test(text(ctx, "color")) ? text(ctx, "color") : "#0f766e",
    }),
    conversations,
    streams,
    files,
    intake: new Intake(ctx, conversations, streams, files),
    welcome: () => welcomeOf(ctx),
    warn: (sentence) => ctx.log.warn(sentence),
  });
  report(ctx, 0);
  return new WebClient(ctx, conversations, streams, files, site);
}

class WebClient implements Client {
  readonly #ctx: ConnectContext;
  readonly #conversations: Conversations;
  readonly #streams: Streams;
  readonly #files: Files;
  readonly #site: Site;
  /** By message id. */
  readonly #sending = new Map<string, Promise<void>>();

  constructor(ctx: ConnectContext, conversations: Conversations, streams: Streams, files: Files, site: Site) {
    this.#ctx = ctx;
    this.#conversations = conversations;
    this.#streams = streams;
    this.#files = files;
    this.#site = site;
  }

  receive(update: unknown) {
    return parsePosted(update, this.#ctx.account.id);
  }

  handle: NonNullable<Client["handle"]> = (request, response, path) =>
    this.#site.handle(request, response, path);

  async send(part: MessagePart, to: Destination, { key }: SendOptions): Promise<{ messageId: string }> {
    // The same key gives the same id: a page that has seen the first try shows the second in its place.
    const messageId = createHash("sha256")
      .update(JSON.stringify([to.conversation, key]))
      .digest("base64url")
      .slice(0, 22);
    const sending = this.#sending.get(messageId) ?? this.#send(part, to, messageId, key);
    this.#sending.set(messageId, sending);
    try {
      await sending;
    } finally {
      this.#sending.delete(messageId);
    }
    return { messageId };
  }

  async #send(part: MessagePart, to: Destination, messageId: string, key: string): Promise<void> {
    // What an earlier try has left is durable.
    if ((await this.#conversationOf(to.conversation)).sentWith(key)) return;
    const file = part.kind === "file" ? await this.#keepFile(part.file, to) : undefined;
    // Asked for again: while the file was opened, it may have left the memory.
    const conversation = await this.#conversationOf(to.conversation);
    const entry = conversation.add(draftOf(part, messageId, key, file));
    this.#tell(conversation, entry);
    try {
      await this.#keep(conversation, entry);
    } catch (error) {
      conversation.drop(messageId);
      throw error;
    }
  }

  async edit(messageId: string, part: TextPart, to: Destination): Promise<void> {
    await this.#change(to, messageId, (conversation) =>
      conversation.change(messageId, { ...contentOf(part), edited: true }),
    );
  }

  async remove(messageId: string, to: Destination): Promise<void> {
    await this.#change(
      to,
      messageId,
      // Taken away already: an earlier try did it.
      (conversation) => conversation.remove(messageId) ?? conversation.find(messageId),
    );
  }

  async react(messageId: string, emoji: string, to: Destination): Promise<void> {
    await this.#change(to, messageId, (conversation) =>
      conversation.change(messageId, { reaction: emoji || undefined }),
    );
  }

  async typing(to: Destination): Promise<void> {
    this.#streams.tell(to.conversation, "typing", {});
  }

  async download(ref: string): Promise<OpenedFile> {
    const file = await this.#files.get(ref);
    if (!file)
      throw new ChannelError(
        "gone",
        "The file is no longer there: files of the chat page are kept for 30 days.",
        { code: "file-gone" },
      );
    return { data: file.data, name: file.name, mime: file.mime };
  }

  async targets(query: string) {
    const wanted = query.trim().toLowerCase();
    return this.#conversations.visitors
      .map(({ id }) => ({ id, name: visitorName(id), kind: "direct" as const }))
      .filter(({ id, name }) => name.toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted))
      .slice(0, TARGETS_MAX);
  }

  async test(): Promise<Identity> {
    return {
      name: titleOf(this.#ctx),
      sentence: `Deploy, then the chat page stands at ${this.#ctx.path}/ on this server.`,
    };
  }

  async close(): Promise<void> {
    this.#site.close();
    this.#streams.close();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_WITHIN_MS);
    });
    await Promise.race([this.#conversations.settled(), late]);
    clearTimeout(timer);
  }

  async #keepFile(attachment: Parameters<ConnectContext["open"]>[0], to: Destination) {
    const opened = await this.#ctx.open(attachment);
    return this.#files.put("bot", to.conversation, { ...opened, kind: attachment.kind });
  }

  async #conversationOf(visitor: string): Promise<Conversation> {
    if (!isVisitorId(visitor) || !(this.#conversations.has(visitor) || this.#streams.has(visitor))) {
      throw new ChannelError(
        "gone",
        "There is no such visitor on the chat page, or the conversation was forgotten after 30 days.",
        {
          code: "no-such-visitor",
        },
      );
    }
    return this.#conversations.of(visitor);
  }

  async #change(
    to: Destination,
    messageId: string,
    change: (conversation: Conversation) => Entry | undefined,
  ): Promise<void> {
    const conversation = await this.#conversationOf(to.conversation);
    const entry = change(conversation);
    if (!entry) {
      throw new ChannelError(
        "refused",
        `The message ${messageId} is no longer on the chat page: the last 200 of a visitor are kept.`,
        {
          code: "message-gone",
        },
      );
    }
    this.#tell(conversation, entry);
    await this.#keep(conversation, entry);
  }

  #tell(conversation: Conversation, entry: Entry): void {
    this.#streams.tell(conversation.visitor, "message", viewOf(entry), entry.rev);
  }

  /** Only what is kept counts as sent: a visitor without an open page sees it on return. */
  async #keep(conversation: Conversation, entry: Entry): Promise<void> {
    try {
      await this.#conversations.keep(conversation, entry);
    } catch (cause) {
      throw new ChannelError(
        "unavailable",
        "The answer could not be stored for the chat page. It is tried again.",
        { cause },
      );
    }
  }
}

async function newSecret(ctx: ConnectContext): Promise<string> {
  const secret = randomBytes(32).toString("base64url");
  await ctx.memory.set("secret", secret);
  return secret;
}

function report(ctx: ConnectContext, visitors: number): void {
  ctx.status({ state: "connected", identity: visitors === 1 ? "1 visitor" : `${visitors} visitors` });
}

function welcomeOf(ctx: ConnectContext): Welcome {
  const lines = text(ctx, "suggestions").split("\n");
  const suggestions = lines.map((suggestion) => suggestion.trim()).filter((suggestion) => suggestion !== "");
  return {
    title: titleOf(ctx),
    greeting: toHtml(text(ctx, "greeting")),
    suggestions: suggestions.slice(0, SUGGESTIONS_MAX),
  };
}

function titleOf(ctx: ConnectContext): string {
  return text(ctx, "title").trim() || "Chat";
}

function text(ctx: ConnectContext, option: string): string {
  const value = ctx.account.options[option];
  return value === undefined ? "" : String(value);
}
