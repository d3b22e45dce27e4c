// Writes to the database what this tab has changed, in the order of the changes. What is not written stays noted.

const SOON_MILLISECONDS = 1_000; // what a tab that is closed in mid-answer may lose

export class Saver {
  #write;
  #noted = new Map(); // a conversation's id → the fields of its head and the nodes that have changed
  #inWriting = new Map();
  #timer = null;
  #running = null;

  /** `write(changes)` resolves to whether they are written; a change is `{id, patch, nodes}`. */
  constructor(write) {
    this.#write = write;
  }

  note(id, { patch = {}, nodes = [] }) {
    const noted = this.#noted.get(id) ?? { patch: {}, nodes: new Map() };
    Object.assign(noted.patch, patch);
    for (const node of nodes) noted.nodes.set(node.id, node);
    this.#noted.set(id, noted);
  }

  /** What this tab has changed of a head, and the database may not have yet. */
  patchOf(id) {
    return { ...this.#inWriting.get(id)?.patch, ...this.#noted.get(id)?.patch };
  }

  drop(id) {
    this.#noted.delete(id);
  }

  saveSoon() {
    this.#timer ??= setTimeout(() => this.save(), SOON_MILLISECONDS);
  }

  /** Writes what is noted; resolves when that is over. */
  save() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run() {
    while (this.#noted.size) {
      this.#inWriting = this.#noted;
      this.#noted = new Map();
      const changes = [...this.#inWriting].map(([id, { patch, nodes }]) => ({ id, patch, nodes: [...nodes.values()] }));
      const isWritten = await this.#write(changes);
      const written = this.#inWriting;
      this.#inWriting = new Map();
      if (isWritten) continue;
      this.#putBack(written);
      return;
    }
  }

  /** Under what was noted in the meantime. */
  #putBack(unwritten) {
    const later = this.#noted;
    this.#noted = unwritten;
    for (const [id, { patch, nodes }] of later) this.note(id, { patch, nodes: [...nodes.values()] });
  }
}
