// The versions of a question or an answer: which one is shown, and the way to the others.

import { say } from "../words.js";
import { iconButton, make } from "./elements.js";

/** `onChoose(id)` gets the version to be shown; `onCompare`, if there is one, has two of them shown side by side. */
export function showVersions(place, { ids, index }, { onChoose, onCompare = null }) {
  place.hidden = ids.length < 2;
  if (place.hidden) {
    place.replaceChildren();
    return;
  }
  const step = (name, key, by) => {
    const id = ids[index + by];
    const button = iconButton(name, say(key), () => onChoose(id), { class: `quiet ${name}`, disabled: !id });
    return button;
  };
  const focused = place.querySelector(":focus")?.className;
  const parts = [
    step("previous", "versions.previous", -1),
    make("span", { class: "position" }, say("versions.position", { number: index + 1, count: ids.length })),
    step("next", "versions.next", 1),
    onCompare && make("button", { type: "button", class: "quiet compare", onclick: onCompare }, say("versions.compare")),
  ];
  place.replaceChildren(...parts.filter(Boolean));
  if (focused) focusVersions(place, focused);
}

/** Gives the focus to the button that had it, or to one that can have it. */
export function focusVersions(place, className = "") {
  const buttons = [...place.querySelectorAll("button:not(:disabled)")];
  (buttons.find((button) => button.className === className) ?? buttons[0])?.focus();
}
