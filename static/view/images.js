// Images that are attached to a question: shown small until it is sent.

import { iconButton, make } from "./elements.js";
import { makePicture } from "./enlarge.js";
import { say } from "../words.js";

export class Images {
  #strip;
  #onChange;
  #attached = [];

  /** `onChange()` is called when the reader has removed one. */
  constructor(strip, onChange) {
    this.#strip = strip;
    this.#onChange = onChange;
  }

  get attached() {
    return this.#attached;
  }

  set attached(images) {
    this.#attached = images;
    this.#strip.replaceChildren(...images.map((image) => this.#thumbnail(image)));
    this.#strip.hidden = !images.length;
  }

  #thumbnail(image) {
    const remove = iconButton("close", say("ask.remove", { name: image.name }), () => {
      this.attached = this.#attached.filter((other) => other !== image);
      this.#onChange();
    });
    return make("li", {}, makePicture(image), remove);
  }
}
