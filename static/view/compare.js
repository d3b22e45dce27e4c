// Two answers to one question, side by side.

import { AnswerView } from "./answer_view.js";
import { showDialog } from "./dialogs.js";
import { make } from "./elements.js";
import { providerName } from "./provider_names.js";
import { say } from "../words.js";

const NO_ACTIONS = { retry() {}, goOn() {}, curl: () => "", edit() {}, askForKey() {}, newChat() {}, choose() {} };

/** Shows the answers of the turn, of which two can be chosen; `onChoose(id)` is called for the one to go on with. */
export function compare(answers, shownId, onChoose) {
  const dialog = make("dialog", { class: "comparison", "aria-labelledby": "comparison-title" });
  const shown = Math.max(0, answers.findIndex(({ id }) => id === shownId));
  const other = shown > 0 ? shown - 1 : 1;
  const take = (id) => {
    dialog.close();
    onChoose(id);
  };
  const columns = [Math.min(shown, other), Math.max(shown, other)].map((index) => column(answers, index, take));
  const close = make("button", { type: "button", onclick: () => dialog.close() }, say("dialog.close"));
  dialog.append(
    make("h2", { id: "comparison-title" }, say("comparison")),
    make("div", { class: "columns" }, ...columns),
    make("div", { class: "row" }, close),
  );
  showDialog(dialog);
}

function column(answers, index, onTake) {
  const select = make("select", { "aria-label": say("comparison.version") }, ...answers.map(option));
  const place = make("div", { class: "compared", tabindex: 0, role: "region" });
  const take = make("button", { type: "button" }, say("comparison.take"));
  const show = () => {
    const answer = answers[select.selectedIndex];
    place.setAttribute("aria-label", nameOf(answer, select.selectedIndex));
    place.replaceChildren(new AnswerView(answer, { ...NO_ACTIONS, otherProvider: () => null, providers: () => [] }).element);
  };
  select.selectedIndex = index;
  select.addEventListener("change", show);
  take.addEventListener("click", () => onTake(answers[select.selectedIndex].id));
  show();
  return make("section", {}, make("div", { class: "row" }, select, take), place);
}

const nameOf = ({ provider, model }, index) =>
  say("comparison.option", { number: index + 1, provider: providerName(provider), model: model ?? "" });

const option = (answer, index) => make("option", {}, nameOf(answer, index));
