// Asks the same question of another provider.

import { iconButton, make } from "./elements.js";
import { providerName } from "./provider_names.js";
import { say } from "../words.js";

/** A button that offers the providers, and has `onChoose(provider)` called for one; null if there is none. */
export function againButton(providers, onChoose) {
  if (!providers.length) return null;
  const menu = make("div", { class: "menu", popover: "auto", role: "group", "aria-label": say("answer.again_by") });
  const choices = providers.map((name) => make("button", { type: "button" }, providerName(name)));
  choices.forEach((choice, index) =>
    choice.addEventListener("click", () => {
      menu.hidePopover();
      onChoose(providers[index]);
    }),
  );
  menu.append(...choices);
  const button = iconButton("switch", say("answer.again_by"), () => {
    menu.showPopover();
    const { left, top } = button.getBoundingClientRect();
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.top = `${Math.max(8, top - menu.offsetHeight - 4)}px`;
    choices[0].focus();
  });
  return make("span", {}, button, menu);
}
