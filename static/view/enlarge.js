// What is attached: a picture as a button that shows it in its full size, a PDF by its name.

import { attachmentBytes, isFile } from "../chat/request.js";
import { megabytes, say } from "../words.js";
import { showDialog } from "./dialogs.js";
import { icon, make } from "./elements.js";

/** A button with the picture; of a PDF its name and size. */
export function makeAttachment(attachment) {
  const { mediaType, data, name } = attachment;
  if (isFile(attachment)) return make("span", { class: "file" }, icon("attach"), `${name} (${megabytes(attachmentBytes(attachment))})`);
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
