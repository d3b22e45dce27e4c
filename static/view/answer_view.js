// One answer on the page: its thinking, its text, how it ended, and what the gateway knows about it.

import { isOpen } from "../chat/answer.js";
import { visibleText } from "../text/invisible.js";
import { make } from "./elements.js";
import { showFacts } from "./facts.js";
import { GrowingMarkdown } from "./growing_markdown.js";
import { showEnding, showRestart, showSent } from "./notices.js";
import { focusVersions, showVersions } from "./versions.js";
import { say } from "../words.js";

export class AnswerView {
  element;
  #parts;
  #markdown;
  #answer;
  #actions;
  #restart = null; // the one that is shown, as text: the same may come again, from another tab
  #tick = null;

  /** `actions` are what can be done with the answer: see notices.js and facts.js. */
  constructor(answer, actions) {
    this.#answer = answer;
    this.#actions = actions;
    const thoughts = make("div", { class: "thoughts", dir: "auto" });
    const thought = make("summary", {});
    this.#parts = {
      sent: make("div", { class: "notices" }),
      notices: make("div", { class: "notices" }),
      thinking: make("details", { class: "thinking", hidden: true }, thought, thoughts),
      thought,
      thoughts,
      text: make("div", { class: "markdown" }),
      waiting: make("p", { class: "waiting" }, make("span", { class: "pulse" }), " ", say("answer.waiting")),
      problem: make("div", { class: "problems" }),
      versions: make("div", { class: "versions", hidden: true }),
      facts: make("footer", { class: "facts", hidden: true }),
    };
    const { sent, notices, thinking, text, waiting, problem, versions, facts } = this.#parts;
    this.#markdown = new GrowingMarkdown(text, () => this.#close());
    const heading = make("h2", { class: "visually-hidden" }, say("answer"));
    const shown = [sent, notices, thinking, text, waiting, problem, versions, facts];
    this.element = make("article", { class: "answer" }, heading, ...shown);
    this.element.setAttribute("aria-busy", "true");
    this.#draw();
  }

  /** Shows what has changed since the last time. */
  draw(answer) {
    if (answer === this.#answer) return;
    this.#answer = answer;
    this.#draw();
  }

  /** Shows which of the versions of the answer this is. */
  showVersions(versions) {
    const { choose, compare } = this.#actions;
    showVersions(this.#parts.versions, versions, { onChoose: choose, onCompare: compare });
  }

  focusVersions() {
    focusVersions(this.#parts.versions);
  }

  #draw() {
    const answer = this.#answer;
    if (answer.sent?.leftOut) showSent(answer.sent.leftOut, this.#parts.sent);
    if (answer.restart && JSON.stringify(answer.restart) !== this.#restart) this.#begin(answer.restart);
    this.#growThoughts(answer.reasoning);
    this.#markdown.show(answer.text, { isLast: !isOpen(answer) });
    this.#parts.waiting.hidden = answer.state !== "waiting";
    this.element.classList.toggle("growing", answer.state === "streaming");
    if (!isOpen(answer)) showEnding(answer, this.#parts.problem, this.#actions);
  }

  #begin(restart) {
    this.#restart = JSON.stringify(restart);
    this.#markdown.reset();
    this.#parts.thoughts.replaceChildren();
    showRestart(restart, this.#parts.notices);
  }

  #growThoughts(reasoning) {
    const { thinking, thoughts } = this.#parts;
    thinking.hidden = !reasoning;
    if (reasoning) this.#showThinking();
    const visible = visibleText(reasoning);
    const shown = thoughts.textContent.length;
    if (visible.length > shown) thoughts.append(visible.slice(shown));
  }

  /** Says for how long the model has thought, every second while it does. */
  #showThinking() {
    const { thinking, thought } = this.#parts;
    const { thinkingSince, thoughtMilliseconds } = this.#answer;
    const isThinking = isOpen(this.#answer) && thoughtMilliseconds === null;
    thinking.classList.toggle("now", isThinking);
    const count = Math.max(1, Math.round((thoughtMilliseconds ?? Date.now() - thinkingSince) / 1000));
    const key = isThinking ? "answer.thinking" : thoughtMilliseconds === null ? "answer.thoughts" : "answer.thought";
    if (thought.textContent !== say(key, { count })) thought.textContent = say(key, { count });
    clearTimeout(this.#tick);
    if (isThinking) this.#tick = setTimeout(() => this.element.isConnected && this.#showThinking(), 1000);
  }

  /** All of the answer is shown. */
  #close() {
    showFacts(this.#answer, this.#parts.facts, this.#actions);
    this.#parts.facts.hidden = false;
    this.element.setAttribute("aria-busy", "false");
  }
}
