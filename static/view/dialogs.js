// Asks the reader something, in a dialog of the page.

import { find, make } from "./elements.js";
import { say } from "../words.js";

/** Resolves to whether the reader agrees. */
export async function confirm(question, { yes }) {
  return (await open(question, { yes, isDanger: true })) !== null;
}

/** Resolves to the text that the reader gives, null where the dialog was left. `fault` is what was wrong before. */
export function askText(
  question,
  { value = "", yes = say("dialog.save"), note = null, fault = null, type = "text" } = {},
) {
  const input = make("input", { type, "aria-label": question, autocomplete: "off", dir: "auto" });
  input.value = value;
  return open(question, { yes, input, note, fault });
}

function open(question, { yes, input = null, note = null, fault = null, isDanger = false }) {
  const cancel = make("button", { type: "button" }, say("dialog.cancel"));
  const agree = make("button", { class: isDanger ? "danger" : "primary" }, yes);
  const heading = make("h2", { id: "asked" }, question);
  const words = [fault && make("p", { class: "fault", role: "alert" }, fault), note && make("p", {}, note)];
  const row = make("div", { class: "row" }, cancel, agree);
  const form = make("form", { method: "dialog" }, heading, ...words, input, row);
  const dialog = make("dialog", { "aria-labelledby": "asked" }, form);
  cancel.addEventListener("click", () => dialog.close());
  showDialog(dialog);
  input?.select();
  return settle(dialog, () => input?.value.trim() ?? "");
}

/** Resolves to what `read()` finds when the dialog's form is sent, null where the dialog was left. */
export function settle(dialog, read) {
  return new Promise((resolve) => {
    let answer = null;
    dialog.addEventListener("submit", (event) => {
      event.preventDefault(); // the content policy lets no form go anywhere
      answer = read();
      dialog.close();
    });
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/** Shows a dialog that is made for once. */
export function showDialog(dialog) {
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** Shows the keys of the page. */
export const showKeys = () => find("keys").showModal();
