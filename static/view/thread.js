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
  #key = null; // of the conversation
  #turns = [];
  #places = []; // of each turn that is shown: the turn, its question's view and its answer's
  #isFollowing = true;
  #top = 0; // where the reader is, in pixels
  #growth;
  #askForFrame = oncePerFrame(() => this.#draw());

  /**
   * `actions` are what can be done with a turn: `edit(turn, {text, images})`, `retry(turn, provider)`, `goOn(turn)`, `curl(turn)`,
   * `choose(id)`, `compare(turn)`; and `askForKey(turn)`, `newChat()`, `otherProvider(provider)`, `providers()`,
   * `refusal({text, images})`.
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

  get key() {
    return this.#key;
  }

  /**
   * Shows these turns of the conversation `key`, and returns whether another one was shown before. What is shown of it
   * already stays as it is. An answer that has grown is drawn with the next frame, anything else at once.
   */
  show(key, turns) {
    const isOther = key !== this.#key;
    this.#turns = turns;
    if (isOther) this.#begin(key);
    if (isOther || !this.#isGrowth(turns)) this.#draw();
    else this.#askForFrame();
    if (isOther) this.follow();
    return isOther;
  }

  /** Shows everything anew, as something about the way in which it is shown has changed. */
  redraw() {
    this.#begin(this.#key);
    this.#draw();
  }

  /** Shows this in place of turns. */
  showNotice(element) {
    this.#turns = [];
    this.#begin(null);
    this.#element.firstElementChild.append(element);
  }

  /** Goes to the end, and stays there while it grows. */
  follow() {
    this.#setFollowing(true);
    this.#element.scrollTop = this.#element.scrollHeight;
  }

  #begin(key) {
    this.#key = key;
    this.#places = [];
    const list = make("div", { class: "turns" });
    this.#element.replaceChildren(list);
    this.#growth.disconnect();
    this.#growth.observe(list);
  }

  /** Whether nothing but the text of answers that are coming has changed. */
  #isGrowth(turns) {
    const isSame = ({ turn: { id, answer, versions } }, next) =>
      id === next.id &&
      answer?.id === next.answer?.id &&
      isSettled(answer) === isSettled(next.answer) &&
      countVersions(versions) === countVersions(next.versions);
    return turns.length === this.#places.length && turns.every((turn, index) => isSame(this.#places[index], turn));
  }

  #draw() {
    const turns = this.#turns;
    const same = this.#places.findIndex(({ turn }, index) => turn.id !== turns[index]?.id);
    if (same >= 0) {
      for (const { question, answer } of this.#places.splice(same)) {
        question.element.remove();
        answer?.element.remove();
      }
    }
    turns.forEach((turn, index) => this.#drawTurn(turn, index));
  }

  #drawTurn(turn, index) {
    const place = (this.#places[index] ??= this.#addQuestion(turn));
    const former = place.turn.answer;
    place.turn = turn;
    place.question.showVersions(turn.versions.question);
    const isAnother = former?.id !== turn.answer?.id || (isSettled(former) && !isSettled(turn.answer));
    if (isAnother || !place.answer) this.#replaceAnswer(place);
    else place.answer.draw(turn.answer);
    place.answer?.showVersions(turn.versions.answer);
  }

  #addQuestion(turn) {
    const place = { turn, answer: null };
    place.question = new QuestionView(turn, {
      edit: (changed) => this.#actions.edit(place.turn, changed),
      refusal: this.#actions.refusal,
      choose: (id) => this.#choose(place, "question", id),
    });
    this.#element.firstElementChild.append(place.question.element);
    return place;
  }

  #replaceAnswer(place) {
    place.answer?.element.remove();
    place.answer = null;
    if (!place.turn.answer) return;
    place.answer = new AnswerView(place.turn.answer, {
      retry: (provider) => this.#actions.retry(place.turn, provider),
      goOn: () => this.#actions.goOn(place.turn),
      curl: () => this.#actions.curl(place.turn),
      edit: () => place.question.edit(),
      askForKey: () => this.#actions.askForKey(place.turn),
      newChat: () => this.#actions.newChat(),
      otherProvider: () => this.#actions.otherProvider(place.turn.answer.provider),
      providers: () => this.#actions.providers(),
      choose: (id) => this.#choose(place, "answer", id),
      compare: () => this.#actions.compare(place.turn),
    });
    place.question.element.after(place.answer.element);
  }

  /** Shows another version; the keyboard stays where it was. */
  #choose(place, kind, id) {
    const index = this.#places.indexOf(place);
    const { scrollTop } = this.#element;
    this.#setFollowing(false);
    this.#actions.choose(id);
    this.#element.scrollTop = scrollTop;
    this.#places[index]?.[kind]?.focusVersions();
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

const isSettled = (answer) => Boolean(answer) && !isOpen(answer);
const countVersions = ({ question, answer }) => `${question.ids.length} ${answer.ids.length}`;
