// What is attached to a question, images and PDFs: shown small until it is sent.

import { iconButton, make } from "./elements.js";
import { makeAttachment } from "./enlarge.js";
import { say } from "../words.js";

export class Attachments {
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

  set attached(attachments) {
    this.#attached = attachments;
    this.#strip.replaceChildren(...attachments.map((each) => this.#thumbnail(each)));
    this.#strip.hidden = !attachments.length;
  }

  #thumbnail(attachment) {
    const remove = iconButton("close", say("ask.remove", { name: attachment.name }), () => {
      this.attached = this.#attached.filter((other) => other !== attachment);
      this.#onChange();
    });
    return make("li", {}, makeAttachment(attachment), remove);
  }
}
