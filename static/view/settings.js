// What the reader may choose for good: light or dark, the language, the facts under every answer, titles by a model.
// It is loaded when the settings are opened for the first time.

import { ALWAYS_SHOWN, choices, NAMED_BY_MODEL } from "../chat/kept.js";
import { startData } from "./data.js";
import { find } from "./elements.js";
import { startLanguage } from "./language.js";
import { chooseTheme, theme } from "./theme.js";

const BOXES = { "always-facts": ALWAYS_SHOWN, "model-titles": NAMED_BY_MODEL };
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
  for (const [id, name] of Object.entries(BOXES)) find(id).checked = choices.get(name) === "always";
  dialog.showModal();
}

function start({ keeping, isBusy, onFacts }) {
  startData(keeping);
  startLanguage({ isBusy });
  find("settings-close").addEventListener("click", () => dialog.close());
  find("themes").addEventListener("change", ({ target }) => chooseTheme(target.value));
  for (const [id, name] of Object.entries(BOXES)) {
    find(id).addEventListener("change", ({ target }) => {
      choices.set(name, target.checked ? "always" : "");
      if (name === ALWAYS_SHOWN) onFacts();
    });
  }
}
