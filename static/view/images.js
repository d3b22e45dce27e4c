// Images that are attached to a question: by button, drop or paste; shown small until it is sent.

import { iconButton, make } from "./elements.js";
import { makePicture } from "./enlarge.js";
import { list, say } from "../words.js";

const MEDIA_TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp"]; // what the gateway takes

export class Images {
  #strip;
  #limits;
  #say;
  #onChange;
  #attached = [];

  /**
   * `say(words)` is called with what is to be said of files that are not taken, `onChange()` when what is attached has
   * changed. `limits()` are those of the gateway, null if unknown.
   */
  constructor(strip, { limits, say: report, onChange }) {
    this.#strip = strip;
    this.#limits = limits;
    this.#say = report;
    this.#onChange = onChange;
  }

  /** Takes the images among these files, and says what it does not take. */
  async attach(files) {
    const most = this.#limits()?.max_image_bytes;
    const images = [...files].filter(({ type }) => MEDIA_TYPES.includes(type));
    const others = [...files].filter(({ type }) => !MEDIA_TYPES.includes(type));
    const { preparePicture } = await import("./pictures.js");
    const prepared = await Promise.all(images.map((file) => preparePicture(file, most)));
    const unread = images.filter((_, index) => !prepared[index]);
    this.#say(describe({ others, unread }));
    this.#set([...this.#attached, ...prepared.filter(Boolean)]);
  }

  get isEmpty() {
    return !this.#attached.length;
  }

  get attached() {
    return this.#attached;
  }

  /** What was attached to a question that is not sent yet. */
  set attached(images) {
    this.#attached = images;
    this.#show();
  }

  /** None is attached any more. */
  clear() {
    this.#set([]);
  }

  #set(images) {
    this.attached = images;
    this.#onChange();
  }

  #show() {
    this.#strip.replaceChildren(...this.#attached.map((image) => this.#thumbnail(image)));
    this.#strip.hidden = this.isEmpty;
  }

  #thumbnail(image) {
    const picture = makePicture(image);
    const remove = iconButton("close", say("ask.remove", { name: image.name }), () => {
      this.#set(this.#attached.filter((other) => other !== image));
    });
    return make("li", {}, picture, remove);
  }
}

function describe({ others, unread }) {
  const names = (files) => list(files.map(({ name }) => name));
  const parts = [
    others.length ? say("ask.refused", { names: names(others) }) : "",
    unread.length ? say("ask.unread", { names: names(unread) }) : "",
  ];
  return parts.filter(Boolean).join(" ");
}
