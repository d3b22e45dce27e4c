// Where a question is written: text, images, send and stop.

import { find } from "./elements.js";
import { Images } from "./images.js";
import { fitHeight, submitsOnEnter } from "./text_area.js";

export class Composer {
  #form = find("ask");
  #area = find("question");
  #send = find("send");
  #stop = find("stop");
  #images = new Images(find("attached"));

  /** `onAsk(text, images)` gets what is to be sent; `onStop()` is called by the stop button. */
  constructor({ onAsk, onStop }) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask(onAsk);
    });
    this.#stop.addEventListener("click", onStop);
    this.#area.addEventListener("input", () => fitHeight(this.#area));
    submitsOnEnter(this.#area, this.#form);
    this.#takeImages();
  }

  setRunning(isRunning) {
    const hadFocus = document.activeElement === this.#stop || document.activeElement === this.#send;
    this.#send.hidden = isRunning;
    this.#stop.hidden = !isRunning;
    if (hadFocus) this.focus(); // a button that is hidden would take the focus with it
  }

  /** Puts the words in place of what is written. */
  fill(text) {
    this.#area.value = text;
    fitHeight(this.#area);
    this.focus();
  }

  focus() {
    this.#area.focus();
  }

  #ask(onAsk) {
    const text = this.#area.value;
    if (this.#send.hidden || !(text.trim() || !this.#images.isEmpty)) return;
    onAsk(text, this.#images.take());
    this.fill("");
  }

  #takeImages() {
    const picker = find("image-files");
    find("attach").addEventListener("click", () => picker.click());
    picker.addEventListener("change", async () => {
      await this.#images.attach(picker.files);
      picker.value = ""; // the same file may be chosen again
      this.focus();
    });
    this.#area.addEventListener("paste", (event) => this.#takeFiles(event, event.clipboardData));
    document.addEventListener("dragover", (event) => this.#showDrop(event, true));
    document.addEventListener("dragleave", (event) => this.#showDrop(event, event.relatedTarget !== null));
    document.addEventListener("drop", (event) => {
      this.#showDrop(event, false);
      this.#takeFiles(event, event.dataTransfer);
    });
  }

  #showDrop(event, isOver) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault(); // else the browser opens the file in the page's place
    document.body.classList.toggle("dropping", isOver);
  }

  #takeFiles(event, { files }) {
    if (!files.length) return;
    event.preventDefault();
    this.#images.attach(files);
  }
}
