// The line under an answer: which model gave it, whether as the fallback and why, what it took, and what can be done.

import { copy, copyButton } from "./clipboard.js";
import { announce } from "./announcer.js";
import { icon, iconButton, make } from "./elements.js";
import { say, seconds } from "../words.js";

export function showFacts(answer, footer, actions) {
  footer.replaceChildren(
    make("ul", {}, ...facts(answer).map((fact) => make("li", {}, fact))),
    buttons(answer, actions),
  );
}

function facts(answer) {
  const { model, provider, fallback, end, requestId } = answer;
  return [
    make("span", { class: "model", title: say("facts.provider", { provider }) }, model ? say("facts.model", { model, provider }) : provider),
    fallback && fallbackBadge(fallback),
    end?.usage && tokens(end.usage),
    end?.timing && timing("facts.first_word", end.timing.first_content_ms),
    end?.timing && timing("facts.total", end.timing.total_ms),
    end?.droppedParams.length && make("span", {}, say("facts.without", { names: end.droppedParams.join(", ") })),
    requestId && answer.state !== "failed" && requestButton(requestId),
  ].filter(Boolean);
}

function fallbackBadge({ from, reason }) {
  const title = say("facts.fallback.title", { from });
  return make("span", { class: "badge", title }, icon("fallback"), say("facts.fallback", { from, reason }));
}

function tokens({ input_tokens: input, output_tokens: output, reasoning_tokens: reasoning }) {
  if (output === null && input === null) return null;
  const counts = [
    ["facts.tokens.read", input],
    ["facts.tokens.written", output],
    ["facts.tokens.thinking", reasoning],
  ].filter(([, number]) => number);
  const parts = counts.map(([key, count]) => say(key, { count })).join(", ");
  return make("span", { title: say("facts.tokens.title", { parts }) }, say("facts.tokens", { count: output ?? input }));
}

const timing = (key, milliseconds) =>
  milliseconds === null ? null : make("span", {}, say(key, { seconds: seconds(milliseconds) }));

/** The request's id, short, which a click copies whole. */
function requestButton(id) {
  const label = say("facts.copy_request", { id });
  const onclick = async () => announce(say((await copy(id)) ? "facts.request_copied" : "copied.not"));
  return make(
    "button",
    { type: "button", class: "request", title: label, "aria-label": label, onclick },
    icon("tag"),
    id.slice(0, 8),
  );
}

function buttons({ text }, { retry, curl }) {
  return make(
    "div",
    { class: "actions" },
    text ? copyButton(say("answer.copy"), () => text) : null,
    copyButton(say("answer.copy_curl"), curl, "terminal"),
    iconButton("retry", say("answer.again"), retry, { class: "quiet again" }),
  );
}
