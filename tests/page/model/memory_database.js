// The browser's database in memory, as `Database` in static/chat/database.js offers it, with faults on order.

import { StorageError } from "../../../static/chat/database.js";

globalThis.IDBKeyRange = { bound: ([lower]) => lower }; // only ranges of one conversation are asked for

export class MemoryDatabase {
  stores = { heads: new Map(), nodes: new Map(), images: new Map(), presets: new Map() };
  runs = 0;
  #fault = () => null;

  /** `fault(run)` says how the run with this number fails: `{kind, isDone}`; null if it succeeds. */
  failWhen(fault) {
    this.#fault = fault;
  }

  async run(names, mode, work) {
    const fault = this.#fault(this.runs);
    this.runs += 1;
    await null; // as in a browser, nothing is there at once
    if (fault && !fault.isDone) throw new StorageError(fault.kind);
    const before = structuredClone(this.stores);
    try {
      const result = await work(Object.fromEntries(names.map((name) => [name, new Store(this.stores[name], name)])));
      if (fault) throw new StorageError(fault.kind); // it was done, but the browser did not say so
      return result;
    } catch (error) {
      if (!fault) this.stores = before;
      throw error;
    }
  }
}

class Store {
  #records;
  #isNested;

  constructor(records, name) {
    this.#records = records;
    this.#isNested = name === "nodes" || name === "images";
  }

  #key = (record) => (this.#isNested ? `${record.conversation} ${record.id}` : record.id);

  get(key) {
    return answer(() => this.#records.get([key].flat().join(" ")));
  }

  getAll(conversation) {
    return answer(() =>
      [...this.#records.values()].filter((each) => !conversation || each.conversation === conversation),
    );
  }

  put(record) {
    const copy = structuredClone(record);
    this.#records.set(this.#key(copy), copy);
    return answer(() => undefined);
  }

  delete(key) {
    for (const [name, record] of [...this.#records]) {
      if (record.id === key || record.conversation === key) this.#records.delete(name);
    }
    return answer(() => undefined);
  }
}

/** A request that succeeds. */
function answer(read) {
  const request = { result: undefined };
  queueMicrotask(() => {
    request.result = structuredClone(read());
    request.onsuccess?.();
  });
  return request;
}
