// Where the list of conversations is: beside the chat, or on a phone over it.

import { find, isDialogOpen } from "./elements.js";
import { isOfInputMethod } from "./text_area.js";

const narrow = matchMedia("(max-width: 48rem)");

export function startDrawer() {
  find("menu").addEventListener("click", toggleDrawer);
  find("backdrop").addEventListener("click", closeOnPhone);
  document.addEventListener("keydown", (event) => {
    const isMeant = event.key === "Escape" && !isOfInputMethod(event) && !isDialogOpen();
    if (isMeant && closeOnPhone()) event.preventDefault(); // it stops no answer, too
  });
  narrow.addEventListener("change", () => set(!narrow.matches));
  set(!narrow.matches);
}

export function toggleDrawer() {
  set(document.body.dataset.list === "closed");
  if (narrow.matches && document.body.dataset.list === "open") find("new-chat").focus();
}

/** On a phone, what was chosen is what is wanted to be seen. Returns whether there was a list to close. */
export function closeOnPhone() {
  if (!narrow.matches || document.body.dataset.list === "closed") return false;
  set(false);
  find("menu").focus();
  return true;
}

function set(isOpen) {
  document.body.dataset.list = isOpen ? "open" : "closed";
  find("menu").setAttribute("aria-expanded", String(isOpen));
  find("content").inert = isOpen && narrow.matches;
}
