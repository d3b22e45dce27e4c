// Named instructions that the reader keeps, to begin conversations with.

import { makeId } from "./ids.js";

export class Presets {
  #disk;
  #known = new Map(); // what was read last, and what this tab has made: all there is, where the browser keeps nothing
  #unkept = new Map();

  constructor(disk) {
    this.#disk = disk;
  }

  /** Resolves to all of them by name, of those that can be read. */
  async list() {
    const read = await this.#disk.readPresets().catch(() => null);
    if (read) this.#known = new Map([...byId(read), ...this.#unkept]); // another tab may have removed some
    return [...this.#known.values()].sort((one, other) => one.name.localeCompare(other.name));
  }

  /** Resolves to whether the browser keeps it beyond this page. */
  save({ name, text, id = makeId() }) {
    return this.add([{ id, name, text }]);
  }

  async add(presets) {
    const kept = await isKept(this.#disk.writePresets(presets));
    for (const [id, preset] of byId(presets)) {
      this.#known.set(id, preset);
      if (!kept) this.#unkept.set(id, preset);
    }
    return kept;
  }

  remove(id) {
    this.#known.delete(id);
    this.#unkept.delete(id);
    return isKept(this.#disk.removePreset(id));
  }
}

const byId = (presets) => presets.map((preset) => [preset.id, preset]);

const isKept = (written) =>
  written.then(
    () => true,
    () => false,
  );
