// All conversations. What this tab knows of them is true for the page, and the browser's database follows: it may fail
// at any moment, and costs no more than what is kept.

import { Attempts } from "./attempts.js";
import { headOf, merge } from "./conversation.js";
import { findChanges } from "./records.js";
import { Saver } from "./saver.js";

export const UNDO_MILLISECONDS = 20_000; // for which what was deleted can be restored

export class Library {
  isListed = false; // whether the list has been read
  #disk;
  #tabs;
  #onChange;
  #heads = new Map(); // a conversation's id → what is known of it without its nodes
  #loaded = new Map(); // id → the conversation
  #trash = new Map(); // id → what was deleted here
  #attempts = new Attempts({
    onChange: () => this.#say([]),
    onRetry: () => this.#retry(),
  });
  #saver = new Saver((changes) => this.#write(changes));

  /**
   * `onChange({ids, isListChanged})` is called when these conversations have changed, the list, or what is wrong with
   * the storage.
   */
  constructor({ disk, tabs, onChange }) {
    this.#disk = disk;
    this.#tabs = tabs;
    this.#onChange = onChange;
    tabs.on("changed", ({ changes }) => this.#takeChanges(changes));
    tabs.on("answer", ({ conversation, node }) => this.#take(conversation, { nodes: [node] }));
  }

  /** The StorageError that is in the way of keeping conversations, null if none is. */
  get problem() {
    return this.#attempts.problem;
  }

  /** The heads of the conversations, the one that was changed last first. */
  list() {
    return [...this.#heads.values()].sort((one, other) => other.updatedAt - one.updatedAt);
  }

  /** The conversation, if it is loaded. */
  get(id) {
    return this.#loaded.get(id);
  }

  /** Reads the list; until that succeeds it is tried again. */
  async start() {
    const read = await this.#attempts.make(() => this.#disk.readHeads());
    if (!read) return;
    this.isListed = true;
    for (const head of read.value) this.#take(head.id, { head }, { isQuiet: true });
    this.#say([]);
    this.#purge(read.value);
  }

  /** Resolves to the conversation, null if there is none. Rejects with a StorageError. */
  async load(id) {
    if (this.#loaded.has(id)) return this.#loaded.get(id);
    let found = await this.#disk.readConversation(id);
    const isChanged = this.#heads.get(id)?.version > found?.head.version; // in the meantime, by another tab
    if (isChanged) found = await this.#disk.readConversation(id);
    if (!found || found.head.deletedAt) return null;
    if (!this.#loaded.has(id)) {
      const nodes = Object.fromEntries(found.nodes.map((node) => [node.id, node]));
      this.#put({ ...found.head, ...this.#saver.patchOf(id), nodes });
    }
    return this.#loaded.get(id);
  }

  /** Resolves to the conversation like `load`, without holding it from then on. */
  async read(id) {
    if (this.#loaded.has(id)) return this.#loaded.get(id);
    const found = await this.#disk.readConversation(id);
    return found && { ...found.head, nodes: Object.fromEntries(found.nodes.map((node) => [node.id, node])) };
  }

  /** Takes a conversation from elsewhere, even if it was deleted here; one that is here gets what it has not. */
  async import(conversation) {
    const { id, nodes } = conversation;
    const known = this.#heads.has(id) ? await this.load(id) : null;
    if (known) this.change(id, (before) => merge(before, { nodes: Object.values(nodes) }));
    else this.add({ ...conversation, deletedAt: 0 });
  }

  /** Takes a new conversation. */
  add(conversation) {
    this.#put(conversation);
    this.#saver.note(conversation.id, findChanges(null, conversation));
    this.#say([conversation.id]);
    this.#saver.save();
  }

  /**
   * Changes a conversation by a pure function; if it is not loaded, its head alone. What is not urgent, such as the
   * words of an answer that is still coming, is saved a little later.
   */
  change(id, change, { isUrgent = true } = {}) {
    const before = this.#loaded.get(id) ?? this.#asUnread(id);
    const after = before && change(before);
    if (!after || after === before) return; // it was deleted, or nothing has changed
    if (this.#loaded.has(id)) this.#loaded.set(id, after);
    this.#heads.set(id, headOf(after));
    const changes = findChanges(before, after);
    this.#saver.note(id, changes);
    this.#say([id], { isListChanged: Object.keys(changes.patch).length > 0 });
    if (isUrgent) this.#saver.save();
    else this.#saver.saveSoon();
  }

  /** Deletes conversations. For a while they can be restored, then nothing of them is left. */
  remove(ids) {
    const deletedAt = Date.now();
    for (const id of ids) {
      this.#trash.set(id, { ...(this.#loaded.get(id) ?? this.#asUnread(id)), deletedAt });
      this.#forget(id);
      this.#saver.note(id, { patch: { deletedAt } });
    }
    this.#say(ids);
    this.#saver.save();
    setTimeout(() => this.#empty(ids, deletedAt), UNDO_MILLISECONDS);
  }

  restore(ids) {
    const found = ids.filter((id) => this.#trash.has(id));
    for (const id of found) {
      const conversation = { ...this.#trash.get(id), deletedAt: 0 };
      this.#trash.delete(id);
      this.#heads.set(id, headOf(conversation));
      if (Object.keys(conversation.nodes).length) this.#loaded.set(id, conversation);
      this.#saver.note(id, { patch: { deletedAt: 0 }, nodes: Object.values(conversation.nodes) });
    }
    this.#say(found);
    this.#saver.save();
  }

  /** Resolves to the texts of these conversations, of those that can be read. */
  async readTexts(ids) {
    const unread = ids.filter((id) => !this.#loaded.has(id));
    const read = unread.length ? await this.#disk.readTexts(unread).catch(() => new Map()) : new Map();
    for (const id of ids) {
      const known = this.#loaded.get(id);
      if (known)
        read.set(
          id,
          Object.values(known.nodes)
            .map(({ text }) => text)
            .join("\n"),
        );
    }
    return read;
  }

  /** Saves what is waiting to be saved, as before the page is left. */
  save() {
    return this.#saver.save();
  }

  // --- what this tab knows -------------------------------------------------------------------------------

  #say(ids, { isListChanged = true } = {}) {
    this.#onChange({ ids, isListChanged });
  }

  #put(conversation) {
    this.#loaded.set(conversation.id, conversation);
    this.#heads.set(conversation.id, headOf(conversation));
  }

  /** A conversation that is not loaded: its head. */
  #asUnread(id) {
    const head = this.#heads.get(id);
    return head && { ...head, nodes: {} };
  }

  #forget(id) {
    this.#heads.delete(id);
    this.#loaded.delete(id);
    this.#saver.drop(id);
  }

  /** Takes what another tab has written; what this one has changed since is on top of it. */
  #take(id, { head = null, nodes = [] }, { isQuiet = false } = {}) {
    if (head?.deletedAt) {
      if (!this.#heads.has(id) || this.#saver.patchOf(id).deletedAt === 0) return;
      this.#forget(id);
    } else {
      const before = this.#loaded.get(id);
      if (!before && !head) return;
      const patch = this.#saver.patchOf(id);
      if (patch.deletedAt) return; // here it is deleted
      if (before) this.#put({ ...merge(before, { head, nodes }), ...patch });
      else this.#heads.set(id, { ...head, ...patch });
    }
    if (!isQuiet) this.#say([id], { isListChanged: head !== null });
  }

  async #takeChanges(changes) {
    for (const { id, nodes } of changes) {
      const found = await this.#disk.readNodes(id, nodes).catch(() => null); // said when something is to be written
      if (found?.head) this.#take(id, found);
    }
  }

  // --- what the database has -----------------------------------------------------------------------------

  #retry() {
    if (!this.isListed) this.start();
    this.#saver.save();
  }

  async #write(changes) {
    const whole = changes.map((change) => ({ ...change, whole: this.#whole(change.id) }));
    const written = await this.#attempts.make(() => this.#disk.write(whole));
    if (!written) return false;
    for (const head of written.value) this.#take(head.id, { head });
    this.#tabs.post("changed", {
      changes: changes.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => node.id) })),
    });
    return true;
  }

  #whole(id) {
    const conversation = this.#loaded.get(id) ?? this.#asUnread(id) ?? this.#trash.get(id) ?? { id, nodes: {} };
    return { head: headOf(conversation), nodes: Object.values(conversation.nodes) };
  }

  #empty(ids, deletedAt) {
    const deleted = ids.filter((id) => this.#trash.get(id)?.deletedAt === deletedAt);
    for (const id of deleted) this.#trash.delete(id);
    this.#purge(deleted.map((id) => ({ id, deletedAt })));
  }

  /** Removes what is left of conversations that were deleted some time ago; if that fails, with the next start. */
  #purge(heads) {
    const isOld = ({ deletedAt, isPurged }) => deletedAt && !isPurged && Date.now() - deletedAt >= UNDO_MILLISECONDS;
    const old = heads.filter(isOld);
    if (old.length) this.#disk.purge(old).catch(() => {});
  }
}
