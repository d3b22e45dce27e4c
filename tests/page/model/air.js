// Between tabs: what they post reaches the others when `deliver` is called, in the order in which it was posted.

export class Air {
  #waiting = [];
  #tabs = [];

  open() {
    const listeners = new Map();
    const id = `t-${this.#tabs.length}`;
    const tab = {
      id,
      on: (type, listener) => listeners.set(type, [...(listeners.get(type) ?? []), listener]),
      post: (type, message = {}) => this.#waiting.push([tab, type, structuredClone({ ...message, from: id })]),
      hear: (type, message) => (listeners.get(type) ?? []).map((listener) => listener(message)),
    };
    this.#tabs.push(tab);
    return tab;
  }

  /** A tab is gone; `delivers` is whether what it has posted still reaches the others. */
  close(number, { delivers }) {
    const [tab] = this.#tabs.splice(number, 1);
    if (!delivers) this.#waiting = this.#waiting.filter(([from]) => from !== tab);
  }

  async deliver() {
    for (const [from, type, message] of this.#waiting.splice(0)) {
      for (const tab of this.#tabs) {
        if (tab !== from) await Promise.all(tab.hear(type, message));
      }
    }
  }
}
