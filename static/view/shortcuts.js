// The keys of the page; the dialog in index.html lists them.

import { isDialogOpen } from "./elements.js";
import { isOfInputMethod } from "./text_area.js";

const isTyping = ({ target }) => target.matches("input, textarea, select");
/** A place to write other than the question: what Esc does there, it does there alone. */
const isElsewhere = ({ target }) => isTyping({ target }) && target.id !== "question";

/** `actions` are `newChat()`, `stop()`, `focusQuestion()`, `showKeys()`, `toggleList()`. */
export function listenForKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const isTaken = event.defaultPrevented || isOfInputMethod(event) || isDialogOpen();
    const action = isTaken ? null : findAction(event);
    if (!action) return;
    event.preventDefault();
    actions[action]();
  });
}

function findAction(event) {
  const isCommand = (event.ctrlKey || event.metaKey) && event.shiftKey;
  if (isCommand && event.code === "KeyO") return "newChat";
  if (isCommand && event.code === "KeyS") return "toggleList";
  if (event.key === "Escape" && event.shiftKey) return "focusQuestion";
  if (event.key === "Escape") return isElsewhere(event) ? null : "stop";
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return null;
  return { "/": "focusQuestion", "?": "showKeys" }[event.key] ?? null;
}
