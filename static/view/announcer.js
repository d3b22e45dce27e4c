// Says to a screen reader what happened, in a region of its own: the answer itself is not read out word by word.

import { find } from "./elements.js";

export function announce(text) {
  find("status").textContent = text;
}
