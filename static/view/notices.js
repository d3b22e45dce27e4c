// How an answer went wrong, in plain words and in its place, with what helps. The text that came before stays where it is.

import { say, soon } from "../words.js";
import { copyButton } from "./clipboard.js";
import { icon, make } from "./elements.js";
import { describeProblem } from "./problems.js";
import { providerName } from "./provider_names.js";

const ENDINGS = {
  length: "ending.length",
  content_filter: "ending.content_filter",
  tool_calls: "ending.tool_calls",
};

/** Says that the answer was begun anew, and by which model. */
export function showRestart({ from, to, reason, partialChars }, place) {
  const words = say("ending.restarted", { from, to, count: partialChars });
  const details = foldedDetails(make("code", {}, reason));
  place.replaceChildren(make("div", { class: "notice" }, icon("retry"), make("div", {}, words, details)));
}

/**
 * Says how the answer ended, where it did not simply end well. `actions` are what may help: `retry(provider)`, `edit()`,
 * `askForKey()`, `newChat()`, and `otherProvider()`, which names one that may answer instead.
 */
export function showEnding(answer, place, actions) {
  place.replaceChildren(...describeEnding(answer, actions));
}

/** What went wrong, in a sentence. */
export const describeFailure = ({ error, provider, text }) =>
  describeProblem(error, { provider, hasText: Boolean(text) }).sentence;

function describeEnding(answer, actions) {
  if (answer.state === "failed") return [failure(answer, actions)];
  if (answer.state === "cut" || answer.state === "stopped") return [flaw(say(`ending.${answer.state}`), actions)];
  const ending = ENDINGS[answer.end?.finishReason];
  return ending ? [make("p", { class: "notice" }, icon("warning"), make("span", {}, say(ending)))] : [];
}

function flaw(words, actions) {
  const row = make("div", { class: "row" }, retryButton(actions));
  return make("div", { class: "problem mild" }, icon("warning"), make("div", {}, make("p", {}, words), row));
}

function failure(answer, actions) {
  const { error, provider, text } = answer;
  const problem = describeProblem(error, { provider, hasText: Boolean(text) });
  const words = make(
    "div",
    {},
    make("p", { class: "message" }, problem.sentence),
    text ? make("p", {}, say("ending.kept")) : null,
    make("div", { class: "row" }, ...remedies(answer, problem, actions)),
    details(answer),
  );
  return make("div", { class: "problem" }, icon("warning"), words);
}

function remedies({ error, failedAt }, { remedy, offersOther }, actions) {
  const other = offersOther ? actions.otherProvider() : null;
  const own = {
    retry: () => retryButton(actions, failedAt + (error.retry_after ?? 0) * 1000),
    edit: () => remedyButton("remedy.edit", "edit", actions.edit),
    key: () => remedyButton("remedy.key", "key", actions.askForKey),
    newChat: () => remedyButton("list.new", "new", actions.newChat),
    reload: () => remedyButton("remedy.reload", "retry", () => location.reload()),
  }[remedy];
  const asksOther = () => actions.retry(other);
  return [
    own?.(),
    other && make("button", { type: "button", onclick: asksOther }, say("remedy.other", { provider: providerName(other) })),
  ];
}

const remedyButton = (key, iconName, onclick) => make("button", { type: "button", onclick }, icon(iconName), say(key));

/** A button to ask again, which waits for the moment until which the gateway wants to be left alone. */
function retryButton({ retry }, notBefore = 0) {
  const label = make("span", {});
  const button = make("button", { type: "button", class: "retry", onclick: () => retry() }, icon("retry"), label);
  const show = () => {
    const wait = Math.ceil((notBefore - Date.now()) / 1000);
    button.disabled = wait > 0;
    label.textContent = wait > 0 ? say("answer.retry.later", { when: soon(wait) }) : say("answer.retry");
    if (wait > 0) setTimeout(() => button.isConnected && show(), 1000);
  };
  show();
  return button;
}

/** What an operator wants to know, folded away. */
function details({ error, requestId }) {
  const { code, message, status, attempts = [] } = error;
  return foldedDetails(
    make("p", {}, make("code", {}, code), status ? ` · ${status}` : null, message ? ` · ${message}` : null),
    ...attempts.map((attempt) => make("p", {}, `${attempt.model}: ${attempt.code}`)),
    requestId &&
      make(
        "p",
        {},
        `${say("error.request")} `,
        make("code", {}, requestId),
        copyButton(say("error.copy_request"), () => requestId),
      ),
  );
}

const foldedDetails = (...parts) => make("details", { class: "details" }, make("summary", {}, say("details")), ...parts);
