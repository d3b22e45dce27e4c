// Conversations as files: Markdown to read, JSON to keep and to take elsewhere. Pure.

import { newAnswer } from "./answer.js";
import { headOf, newConversation, shownTurns } from "./conversation.js";
import { isFile } from "./request.js";
import { makeTitle } from "./title.js";
import { say } from "../words.js";

const FORMAT = "ai-chat-gateway";
const FORMAT_VERSION = 1;

/** The branch that is shown as a Markdown document. */
export function toMarkdown(conversation) {
  const { title, conversationId, systemPrompt } = conversation;
  const head = [
    `# ${title || say("untitled")}`,
    conversationId && say("export.conversation", { id: `\`${conversationId}\`` }),
    ...(systemPrompt ? [`## ${say("instructions")}`, systemPrompt] : []),
  ];
  return `${[...head, ...shownTurns(conversation).flatMap(exportTurn)].filter(Boolean).join("\n\n")}\n`;
}

function exportTurn({ text, images, answer }) {
  const files = images.filter(isFile).map(({ name }) => `*${name}*`);
  const count = images.length - files.length;
  return [
    `## ${say("question")}`,
    count && `*${say("export.images", { count })}*`,
    ...files,
    text,
    answer && `## ${answer.model ? say("export.answer", { model: answer.model }) : say("answer")}`,
    answer?.text,
    answer && answer.state !== "whole" && `*${say("export.flaw", { flaw: describeFlaw(answer) })}*`,
  ];
}

const describeFlaw = ({ state, error }) => say(`export.flaw.${state}`, { code: error?.code });

/** Several conversations as one Markdown document. */
export const allToMarkdown = (conversations) => conversations.map(toMarkdown).join("\n---\n\n");

/** Everything as JSON, in pieces: conversations with all their versions, and presets. */
export function toJson(conversations, presets) {
  const listed = conversations.map((conversation) =>
    JSON.stringify({ ...headOf(conversation), nodes: Object.values(conversation.nodes) }),
  );
  const head = `{"format":${JSON.stringify(FORMAT)},"version":${FORMAT_VERSION},"conversations":[\n`;
  return [
    head,
    ...listed.flatMap((text, index) => (index ? [",\n", text] : [text])),
    `\n],"presets":${JSON.stringify(presets)}}\n`,
  ];
}

/**
 * What a file of `toJson` has: `conversations`, `presets`, and how many of either were `unreadable`. Null if it is no
 * such file. Nothing of it is taken as it is: a field with a type that it cannot have is absent.
 */
