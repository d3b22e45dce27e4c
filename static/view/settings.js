// What the reader may choose for good: light or dark, the language, whether the facts stand under every answer. It is
// loaded when the settings are opened for the first time.

import { choices } from "../chat/kept.js";
import { startData } from "./data.js";
import { find } from "./elements.js";
import { ALWAYS_SHOWN } from "./facts.js";
import { startLanguage } from "./language.js";
import { chooseTheme, theme } from "./theme.js";

const dialog = find("settings");
let isStarted = false;

/**
 * `keeping` has the conversations; `isBusy()` is asked whether loading the page anew would lose something; `onFacts()`
 * is called when the facts are to be shown, or not, under the answers that are there.
 */
export function openSettings({ keeping, isBusy, onFacts }) {
  if (!isStarted) start({ keeping, isBusy, onFacts });
  isStarted = true;
  dialog.querySelector(`[name="theme"][value="${theme()}"]`).checked = true;
  find("always-facts").checked = choices.get(ALWAYS_SHOWN) === "always";
  dialog.showModal();
}

function start({ keeping, isBusy, onFacts }) {
  startData(keeping);
  startLanguage({ isBusy });
  find("settings-close").addEventListener("click", () => dialog.close());
  find("themes").addEventListener("change", ({ target }) => chooseTheme(target.value));
  find("always-facts").addEventListener("change", ({ target }) => {
    choices.set(ALWAYS_SHOWN, target.checked ? "always" : "");
    onFacts();
  });
}
