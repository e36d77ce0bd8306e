/** `redclaw-ai`: a turn with a model. The text goes in, a Response comes out; what was not answered leaves below. */
import { History, type Window } from "../../lib/ai/history";
import { fillInstructions } from "../../lib/ai/instructions";
import { type Model, openModel } from "../../lib/ai/model";
import { type Question, questionOf } from "../../lib/ai/question";
import { type Answer, takeTurn } from "../../lib/ai/turn";
import { Turns } from "../../lib/ai/turns";
import { asError, RedclawError } from "../../lib/errors";
import type { Gateway } from "../../lib/gateway";
import type { ChatContext, Response } from "../../lib/message/types";
import { gatewayOf } from "../gateway/runtime";
import type { ModelNode } from "../model";
import {
  type FlowMessage,
  type NodeConfig,
  type NodeRed,
  nodeClass,
  onClose,
  onInput,
  type RedNode,
  type Send,
} from "../red";
import { Status } from "./status";

/** A quick answer needs no typing indicator. */
const TYPING_AFTER_MS = 300;
/** Platforms take it away after about five seconds. */
const TYPING_EVERY_MS = 4000;

/** A few hops of a message from node to node. */
const HOPS_MS = 20;

const MEMORY: Window = { messages: 20, tokens: 8000 };

const IN_GROUPS =
  "Several people talk in this chat. Each message starts with the name of its sender in brackets.";

/** Two `ai` nodes that serve one conversation take turns as well: they share its history. */
const turnsOf = new WeakMap<Gateway, Turns>();

export default function aiNode(RED: NodeRed): void {
  const Node = nodeClass(RED, (node: RedNode, config: NodeConfig) => {
    const gateway = gatewayOf(RED);
    const turns = turnsOf.get(gateway) ?? new Turns();
    turnsOf.set(gateway, turns);
    const history = new History(() => gateway.store(), memoryOf(config));
    const modelOf = modelChoice(RED, gateway, config["model"]);
    const closing = new AbortController();
    const status = new Status(node);

    const giveBack = (message: FlowMessage) => {
      const eventId = (message["chat"] as { eventId?: unknown } | undefined)?.eventId;
      if (typeof eventId === "string") gateway.inbox.giveBack(eventId);
    };

    const answer = async (message: FlowMessage, question: Question): Promise<Answer> => {
      let started = false;
      const end = question.chat ? gateway.inbox.begin(question.chat.eventId) : undefined;
      status.waiting += 1;
      status.changed();
      try {
        return await turns.run(
          question.conversation,
          async () => {
            const stopTyping = showTyping(gateway, question.chat);
            try {
              return await takeTurn({
                model: modelOf(),
                history,
                conversation: question.conversation,
                instructions: instructionsFor(config, message, question),
                text: question.text,
                signal: closing.signal,
              });
            } finally {
              stopTyping();
            }
          },
          {
            signal: closing.signal,
            onStart: () => {
              started = true;
              status.waiting -= 1;
              status.thinking += 1;
              status.changed();
            },
          },
        );
      } finally {
        // The next node has its turn to say that it works on the answer: in between, the event must not count as done.
        if (end) setTimeout(end, HOPS_MS).unref();
        if (started) status.thinking -= 1;
        else status.waiting -= 1;
      }
    };

    onInput(node, async (message, send) => {
      try {
        const question = questionOf(message, node.id);
        if ("declined" in question) {
          send([null, { ...message, ai: { declined: true, reason: question.declined } }]);
          if (question.chat) gateway.inbox.settle(question.chat.eventId, "let-go");
          return;
        }
        const { text, provider, model, usage, durationMs } = await answer(message, question);
        if (closing.signal.aborted) return giveBack(message);
        status.answered(provider === "demo" ? "demo model" : model);
        if (question.event) message["event"] = question.event;
        message.payload = { v: 1, text } satisfies Response;
        message["ai"] = { model, provider, usage, durationMs };
        send([message, null]);
      } catch (thrown) {
        // The node was closed: nobody is there any more to be told. The question is asked again after the deploy.
        if (closing.signal.aborted) return giveBack(message);
        status.failed(thrown);
        fail(message, asError(thrown), config, send);
      }
    });
    onClose(node, () => {
      closing.abort(new RedclawError("ai-stopped", "The ai node was stopped before the answer was there."));
      status.close();
    });
  });
  RED.nodes.registerType("redclaw-ai", Node);
}

/** Second output and Catch: what happened for the flow, one polite sentence for the person. */
function fail(message: FlowMessage, error: Error, config: NodeConfig, send: Send): never {
  const own = typeof config["sorry"] === "string" ? config["sorry"].trim() : "";
  const code = error instanceof RedclawError ? error.code : "unexpected";
  const text = own || sorry[code] || "Sorry, I cannot answer right now. Please try again in a few minutes.";
  // A copy: Catch gets the message as it came in.
  send([
    null,
    { ...message, payload: { v: 1, text } satisfies Response, error: { code, message: error.message } },
  ]);
  throw error;
}

const sorry: Record<string, string> = {
  "no-text": "Sorry, I can only read text.",
  "too-many-waiting": "I am still answering your earlier messages. Please wait a moment.",
  "model-rate-limited": "Sorry, I have too much to do right now. Please try again in a few minutes.",
  "model-timeout": "Sorry, that took too long. Please try again.",
  "model-context-too-long": "Sorry, that is too long for me. Please send less text.",
};

/** The chosen model; without a choice, the automatic one. A model that was deleted is an error at every question. */
function modelChoice(RED: NodeRed, gateway: Gateway, id: unknown): () => Model {
  if (typeof id !== "string" || id === "") {
    const automatic = openModel({ provider: "auto", fetch: gateway.ownHttp.fetch });
    return () => automatic;
  }
  return () => {
    const chosen = RED.nodes.getNode(id) as ModelNode | null;
    if (!chosen?.open) {
      throw new RedclawError(
        "model-missing",
        "The model of this node is not there any more. Choose another one in the node's form and deploy.",
      );
    }
    return chosen.open();
  };
}

function instructionsFor(config: NodeConfig, msg: FlowMessage, { chat, event, group }: Question): string {
  const template = typeof config["instructions"] === "string" ? config["instructions"] : "";
  const filled = fillInstructions(template, { chat, event, msg, now: new Date() });
  return group ? `${filled}\n\n${IN_GROUPS}`.trim() : filled;
}

function memoryOf(config: NodeConfig): Window {
  const number = (value: unknown, otherwise: number) => {
    const given = value === undefined || value === "" ? Number.NaN : Number(value);
    return Number.isFinite(given) && given >= 0 ? given : otherwise;
  };
  return {
    messages: number(config["memory"], MEMORY.messages),
    tokens: number(config["memoryTokens"], MEMORY.tokens),
  };
}

/** Shows "typing" in the chat and keeps the event's lease while the model thinks; answers the way to stop. */
function showTyping(gateway: Gateway, chat: ChatContext | undefined): () => void {
  if (!chat) return () => {};
  const show = () => {
    gateway.holdEvent(chat.eventId);
    gateway.typing(chat).catch(() => {});
  };
  let again: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    show();
    again = setInterval(show, TYPING_EVERY_MS);
  }, TYPING_AFTER_MS);
  return () => {
    clearTimeout(first);
    clearInterval(again);
  };
}
