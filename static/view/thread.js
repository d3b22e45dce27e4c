// The conversation that is shown: its turns, and where the reader is in it.

import { isOpen } from "../chat/answer.js";
import { AnswerView } from "./answer_view.js";
import { find, make } from "./elements.js";
import { oncePerFrame } from "./frames.js";
import { QuestionView } from "./question_view.js";

const NEAR_THE_END = 80; // pixels

export class Thread {
  #element;
  #latest = find("latest");
  #actions;
  #conversation = null;
  #questions = new Map(); // turn → its view
  #views = new Map(); // turn → its answer's view
  #changed = new Set();
  #isFollowing = true;
  #top = 0; // where the reader is, in pixels
  #growth;
  #askForFrame = oncePerFrame(() => this.#draw());

  /**
   * `actions` are what can be done with a turn: `edit(turn, text)`, `retry(turn, provider)`, `curl(turn)`; and
   * `askForKey(turn)`, `newChat()`, `otherProvider(provider)`.
   */
  constructor(element, actions) {
    this.#element = element;
    this.#actions = actions;
    this.#latest.addEventListener("click", () => {
      this.follow();
      element.focus({ preventScroll: true }); // the button that had it is gone
    });
    element.addEventListener("scroll", () => this.#noteScroll(), { passive: true });
    this.#growth = new ResizeObserver(() => this.#isFollowing && this.follow());
  }

  show(conversation) {
    this.#conversation = conversation;
    this.#questions.clear();
    this.#views.clear();
    this.#changed.clear();
    const list = make("div", { class: "turns" });
    this.#element.replaceChildren(list);
    this.#growth.disconnect();
    this.#growth.observe(list);
    for (const turn of conversation.turns) this.add(turn);
    this.follow();
  }

  /** Puts the turn at the end. */
  add(turn) {
    const question = new QuestionView(turn, (text) => this.#actions.edit(turn, text));
    this.#questions.set(turn, question);
    this.#element.firstElementChild.append(question.element);
    if (turn.answer) this.#addAnswer(turn);
  }

  /** Says that the turn's answer has changed; it is drawn with the next frame, and at its end at once. */
  change(conversation, turn) {
    if (conversation !== this.#conversation) return;
    this.#changed.add(turn);
    if (isOpen(turn.answer) && this.#views.has(turn)) this.#askForFrame();
    else this.#draw();
  }

  /** Goes to the end, and stays there while it grows. */
  follow() {
    this.#setFollowing(true);
    this.#element.scrollTop = this.#element.scrollHeight;
  }

  #draw() {
    for (const turn of this.#changed) {
      if (this.#views.has(turn)) this.#views.get(turn).draw();
      else this.#addAnswer(turn);
    }
    this.#changed.clear();
  }

  #addAnswer(turn) {
    const view = new AnswerView(turn.answer, {
      retry: (provider) => this.#actions.retry(turn, provider),
      curl: () => this.#actions.curl(turn),
      edit: () => this.#questions.get(turn).edit(),
      askForKey: () => this.#actions.askForKey(turn),
      newChat: () => this.#actions.newChat(),
      otherProvider: () => this.#actions.otherProvider(turn.answer.provider),
    });
    this.#views.set(turn, view);
    this.#element.firstElementChild.append(view.element);
  }

  /** Whoever scrolls up wants to stay there; whoever comes back to the end wants to see what comes. */
  #noteScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.#element;
    if (scrollHeight - scrollTop - clientHeight < NEAR_THE_END) this.#setFollowing(true);
    else if (scrollTop < this.#top) this.#setFollowing(false);
    this.#top = scrollTop;
  }

  #setFollowing(isFollowing) {
    this.#isFollowing = isFollowing;
    this.#latest.hidden = isFollowing;
  }
}
