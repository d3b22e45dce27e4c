// A short notice with one thing that can be done about it, for a while.

import { make } from "./elements.js";

let shown = null;

/** Shows the words and the button `label`, which calls `act`, for as long as that can be done. */
export function showToast(words, { label, act, milliseconds }) {
  shown?.remove();
  const toast = make("div", { class: "toast" }, make("span", { role: "status" }, words));
  const button = make("button", { type: "button" }, label);
  button.addEventListener("click", () => {
    toast.remove();
    act();
  });
  toast.append(button);
  document.body.append(toast);
  shown = toast;
  setTimeout(() => toast.remove(), milliseconds);
}
