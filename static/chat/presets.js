// Named instructions that the reader keeps, to begin conversations with.

import { makeId } from "./ids.js";

export class Presets {
  #disk;
  #known = new Map(); // what this tab has made or read: all there is, where the browser keeps nothing

  constructor(disk) {
    this.#disk = disk;
  }

  /** Resolves to all of them by name, of those that can be read. */
  async list() {
    const read = await this.#disk.readPresets().catch(() => []);
    for (const preset of read) this.#known.set(preset.id, preset);
    return [...this.#known.values()].sort((one, other) => one.name.localeCompare(other.name));
  }

  /** Resolves to whether the browser keeps it beyond this page. */
  save({ name, text, id = makeId() }) {
    return this.add([{ id, name, text }]);
  }

  add(presets) {
    for (const preset of presets) this.#known.set(preset.id, preset);
    return isKept(this.#disk.writePresets(presets));
  }

  remove(id) {
    this.#known.delete(id);
    return isKept(this.#disk.removePreset(id));
  }
}

const isKept = (written) =>
  written.then(
    () => true,
    () => false,
  );
