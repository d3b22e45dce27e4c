// Copies, and shows that it has.

import { visibleMarkdown } from "../text/invisible.js";
import { announce } from "./announcer.js";
import { icon, iconButton, make } from "./elements.js";
import { say } from "../words.js";

const SHOWN_MILLISECONDS = 1500;

/** A button that copies what `text` gives. */
export function copyButton(label, text, name = "copy") {
  const button = iconButton(name, label, async () => {
    const isCopied = await copy(text());
    announce(say(isCopied ? "copied" : "copied.not"));
    if (isCopied) showDone(button, name);
  });
  return button;
}

function showDone(button, name) {
  button.replaceChildren(icon("done"));
  setTimeout(() => button.replaceChildren(icon(name)), SHOWN_MILLISECONDS);
}

/** Puts what is visible of the text on the clipboard, and says whether that went well. */
export async function copy(text) {
  const visible = visibleMarkdown(text);
  try {
    await navigator.clipboard.writeText(visible);
    return true;
  } catch {
    return copyBySelection(visible); // over plain HTTP there is no clipboard object
  }
}

function copyBySelection(text) {
  const area = make("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  const focused = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return isCopied;
}
