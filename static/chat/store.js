// Keeps the conversations in this browser, and nowhere else.

const SUMMARIES = "summaries"; // what the list shows, so that it needn't load every conversation
const CONVERSATIONS = "conversations";

/** Opens the browser's database; where there is none (a private window), a store that forgets. */
export async function openStore() {
  try {
    return new DatabaseStore(await openDatabase());
  } catch {
    return new MemoryStore();
  }
}

function openDatabase() {
  const request = indexedDB.open("gateway-chat", 1);
  request.onupgradeneeded = () => {
    for (const name of [SUMMARIES, CONVERSATIONS]) request.result.createObjectStore(name, { keyPath: "id" });
  };
  return settled(request);
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const summarize = ({ id, title, updatedAt }) => ({ id, title, updatedAt });
const newestFirst = (summaries) => summaries.sort((one, other) => other.updatedAt - one.updatedAt);

class DatabaseStore {
  isLasting = true;
  #database;

  constructor(database) {
    this.#database = database;
  }

  /** The summaries, newest first. */
  async list() {
    return newestFirst(await settled(this.#open(SUMMARIES, "readonly").objectStore(SUMMARIES).getAll()));
  }

  load(id) {
    return settled(this.#open(CONVERSATIONS, "readonly").objectStore(CONVERSATIONS).get(id));
  }

  save(conversation) {
    return this.#write((summaries, conversations) => {
      summaries.put(summarize(conversation));
      conversations.put(conversation);
    });
  }

  remove(id) {
    return this.#write((summaries, conversations) => {
      summaries.delete(id);
      conversations.delete(id);
    });
  }

  #open(names, mode) {
    return this.#database.transaction(names, mode);
  }

  #write(change) {
    const transaction = this.#open([SUMMARIES, CONVERSATIONS], "readwrite");
    change(transaction.objectStore(SUMMARIES), transaction.objectStore(CONVERSATIONS));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

class MemoryStore {
  isLasting = false;
  #kept = new Map();

  async list() {
    return newestFirst([...this.#kept.values()].map(summarize));
  }

  async load(id) {
    return this.#kept.get(id);
  }

  async save(conversation) {
    this.#kept.set(conversation.id, conversation);
  }

  async remove(id) {
    this.#kept.delete(id);
  }
}
