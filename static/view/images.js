// Images that are attached to a question: by button, drop or paste; shown small until it is sent.

import { iconButton, make } from "./elements.js";
import { say } from "../words.js";

const MEDIA_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"]; // what the gateway takes

export class Images {
  #strip;
  #onRefused;
  #attached = [];

  /** `onRefused(words)` is called with what is to be said of files that are not taken. */
  constructor(strip, onRefused) {
    this.#strip = strip;
    this.#onRefused = onRefused;
  }

  /** Takes the images among these files, and says what it does not take. */
  async attach(files) {
    const images = [...files].filter(({ type }) => MEDIA_TYPES.includes(type));
    const refused = [...files].filter(({ type }) => !MEDIA_TYPES.includes(type)).map(({ name }) => name);
    this.#onRefused(refused.length ? say("ask.refused", { names: refused.join(", ") }) : "");
    this.#attached.push(...(await Promise.all(images.map(readImage))));
    this.#show();
  }

  get isEmpty() {
    return !this.#attached.length;
  }

  get attached() {
    return this.#attached;
  }

  /** None is attached any more. */
  clear() {
    this.#attached = [];
    this.#show();
  }

  #show() {
    this.#strip.replaceChildren(...this.#attached.map((image) => this.#thumbnail(image)));
    this.#strip.hidden = this.isEmpty;
  }

  #thumbnail(image) {
    const picture = make("img", { src: `data:${image.mediaType};base64,${image.data}`, alt: image.name });
    const remove = iconButton("close", say("ask.remove", { name: image.name }), () => {
      this.#attached = this.#attached.filter((other) => other !== image);
      this.#show();
    });
    return make("li", {}, picture, remove);
  }
}

function readImage(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ mediaType: file.type, data: reader.result.split(",", 2)[1], name: file.name });
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
