// The browser's database: opened when it is needed, opened again when the browser has closed it. Each operation ends,
// if need be in a StorageError: the browser may refuse, fail, close the connection, or never answer.

import { fromVersion1, toRecords } from "./records.js";

const NAME = "gateway-chat";
const VERSION = 2;
const PATIENCE_MILLISECONDS = 5_000;

export const HEADS = "heads";
export const NODES = "nodes";
export const IMAGES = "images";
export const PRESETS = "presets";

/**
 * `kind` is `unavailable` (there is no database, or it is refused), `blocked` (another tab has an older version of the
 * page), `outdated` (this tab has), `full`, `silent` (no answer in time) or `failed`; `cause` is what the browser
 * said.
 */
export class StorageError extends Error {
  constructor(kind, cause = null) {
    super(`storage ${kind}${cause ? `: ${cause.name}` : ""}`, { cause });
    this.kind = kind;
  }
}

const KINDS = { QuotaExceededError: "full", VersionError: "outdated" };

const asStorageError = (error, otherwise) =>
  error instanceof StorageError ? error : new StorageError(KINDS[error?.name] ?? otherwise, error);

export class Database {
  #connection = null; // a promise of it
  #patience;

  constructor({ patience = PATIENCE_MILLISECONDS } = {}) {
    this.#patience = patience;
  }

  /** Resolves to what `work(stores)` does when the transaction is complete. `work` waits for requests only. */
  async run(names, mode, work) {
    try {
      return await this.#attempt(names, mode, work);
    } catch (error) {
      if (error.kind !== "failed") throw error;
      return this.#attempt(names, mode, work); // the connection may have been closed: with a new one
    }
  }

  async #attempt(names, mode, work) {
    const database = await this.#open();
    try {
      return await within(this.#patience, transact(database, names, mode, work));
    } catch (error) {
      this.#connection = null;
      database.close();
      throw asStorageError(error, "failed");
    }
  }

  async #open() {
    const connection = (this.#connection ??= this.#connect());
    try {
      return await within(this.#patience, connection);
    } catch (error) {
      if (this.#connection === connection) this.#connection = null;
      throw asStorageError(error, "unavailable");
    }
  }

  #connect() {
    const connection = new Promise((resolve, reject) => {
      const request = indexedDB.open(NAME, VERSION);
      request.onupgradeneeded = ({ oldVersion }) => upgrade(request.result, request.transaction, oldVersion);
      request.onblocked = () => reject(new StorageError("blocked"));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        this.#connection ??= connection; // it may come later than it was waited for
        if (this.#connection === connection) this.#watch(request.result);
        else request.result.close();
        resolve(request.result);
      };
    });
    return connection;
  }

  #watch(database) {
    const connection = this.#connection;
    const forget = () => {
      if (this.#connection === connection) this.#connection = null;
    };
    database.onclose = forget;
    database.onversionchange = () => {
      database.close(); // else a newer version of the page waits for this tab
      forget();
    };
  }
}

/** A request's result. */
export function settled(request) {
  const result = new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  result.catch(() => {}); // it is not awaited if a later request of the same transaction throws
  return result;
}

/** All keys that begin with the conversation's id. */
export const ofConversation = (id) => IDBKeyRange.bound([id], [id, []]);

function within(milliseconds, promise) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new StorageError("silent")), milliseconds);
  });
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer));
}

async function transact(database, names, mode, work) {
  const transaction = database.transaction(names, mode);
  const completed = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
  });
  const stores = Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)]));
  const worked = work(stores).catch((error) => {
    abort(transaction);
    throw error;
  });
  const [result] = await Promise.all([worked, completed]);
  return result;
}

function abort(transaction) {
  try {
    transaction.abort();
  } catch {
    // it is aborted already
  }
}

function upgrade(database, transaction, oldVersion) {
  database.createObjectStore(HEADS, { keyPath: "id" });
  database.createObjectStore(NODES, { keyPath: ["conversation", "id"] });
  database.createObjectStore(IMAGES, { keyPath: ["conversation", "id"] });
  database.createObjectStore(PRESETS, { keyPath: "id" });
  if (oldVersion === 1) takeVersion1(database, transaction);
}

function takeVersion1(database, transaction) {
  transaction.objectStore("conversations").openCursor().onsuccess = ({ target: { result: cursor } }) => {
    if (!cursor) {
      for (const name of ["conversations", "summaries"]) database.deleteObjectStore(name);
      return;
    }
    const { head, nodes } = fromVersion1(cursor.value);
    const records = toRecords(head.id, nodes);
    transaction.objectStore(HEADS).put(head);
    for (const node of records.nodes) transaction.objectStore(NODES).put(node);
    for (const image of records.images) transaction.objectStore(IMAGES).put(image);
    cursor.continue();
  };
}
