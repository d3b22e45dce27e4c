// A picture as a button that shows it in its full size, a file by its name.

import { imageBytes, isFile } from "../chat/request.js";
import { say } from "../words.js";
import { showDialog } from "./dialogs.js";
import { icon, make } from "./elements.js";
import { megabytes } from "./storage_notice.js";

/** A button with the picture; of a file its name and size. */
export function makePicture(image) {
  const { mediaType, data, name } = image;
  if (isFile(image)) return make("span", { class: "file" }, icon("attach"), `${name} (${megabytes(imageBytes(image))})`);
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
