// How an answer went wrong, in plain words and in its place. The text that came before stays where it is.

import { copyButton } from "./clipboard.js";
import { icon, make } from "./elements.js";

const ENDINGS = {
  length: "The answer has reached the model's limit of length.",
  content_filter: "The provider's content filter, or the model itself, has ended the answer here.",
  tool_calls: "The model asked for a tool, and this page has none.",
};

/** Says that the answer was begun anew, and by which model. */
export function showRestart({ from, to, reason, partialChars }, place) {
  const broke = `Begun anew: ${from} broke off after ${count(partialChars, "character")} (${reason})`;
  place.replaceChildren(
    make("p", { class: "notice" }, icon("retry"), make("span", {}, `${broke}, and ${to} answered from the start.`)),
  );
}

/** Says how the answer ended, where it did not simply end well. */
export function showEnding(answer, place, actions) {
  place.replaceChildren(...describeEnding(answer, actions));
}

function describeEnding(answer, actions) {
  if (answer.state === "failed") return [failure(answer, actions)];
  if (answer.state === "cut")
    return [flaw("Cut: the stream stopped before its end. This answer is not whole.", actions)];
  if (answer.state === "stopped") return [flaw("Stopped. This answer is not whole.", actions)];
  const ending = ENDINGS[answer.end?.finishReason];
  return ending ? [make("p", { class: "notice" }, icon("warning"), make("span", {}, ending))] : [];
}

function flaw(words, actions) {
  return make("div", { class: "problem mild" }, icon("warning"), make("p", {}, words), retryButton(actions));
}

function failure({ error, text, requestId }, actions) {
  const kept = text ? make("p", { class: "cut" }, "The text above is cut: it is not the whole answer.") : null;
  const words = make("div", {}, make("p", { class: "message" }, error.message), kept, details(error, requestId));
  return make("div", { class: "problem" }, icon("warning"), words, retryButton(actions));
}

function details(error, requestId) {
  const wait = error.retry_after ? ` · can be tried again in ${error.retry_after} s` : "";
  const list = make("p", { class: "details" }, make("code", {}, error.code), wait);
  if (requestId)
    list.append(
      " · request ",
      make("code", {}, requestId),
      copyButton("Copy request id", () => requestId),
    );
  for (const { model, code } of error.attempts ?? [])
    list.append(make("span", { class: "attempt" }, `${model}: ${code}`));
  return list;
}

const retryButton = ({ retry }) =>
  make("button", { type: "button", class: "retry", onclick: retry }, icon("retry"), "Try again");

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
