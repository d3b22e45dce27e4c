// How an answer went wrong, in plain words and in its place. The text that came before stays where it is.

import { copyButton } from "./clipboard.js";
import { icon, make } from "./elements.js";
import { say } from "../words.js";

const ENDINGS = {
  length: "ending.length",
  content_filter: "ending.content_filter",
  tool_calls: "ending.tool_calls",
};

/** Says that the answer was begun anew, and by which model. */
export function showRestart({ from, to, reason, partialChars }, place) {
  const words = say("ending.restarted", { from, to, reason, count: partialChars });
  place.replaceChildren(make("p", { class: "notice" }, icon("retry"), make("span", {}, words)));
}

/** Says how the answer ended, where it did not simply end well. */
export function showEnding(answer, place, actions) {
  place.replaceChildren(...describeEnding(answer, actions));
}

function describeEnding(answer, actions) {
  if (answer.state === "failed") return [failure(answer, actions)];
  if (answer.state === "cut") return [flaw(say("ending.cut"), actions)];
  if (answer.state === "stopped") return [flaw(say("ending.stopped"), actions)];
  const ending = ENDINGS[answer.end?.finishReason];
  return ending ? [make("p", { class: "notice" }, icon("warning"), make("span", {}, say(ending)))] : [];
}

function flaw(words, actions) {
  return make("div", { class: "problem mild" }, icon("warning"), make("p", {}, words), retryButton(actions));
}

function failure({ error, text, requestId }, actions) {
  const kept = text ? make("p", { class: "cut" }, say("ending.kept")) : null;
  const words = make("div", {}, make("p", { class: "message" }, errorMessage(error)), kept, details(error, requestId));
  return make("div", { class: "problem" }, icon("warning"), words, retryButton(actions));
}

/** What happened, for a person: the gateway's message, or the page's own if no gateway answered. */
export function errorMessage({ code, message }) {
  if (code === "unreachable") return say("error.unreachable");
  return code.startsWith("http_") ? say("error.status", { status: code.slice("http_".length) }) : message;
}

function details(error, requestId) {
  const wait = error.retry_after ? ` · ${say("error.wait", { seconds: error.retry_after })}` : "";
  const list = make("p", { class: "details" }, make("code", {}, error.code), wait);
  if (requestId)
    list.append(
      ` · ${say("error.request")} `,
      make("code", {}, requestId),
      copyButton(say("error.copy_request"), () => requestId),
    );
  for (const { model, code } of error.attempts ?? [])
    list.append(make("span", { class: "attempt" }, `${model}: ${code}`));
  return list;
}

const retryButton = ({ retry }) =>
  make("button", { type: "button", class: "retry", onclick: retry }, icon("retry"), say("answer.retry"));
