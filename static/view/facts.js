// The line under an answer: what can be done with it, whether a fallback gave it, and what the gateway knows about it.

import { say, seconds } from "../words.js";
import { againButton } from "./again.js";
import { copy, copyButton } from "./clipboard.js";
import { announce } from "./announcer.js";
import { icon, iconButton, make } from "./elements.js";
import { providerName } from "./provider_names.js";
import { ALWAYS_SHOWN, choices } from "../chat/kept.js";

export function showFacts(answer, footer, actions) {
  const list = make("ul", {}, ...facts(answer).map((fact) => make("li", {}, fact)));
  list.hidden = choices.get(ALWAYS_SHOWN) !== "always";
  footer.replaceChildren(buttons(answer, actions, list), ...badges(answer), list);
}

const badges = ({ fallback }) => (fallback ? [fallbackBadge(fallback)] : []);

function facts(answer) {
  const { model, provider, end, requestId } = answer;
  const name = providerName(provider);
  return [
    make("span", { class: "model" }, model ? say("facts.model", { model, provider: name }) : name),
    end?.usage && tokens(end.usage),
    end?.timing && timing("facts.first_word", end.timing.first_content_ms),
    end?.timing && timing("facts.total", end.timing.total_ms),
    end?.droppedParams.length && make("span", {}, say("facts.without", { names: end.droppedParams.join(", ") })),
    requestId && answer.state !== "failed" && requestButton(requestId),
  ].filter(Boolean);
}

function fallbackBadge({ from, reason }) {
  const title = say("facts.fallback.title", { from, reason });
  return make("span", { class: "badge", title }, icon("fallback"), say("facts.fallback", { from }));
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

function buttons({ text, state, provider }, { retry, curl, providers }, list) {
  const more = iconButton("info", say("facts.show"), () => show(list.hidden));
  const show = (isShown) => {
    list.hidden = !isShown;
    more.setAttribute("aria-expanded", String(isShown));
  };
  show(!list.hidden);
  return make(
    "div",
    { class: "actions" },
    text ? copyButton(say("answer.copy"), () => text) : null,
    state === "whole" ? iconButton("retry", say("answer.again"), () => retry(), { class: "quiet again" }) : null,
    againButton(
      providers().filter((name) => name !== provider),
      retry,
    ),
    copyButton(say("answer.copy_curl"), curl, "terminal"),
    more,
  );
}
