// What can be done with all conversations, or with one that need not be open: take them out, take them in, delete them.

import { UNDO_MILLISECONDS } from "./chat/library.js";
import { announce } from "./view/announcer.js";
import { copy } from "./view/clipboard.js";
import { askText, confirm } from "./view/dialogs.js";
import { download, fileName } from "./view/download.js";
import { showToast } from "./view/toast.js";
import { say } from "./words.js";

/** Loads what writes and reads files: it is seldom needed. */
const files = () => import("./chat/export.js");

export class Keeping {
  #library;
  #presets;
  #onRemove;

  /** `onRemove(ids)` is called before conversations are removed. */
  constructor({ library, presets, onRemove }) {
    this.#library = library;
    this.#presets = presets;
    this.#onRemove = onRemove;
  }

  async rename(id) {
    const { title } = this.#head(id);
    const renamed = await askText(say("conversation.rename.title"), { value: title });
    if (renamed) this.#library.change(id, (known) => ({ ...known, title: renamed }));
  }

  pin(id) {
    this.#library.change(id, (known) => ({ ...known, isPinned: !known.isPinned }));
  }

  async copyId(id) {
    const { conversationId } = this.#head(id);
    announce(say((await copy(conversationId ?? "")) ? "conversation.id_copied" : "copied.not"));
  }

  remove(id) {
    this.#remove([id], say("conversation.deleted"));
  }

  async removeAll() {
    const ids = this.#library.list().map((head) => head.id);
    if (!ids.length || !(await confirm(say("data.delete.question", { count: ids.length }), { yes: say("data.delete") }))) return;
    this.#remove(ids, say("data.deleted", { count: ids.length }));
  }

  #remove(ids, words) {
    this.#onRemove(ids);
    this.#library.remove(ids);
    announce(words);
    const act = () => this.#library.restore(ids);
    showToast(words, { label: say("undo"), act, milliseconds: UNDO_MILLISECONDS });
  }

  async export(id) {
    const { found, unread } = await this.#read([id]);
    if (unread) announce(say("data.unread", { count: unread }));
    else download(fileName(found[0].title), [(await files()).toMarkdown(found[0])]);
  }

  exportMarkdown() {
    return this.#exportAll("conversations.md", "text/markdown", async (found) => [(await files()).allToMarkdown(found)]);
  }

  exportJson() {
    return this.#exportAll("conversations.json", "application/json", async (found) =>
      (await files()).toJson(found, await this.#presets.list()),
    );
  }

  /** A file that has not everything says so. */
  async #exportAll(name, type, write) {
    const { found, unread } = await this.#read(this.#library.list().map((head) => head.id));
    download(name, await write(found), type);
    const words = say("data.exported", { count: found.length });
    announce([words, unread ? say("data.unread", { count: unread }) : ""].filter(Boolean).join(" "));
    return unread;
  }

  async #read(ids) {
    const read = await Promise.all(ids.map((id) => this.#library.read(id).catch(() => null)));
    const found = read.filter(Boolean);
    return { found, unread: ids.length - found.length };
  }

  /** Takes in a file of `exportJson`. Resolves to what is to be said of it. */
  async import(file) {
    const text = await file.text().catch(() => ""); // it may be gone, or not to be read
    const content = (await files()).fromJson(text);
    if (!content) return say("data.foreign", { name: file.name });
    const { conversations, presets, unreadable } = content;
    const taken = await Promise.allSettled(conversations.map((conversation) => this.#library.import(conversation)));
    if (presets.length) await this.#presets.add(presets);
    const failed = unreadable + taken.filter(({ status }) => status === "rejected").length;
    const words = say("data.imported", { count: conversations.length + unreadable - failed });
    return [words, failed ? say("data.unread", { count: failed }) : ""].filter(Boolean).join(" ");
  }

  #head(id) {
    return this.#library.list().find((head) => head.id === id) ?? { title: "", conversationId: null };
  }
}
