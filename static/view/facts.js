// The line under an answer: which model gave it, whether as the fallback and why, what it took, and what can be done.

import { copy, copyButton } from "./clipboard.js";
import { announce } from "./announcer.js";
import { icon, iconButton, make } from "./elements.js";

export function showFacts(answer, footer, actions) {
  footer.replaceChildren(
    make("ul", {}, ...facts(answer).map((fact) => make("li", {}, fact))),
    buttons(answer, actions),
  );
}

function facts(answer) {
  const { model, provider, fallback, end, requestId } = answer;
  return [
    make("span", { class: "model", title: `Provider: ${provider}` }, model ? `${model} · ${provider}` : provider),
    fallback && fallbackBadge(fallback),
    end?.usage && tokens(end.usage),
    end?.timing && timing("first word", end.timing.first_content_ms),
    end?.timing && timing("total", end.timing.total_ms),
    end?.droppedParams.length && make("span", {}, `without ${end.droppedParams.join(", ")}`),
    requestId && answer.state !== "failed" && requestButton(requestId),
  ].filter(Boolean);
}

function fallbackBadge({ from, reason }) {
  const title = `${from} was asked first, and failed before its first word.`;
  return make("span", { class: "badge", title }, icon("fallback"), `fallback from ${from}: ${reason}`);
}

function tokens({ input_tokens: input, output_tokens: output, reasoning_tokens: reasoning }) {
  if (output === null && input === null) return null;
  const told = [
    ["read", input],
    ["written", output],
    ["of these thinking", reasoning],
  ].filter(([, number]) => number);
  const title = told.map(([what, number]) => `${number} ${what}`).join(", ");
  return make("span", { title: `Tokens: ${title}` }, `${(output ?? input).toLocaleString("en")} tokens`);
}

const timing = (what, milliseconds) =>
  milliseconds === null ? null : make("span", {}, `${what} ${(milliseconds / 1000).toFixed(2)} s`);

/** The request's id, short, which a click copies whole. */
function requestButton(id) {
  const label = `Copy request id ${id}`;
  const onclick = async () => announce((await copy(id)) ? "Request id copied" : "The browser does not allow copying");
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
    text ? copyButton("Copy answer", () => text) : null,
    copyButton("Copy the request as curl", curl, "terminal"),
    iconButton("retry", "Ask again", retry, { class: "quiet again" }),
  );
}
