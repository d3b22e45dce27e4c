// How an answer went wrong, in plain words and in its place, with what helps. The text that came before stays where it is.

import { canContinue } from "../chat/answer.js";
import { list, say, soon } from "../words.js";
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

/** Says that not all of the conversation was sent with the question. */
export function showSent({ turns, images, shortened }, place) {
  const parts = [
    turns && say("sent.turns", { count: turns }),
    images && say("sent.images", { count: images }),
    shortened && say("sent.shortened", { count: shortened }),
  ].filter(Boolean);
  const words = say("sent.left_out", { parts: list(parts) });
  place.replaceChildren(make("p", { class: "notice" }, icon("info"), make("span", {}, words)));
}

/**
 * Says how the answer ended, where it did not simply end well. `actions` are what may help: `retry(provider)`, `goOn()`, `edit()`,
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
  if (answer.state === "cut" || answer.state === "stopped") return [flaw(answer, actions)];
  const ending = ENDINGS[answer.end?.finishReason] ?? (answer.text ? null : "ending.empty");
  if (!ending) return [];
  return [make("div", { class: "notice" }, icon("warning"), make("div", {}, say(ending), goOnButton(answer, actions)))];
}

const goOnButton = (answer, { goOn }) => (canContinue(answer) ? remedyButton("answer.go_on", "next", goOn) : null);

function flaw(answer, actions) {
  const words = say(`ending.${answer.state}`);
  const row = make("div", { class: "row" }, goOnButton(answer, actions), retryButton(actions));
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
    make("div", { class: "row" }, goOnButton(answer, actions), ...remedies(answer, problem, actions)),
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
