// Finds conversations by what was written in them.

const BATCH = 50; // conversations that are read at once

export class Search {
  #library;
  #texts = new Map(); // a conversation's id → its texts as they are compared, and the version of which they are

  constructor(library) {
    this.#library = library;
  }

  /**
   * Resolves to the ids of the conversations that have all of these words. What cannot be read is looked for in the
   * titles alone.
   */
  async find(words) {
    const wanted = fold(words).split(/\s+/).filter(Boolean);
    const heads = this.#library.list();
    await this.#read(heads);
    const found = heads.filter(({ id, title }) => {
      const text = `${fold(title)}\n${this.#texts.get(id)?.text ?? ""}`;
      return wanted.every((word) => text.includes(word));
    });
    return new Set(found.map(({ id }) => id));
  }

  async #read(heads) {
    const isKnown = ({ id, version }) => this.#texts.get(id)?.version === version && !this.#library.get(id);
    const changed = heads.filter((head) => !isKnown(head));
    for (let start = 0; start < changed.length; start += BATCH) {
      const batch = changed.slice(start, start + BATCH);
      const texts = await this.#library.readTexts(batch.map(({ id }) => id));
      for (const { id, version } of batch) {
        if (texts.has(id)) this.#texts.set(id, { version, text: fold(texts.get(id)) });
      }
    }
  }
}

/** For comparing: without case and accents. */
export const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
