// Where a question is written: text, images and text files, send and stop.

import { find } from "./elements.js";
import { Images } from "./images.js";
import { fitHeight, submitsOnEnter } from "./text_area.js";
import { readTextFile } from "./text_files.js";

const DOUBLE_CLICK_MILLISECONDS = 500;

export class Composer {
  #form = find("ask");
  #area = find("question");
  #send = find("send");
  #stop = find("stop");
  #note = find("ask-note");
  #images;
  #onDraft;

  /**
   * `onAsk(text, images)` gets what is to be sent, and returns whether it is taken; `onStop()` is called by the stop
   * button, `onDraft({text, images})` whenever what is not sent yet has changed. `limits()` are those of the gateway.
   */
  constructor({ onAsk, onStop, onDraft, limits }) {
    this.#onDraft = onDraft;
    this.#images = new Images(find("attached"), { limits, say: (words) => this.say(words), onChange: () => this.#keep() });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask(onAsk);
    });
    this.#stop.addEventListener("click", onStop);
    this.#area.addEventListener("input", () => this.#change());
    submitsOnEnter(this.#area, this.#form);
    this.#takeImages();
  }

  setRunning(isRunning) {
    const hadFocus = document.activeElement === this.#stop || document.activeElement === this.#send;
    if (isRunning && this.#stop.hidden) this.#restStop();
    this.#send.hidden = isRunning;
    this.#stop.hidden = !isRunning;
    if (hadFocus) this.focus(); // a button that is hidden would take the focus with it
  }

  /** Says something about the question that is being written, until that changes. */
  say(words) {
    this.#note.textContent = words;
    this.#note.hidden = !words;
  }

  /** Sends what was sent before the page was ready. */
  sendWhatWaits() {
    if (!("sending" in document.body.dataset)) return;
    delete document.body.dataset.sending;
    this.#form.requestSubmit();
  }

  get text() {
    return this.#area.value;
  }

  /** What was written, and not sent, in the conversation that is open now. */
  showDraft({ text, images }) {
    this.#images.attached = images;
    this.#area.value = text;
    fitHeight(this.#area);
    this.say("");
  }

  /** Puts the words in place of what is written. */
  fill(text) {
    this.#area.value = text;
    this.#change();
    this.focus();
  }

  focus() {
    this.#area.focus();
  }

  #ask(onAsk) {
    const text = this.#area.value;
    if (this.#send.hidden || !(text.trim() || !this.#images.isEmpty)) return;
    if (!onAsk(text, this.#images.attached)) return;
    this.#images.clear();
    this.fill("");
  }

  #change() {
    fitHeight(this.#area);
    this.say("");
    this.#keep();
  }

  #keep() {
    this.#onDraft({ text: this.#area.value, images: this.#images.attached });
  }

  /** The stop button takes the place of the send button: the second of two quick clicks is not meant for it. */
  #restStop() {
    this.#stop.disabled = true;
    setTimeout(() => (this.#stop.disabled = false), DOUBLE_CLICK_MILLISECONDS);
  }

  #takeImages() {
    for (const [button, id] of [["attach", "image-files"], ["camera", "camera-files"]]) {
      const picker = find(id);
      find(button).addEventListener("click", () => picker.click());
      picker.addEventListener("change", async () => {
        await this.#attach([...picker.files]);
        picker.value = ""; // the same file may be chosen again
        this.focus();
      });
    }
    this.#area.addEventListener("paste", (event) => {
      if (!hasWords(event.clipboardData)) this.#takeFiles(event, event.clipboardData);
    });
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
    this.#attach([...files]);
  }

  /** Text files are put into the question; of the others the images are taken. */
  async #attach(files) {
    const texts = await Promise.all(files.map((file) => (file.type.startsWith("image/") ? null : readTextFile(file))));
    for (const text of texts.filter(Boolean)) {
      const before = this.#area.value.trimEnd();
      this.fill(`${before}${before && "\n\n"}${text}\n\n`);
    }
    await this.#images.attach(files.filter((_, index) => !texts[index]));
  }
}

/** Cells of a table and parts of a document come with a picture of themselves: the words are meant. */
const hasWords = ({ types }) => types.includes("text/plain") && types.includes("text/html");
