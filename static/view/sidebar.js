// The list of conversations, and what can be done with each.

import { find, iconButton, make } from "./elements.js";
import { say } from "../words.js";

const DAY = 86_400_000;

export class Sidebar {
  #list = find("conversations");
  #menu = find("conversation-menu");
  #actions;
  #summaries = [];
  #current = null;
  #menuFor = null;

  /** `actions` are `open(id)`, `rename(summary)`, `export(id)`, `copyId(id)`, `remove(summary)`. */
  constructor(actions) {
    this.#actions = actions;
    find("filter").addEventListener("input", () => this.#draw());
    this.#menu.addEventListener("click", (event) => this.#act(event.target.closest("button")?.dataset.action));
  }

  /** Shows these, newest first; `current` is the id of the one that is open. */
  show(summaries, current) {
    this.#summaries = summaries;
    this.#current = current;
    this.#draw();
  }

  #draw() {
    const wanted = find("filter").value.trim().toLowerCase();
    const found = this.#summaries.filter(({ title }) => title.toLowerCase().includes(wanted));
    const groups = Object.entries(Object.groupBy(found, ({ updatedAt }) => age(updatedAt)));
    this.#list.replaceChildren(...groups.flatMap(([name, group]) => this.#group(name, group)));
    if (!found.length) this.#list.append(make("li", { class: "hint" }, say(wanted ? "list.none_found" : "list.empty")));
  }

  #group(name, summaries) {
    const rows = summaries.map((summary) => this.#row(summary));
    return [make("li", { class: "age" }, make("span", {}, name)), ...rows];
  }

  #row(summary) {
    const isCurrent = summary.id === this.#current;
    const onclick = () => this.#actions.open(summary.id);
    const open = make(
      "button",
      { type: "button", class: "open", dir: "auto", "aria-current": isCurrent && "page", onclick },
      summary.title,
    );
    const more = iconButton("more", say("list.more", { title: summary.title }), () => this.#openMenu(summary, more), {
      class: "quiet more",
    });
    return make("li", { class: isCurrent ? "row current" : "row" }, open, more);
  }

  #openMenu(summary, button) {
    this.#menuFor = summary;
    this.#menu.showPopover();
    const { bottom, right } = button.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.#menu;
    this.#menu.style.left = `${Math.max(8, right - offsetWidth)}px`;
    this.#menu.style.top = `${Math.min(bottom + 4, innerHeight - offsetHeight - 8)}px`;
    this.#menu.querySelector("button").focus();
  }

  #act(action) {
    if (!action) return;
    this.#menu.hidePopover();
    const summary = this.#menuFor;
    this.#actions[action](action === "rename" || action === "remove" ? summary : summary.id);
  }
}

function age(time) {
  const days = Math.floor((new Date().setHours(0, 0, 0, 0) - time) / DAY) + 1;
  if (days <= 0) return say("list.today");
  return say(days <= 7 ? "list.week" : "list.earlier");
}
