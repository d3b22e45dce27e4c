// Where a question is written: text, images and files, send and stop.

import { keepDraft, readDraft } from "../chat/drafts.js";
import { list, say } from "../words.js";
import { Attachments } from "./attachments.js";
import { find } from "./elements.js";
import { fitHeight, submitsOnEnter } from "./text_area.js";

const DOUBLE_CLICK_MILLISECONDS = 500;

export class Composer {
  #form = find("ask");
  #area = find("question");
  #send = find("send");
  #stop = find("stop");
  #note = find("ask-note");
  #attachments = new Attachments(find("attached"), () => this.#keep());
  #draftId;
  #limits;
  #reading = []; // the drafts for which files are being read
  #isWaiting = false; // for these files, before the question is sent

  /**
   * `onAsk(text, images)` gets what is to be sent, and returns whether it is taken; `onStop()` is called by the stop
   * button. `draftId()` names what is being written, see drafts.js; `limits()` are those of the gateway.
   */
  constructor({ onAsk, onStop, draftId, limits }) {
    this.#draftId = draftId;
    this.#limits = limits;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask(onAsk);
    });
    this.#stop.addEventListener("click", onStop);
    this.#area.addEventListener("input", () => this.#change());
    submitsOnEnter(this.#area, this.#form);
    this.#takeAttachments();
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
    this.#attachments.attached = images;
    if (this.#area.value !== text) this.#area.value = text; // else the cursor stays
    fitHeight(this.#area);
    this.say("");
    this.#isWaiting = false;
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
    const { text, images } = this.#draft;
    this.#isWaiting = !this.#send.hidden && this.#reading.includes(this.#draftId());
    if (this.#isWaiting) return this.say(say("ask.reading"));
    if (this.#send.hidden || !(text.trim() || images.length)) return;
    if (!onAsk(text, images)) return;
    this.#attachments.attached = [];
    this.fill("");
  }

  get #draft() {
    return { text: this.#area.value, images: this.#attachments.attached };
  }

  #change() {
    fitHeight(this.#area);
    this.say("");
    this.#keep();
  }

  #keep() {
    keepDraft(this.#draftId(), this.#draft);
  }

  /** The stop button takes the place of the send button: the second of two quick clicks is not meant for it. */
  #restStop() {
    this.#stop.disabled = true;
    setTimeout(() => (this.#stop.disabled = false), DOUBLE_CLICK_MILLISECONDS);
  }

  #takeAttachments() {
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

  /** Text files are put into the question, images go with it: that for which they were attached. */
  async #attach(files) {
    const id = this.#draftId();
    this.#reading.push(id);
    const { images, texts, words } = await read(files, this.#limits() ?? {});
    this.#reading.splice(this.#reading.indexOf(id), 1);
    const isHere = id === this.#draftId();
    const before = isHere ? this.#draft : readDraft(id);
    const draft = { text: texts.reduce(append, before.text), images: [...before.images, ...images] };
    keepDraft(id, draft);
    if (!isHere) return;
    const isSent = this.#isWaiting && !words;
    this.showDraft(draft);
    this.say(words);
    if (isSent) this.#form.requestSubmit();
  }
}

/** What cannot even be tried, as without the gateway, is said too. */
const read = (files, limits) =>
  import("./files.js")
    .then(({ readFiles }) => readFiles(files, limits))
    .catch(() => ({ images: [], texts: [], words: say("ask.unread", { names: list(files.map(({ name }) => name)) }) }));

const append = (before, text) => `${before.trimEnd()}${before.trim() && "\n\n"}${text}\n\n`;

/** Cells of a table and parts of a document come with a picture of themselves: the words are meant. */
const hasWords = ({ types }) => types.includes("text/plain") && types.includes("text/html");
