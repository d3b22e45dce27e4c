// The list of conversations, and what can be done with each.

import { fold } from "../chat/search.js";
import { find, iconButton, make } from "./elements.js";
import { oncePerFrame } from "./frames.js";
import { say } from "../words.js";

const DAY = 86_400_000;
const WAIT_MILLISECONDS = 150; // for the next letter, before all texts are searched

export class Sidebar {
  #list = find("conversations");
  #filter = find("filter");
  #menu = find("conversation-menu");
  #actions;
  #heads = [];
  #current = null;
  #isRunning = () => false;
  #found = null; // the ids of the conversations that have the words that are searched; null while that is not known
  #wait = null;
  #menuFor = null;
  #askForFrame = oncePerFrame(() => this.#draw());

  /**
   * `actions` are `open(id)`, `find(words)`, which resolves to a set of ids, and of the menu `rename(id)`, `pin(id)`,
   * `instruct(id)`, `export(id)`, `copyId(id)`, `remove(id)`.
   */
  constructor(actions) {
    this.#actions = actions;
    this.#filter.addEventListener("input", () => this.#search());
    this.#menu.addEventListener("click", (event) => this.#act(event.target.closest("button")?.dataset.action));
  }

  /** Shows these heads, in their order; `current` is the id of the one that is open. */
  show(heads, { current, isRunning }) {
    this.#heads = heads;
    this.#current = current;
    this.#isRunning = isRunning;
    this.#askForFrame();
  }

  get #words() {
    return this.#filter.value.trim();
  }

  /** At once by titles, then by all that was written. */
  #search() {
    this.#found = null;
    clearTimeout(this.#wait);
    this.#draw();
    const words = this.#words;
    if (words) this.#wait = setTimeout(() => this.#searchTexts(words), WAIT_MILLISECONDS);
  }

  async #searchTexts(words) {
    const found = await this.#actions.find(words);
    if (words !== this.#words) return; // more was typed
    this.#found = found;
    this.#draw();
  }

  #draw() {
    const words = fold(this.#words);
    const isFound = ({ id, title }) => !words || fold(title).includes(words) || this.#found?.has(id);
    const heads = this.#heads.filter(isFound);
    const groups = Object.entries(Object.groupBy(heads, groupOf));
    groups.sort(([one], [other]) => (other === "pinned") - (one === "pinned"));
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    this.#list.replaceChildren(...groups.flatMap(([name, group]) => this.#group(name, group)));
    if (!heads.length) this.#list.append(make("li", { class: "hint" }, this.#emptyWords()));
    if (focused) this.#list.querySelector(`[data-focus="${focused}"]`)?.focus();
  }

  #emptyWords() {
    if (!this.#words) return say("list.empty");
    return say(this.#found ? "list.none_found" : "list.searching");
  }

  #group(name, heads) {
    const rows = heads.map((head) => this.#row(head));
    return [make("li", { class: "age" }, make("span", {}, say(`list.${name}`))), ...rows];
  }

  #row(head) {
    const isCurrent = head.id === this.#current;
    const onclick = () => this.#actions.open(head.id);
    const mark = this.#mark(head, isCurrent);
    const open = make(
      "button",
      { type: "button", class: "open", dir: "auto", "aria-current": isCurrent && "page", onclick },
      head.title || say("untitled"),
    );
    const more = iconButton("more", say("list.more", { title: head.title || say("untitled") }), () => this.#openMenu(head, more), {
      class: "quiet more",
    });
    open.dataset.focus = `open-${head.id}`;
    more.dataset.focus = `more-${head.id}`;
    return make("li", { class: isCurrent ? "row current" : "row" }, open, mark, more);
  }

  /** Whether an answer is coming, or has come and was not seen. */
  #mark({ id, answeredAt, seenAt }, isCurrent) {
    const key = this.#isRunning(id) ? "running" : answeredAt > seenAt && !isCurrent ? "unread" : null;
    if (!key) return null;
    const words = say(`list.${key}`);
    return make("span", { class: `mark ${key}`, role: "img", "aria-label": words, title: words });
  }

  #openMenu(head, button) {
    this.#menuFor = head;
    this.#menu.querySelector("[data-action=pin] span").textContent = say(head.isPinned ? "conversation.unpin" : "conversation.pin");
    this.#menu.showPopover();
    const { bottom, right } = button.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.#menu;
    this.#menu.style.left = `${Math.max(8, right - offsetWidth)}px`;
    this.#menu.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - offsetHeight - 8))}px`;
    this.#menu.querySelector("button").focus();
  }

  #act(action) {
    if (!action) return;
    this.#menu.hidePopover();
    this.#actions[action](this.#menuFor.id);
  }
}

function groupOf({ isPinned, updatedAt }) {
  if (isPinned) return "pinned";
  const days = Math.floor((new Date().setHours(0, 0, 0, 0) - updatedAt) / DAY) + 1;
  if (days <= 0) return "today";
  return days <= 7 ? "week" : "earlier";
}
