// A picture as a button that shows it in its full size.

import { say } from "../words.js";
import { showDialog } from "./dialogs.js";
import { make } from "./elements.js";

/** A button with the picture. */
export function makePicture({ mediaType, data, name }) {
  const words = name || say("ask.image");
  const attributes = { src: `data:${mediaType};base64,${data}`, alt: words };
  const onclick = () => show(make("img", attributes), words);
  const label = say("picture.enlarge", { name: words });
  return make("button", { type: "button", class: "picture", "aria-label": label, onclick }, make("img", attributes));
}

function show(image, words) {
  const close = make("button", { type: "button", onclick: () => dialog.close() }, say("dialog.close"));
  const dialog = make("dialog", { class: "enlarged", "aria-label": words }, image, close);
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close()); // beside the picture
  showDialog(dialog);
}
