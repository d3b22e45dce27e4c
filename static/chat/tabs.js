// The other tabs with this page. A browser that lets tabs not talk has each alone.

import { makeId } from "./ids.js";

export class Tabs {
  id = makeId(); // of this tab, until it is loaded anew
  #channel = null;
  #listeners = new Map();

  constructor() {
    try {
      this.#channel = new BroadcastChannel("gateway-chat");
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    } catch {
      // each tab is alone
    }
  }

  /** `listener(message)` hears what other tabs post as this `type`; `message.from` is the tab's id. */
  on(type, listener) {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  post(type, message = {}) {
    try {
      this.#channel?.postMessage({ ...message, type, from: this.id });
    } catch {
      // the channel is closed, as when the page is left
    }
  }

  #hear(message) {
    for (const listener of this.#listeners.get(message?.type) ?? []) listener(message);
  }
}