export function fromJson(text) {
  const file = parse(text);
  if (file?.format !== FORMAT || !(file.version <= FORMAT_VERSION) || !Array.isArray(file.conversations)) return null;
  const conversations = file.conversations.map(readConversation);
  const presets = (Array.isArray(file.presets) ? file.presets : []).map(readPreset);
  return {
    conversations: conversations.filter(Boolean),
    presets: presets.filter(Boolean),
    unreadable: [...conversations, ...presets].filter((each) => !each).length,
  };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const readText = (value, otherwise = "") => (typeof value === "string" ? value : otherwise);
const readNumber = (value) => (Number.isFinite(value) ? value : 0);
const readKey = (value) => (typeof value === "string" && /^[\w.:-]{1,200}$/.test(value) ? value : null);

function readPreset(preset) {
  const id = isObject(preset) && readKey(preset.id);
  return id && readText(preset.text)
    ? { id, name: readText(preset.name) || makeTitle(preset.text), text: preset.text }
    : null;
}

function readConversation(given) {
  const id = isObject(given) && readKey(given.id);
  if (!id || !Array.isArray(given.nodes)) return null;
  const nodes = given.nodes.map(readNode).filter(Boolean);
  if (!nodes.length) return null;
  const question = nodes.find(({ kind }) => kind === "question");
  return {
    ...newConversation({ id, provider: readText(given.provider), at: readNumber(given.createdAt) }),
    conversationId: readKey(given.conversationId),
    title: readText(given.title) || makeTitle(question?.text ?? ""),
    systemPrompt: readText(given.systemPrompt),
    isPinned: given.isPinned === true,
    updatedAt: readNumber(given.updatedAt),
    answeredAt: readNumber(given.answeredAt),
    seenAt: readNumber(given.seenAt),
    chosen: readChosen(given.chosen),
    nodes: Object.fromEntries(nodes.map((node) => [node.id, node])),
  };
}

function readChosen(chosen) {
  const pairs = isObject(chosen) ? Object.entries(chosen) : [];
  return Object.fromEntries(pairs.filter(([parent, child]) => (parent === "" || readKey(parent)) && readKey(child)));
}

function readNode(given) {
  const id = isObject(given) && readKey(given.id);
  if (!id) return null;
  const place = { id, parent: readKey(given.parent) ?? "", at: readNumber(given.at), rev: readNumber(given.rev) || 1 };
  if (given.kind === "question")
    return { ...place, kind: "question", text: readText(given.text), images: readImages(given.images) };
  return given.kind === "answer" ? { ...readAnswer(given), ...place, kind: "answer", owner: null } : null;
}

function readImages(images) {
  const isImage = (image) =>
    isObject(image) && /^(image\/(png|jpeg|gif|webp)|application\/pdf)$/.test(image.mediaType) && /^[A-Za-z0-9+/]+=*$/.test(image.data);
  const found = Array.isArray(images) ? images.filter(isImage) : [];
  return found.map(({ mediaType, data, name }) => ({ mediaType, data, name: readText(name) }));
}

const STATES = ["whole", "failed", "cut", "stopped"];

function readAnswer(given) {
  const empty = newAnswer(readText(given.provider));
  const error = isObject(given.error) ? readError(given.error) : null;
  const state = STATES.includes(given.state) ? given.state : "cut";
  return {
    ...empty,
    state: state === "failed" && !error ? "cut" : state,
    error,
    model: readText(given.model, null),
    text: readText(given.text),
    reasoning: readText(given.reasoning),
    thoughtMilliseconds: readNumber(given.thoughtMilliseconds) || null,
    restart: readRestart(given.restart),
    kept: readNumber(given.kept),
    requestId: readText(given.requestId, null),
    fallback: readFallback(given.fallback),
    end: readEnd(given.end),
    sent: readSent(given.sent),
  };
}

const readError = ({ code, message, status, provider, retryable, attempts }) => ({
  code: readText(code) || "unknown",
  message: readText(message),
  status: readNumber(status) || undefined,
  provider: readText(provider, undefined),
  retryable: retryable !== false,
  attempts: (Array.isArray(attempts) ? attempts.filter(isObject) : []).map(({ model, code: failure }) => ({
    model: readText(model),
    code: readText(failure),
  })),
});

const readFallback = (given) =>
  isObject(given) ? { from: readText(given.from), to: readText(given.to), reason: readText(given.reason) } : null;

const readRestart = (given) =>
  isObject(given) ? { ...readFallback(given), partialChars: readNumber(given.partialChars) } : null;

function readEnd(given) {
  if (!isObject(given)) return null;
  const { usage, timing, droppedParams } = given;
  return {
    usage: isObject(usage) ? readCounts(usage) : null,
    timing: isObject(timing) ? { first_content_ms: null, total_ms: null, ...readCounts(timing) } : null,
    finishReason: readText(given.finishReason, null),
    droppedParams: Array.isArray(droppedParams) ? droppedParams.filter((name) => typeof name === "string") : [],
  };
}

const readCounts = (given) => Object.fromEntries(Object.entries(given).filter(([, value]) => Number.isFinite(value)));

function readSent(given) {
  if (!isObject(given)) return null;
  const { turns = 0, images = 0, shortened = 0 } = isObject(given.leftOut) ? readCounts(given.leftOut) : {};
  return {
    turns: readNumber(given.turns),
    images: readNumber(given.images),
    withoutImages: given.withoutImages === true,
    isLess: given.isLess === true,
    leftOut: turns + images + shortened ? { turns, images, shortened } : null,
  };
}
