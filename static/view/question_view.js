// One question on the page: its text and images, and its editing.

import { dropDraft, keepDraft, readDraft } from "../chat/drafts.js";
import { Attachments } from "./attachments.js";
import { copyButton } from "./clipboard.js";
import { fitHeight, isOfInputMethod, submitsOnEnter } from "./text_area.js";
import { iconButton, make } from "./elements.js";
import { makeAttachment } from "./enlarge.js";
import { focusVersions, showVersions } from "./versions.js";
import { say } from "../words.js";

const LONG_CHARACTERS = 1_500;
const LONG_LINES = 20;

export class QuestionView {
  element;
  #turn;
  #actions;
  #versions = make("div", { class: "versions", hidden: true });

  /**
   * `actions` are `edit({text, images})`, for a question that is put another way, `refusal({text, images})`, which says
   * why that cannot be sent, null if it can, and `choose(id)`, for another version of the question.
   */
  constructor(turn, actions) {
    this.#turn = turn;
    this.#actions = actions;
    this.element = make("article", { class: "question" });
    this.#show();
    const draft = readDraft(turn.id);
    if (draft.text) this.#edit(draft); // it was left in the middle
  }

  /** Shows which of the versions of the question this is. */
  showVersions(versions) {
    showVersions(this.#versions, versions, { onChoose: this.#actions.choose });
  }

  focusVersions() {
    focusVersions(this.#versions);
  }

  #show() {
    const { text, images } = this.#turn;
    const heading = make("h2", { class: "visually-hidden" }, say("question"));
    const bubble = make("div", { class: "bubble", dir: "auto" }, ...images.map(makeAttachment), ...showText(text));
    this.element.replaceChildren(heading, bubble, this.#buttons());
  }

  #buttons() {
    const edit = iconButton("edit", say("question.edit"), () => this.edit());
    return make(
      "div",
      { class: "actions" },
      this.#versions,
      edit,
      copyButton(say("question.copy"), () => this.#turn.text),
    );
  }

  /** Has the reader put the question another way. */
  edit() {
    this.#edit(this.#turn).focus();
  }

  #edit({ text, images }) {
    const area = make("textarea", { "aria-label": say("question.edit"), dir: "auto", rows: 1 });
    const send = make("button", { class: "primary" }, say("ask.send"));
    const cancel = make("button", { type: "button", onclick: () => this.#close() }, say("dialog.cancel"));
    const note = make("span", { class: "hint", role: "status" }, say("question.edit.note"));
    const strip = make("ul", { class: "attached", "aria-label": say("ask.attached") });
    const form = make("form", { class: "edit" }, strip, area, make("div", { class: "row" }, note, cancel, send));
    const draft = () => ({ text: area.value, images: attachments.attached });
    const keep = () => keepDraft(this.#turn.id, draft());
    const attachments = new Attachments(strip, keep);
    attachments.attached = images;
    area.value = text;
    area.addEventListener("input", () => {
      fitHeight(area);
      keep();
    });
    area.addEventListener("keydown", (event) => event.key === "Escape" && !isOfInputMethod(event) && this.#close());
    submitsOnEnter(area, form);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const changed = draft();
      if (!changed.text.trim() && !changed.images.length) return;
      const refusal = this.#actions.refusal(changed);
      if (refusal) {
        note.textContent = refusal;
        return;
      }
      dropDraft(this.#turn.id);
      this.#actions.edit(changed);
    });
    this.element.replaceChildren(form);
    fitHeight(area);
    return area;
  }

  #close() {
    dropDraft(this.#turn.id);
    this.#show();
    this.element.querySelector("button").focus();
  }
}

/** The text, folded if it is long, as that of a file is. */
function showText(text) {
  const words = make("p", {}, text);
  if (text.length < LONG_CHARACTERS && text.split("\n").length < LONG_LINES) return [words];
  const button = make("button", { type: "button", class: "fold", onclick: () => fold(!words.classList.contains("folded")) });
  const fold = (isFolded) => {
    words.classList.toggle("folded", isFolded);
    button.setAttribute("aria-expanded", String(!isFolded));
    button.textContent = say(isFolded ? "question.more" : "question.less");
  };
  fold(true);
  return [words, button];
}
