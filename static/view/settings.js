// What the reader may choose for good: light or dark, and whether the facts stand under every answer.

import { choices } from "../chat/kept.js";
import { find } from "./elements.js";
import { ALWAYS_SHOWN } from "./facts.js";
import { chooseTheme, theme } from "./theme.js";

/** `onFacts()` is called when the facts are to be shown, or not, under the answers that are there. */
export function startSettings({ onFacts }) {
  const dialog = find("settings");
  const facts = find("always-facts");
  find("show-settings").addEventListener("click", () => {
    dialog.querySelector(`[name="theme"][value="${theme()}"]`).checked = true;
    facts.checked = choices.get(ALWAYS_SHOWN) === "always";
    dialog.showModal();
  });
  find("settings-close").addEventListener("click", () => dialog.close());
  find("themes").addEventListener("change", ({ target }) => chooseTheme(target.value));
  facts.addEventListener("change", () => {
    choices.set(ALWAYS_SHOWN, facts.checked ? "always" : "");
    onFacts();
  });
}
