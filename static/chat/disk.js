// What the browser's database keeps: conversations, and presets of system prompts. Each operation is one transaction,
// so what another tab writes comes before or after it.

import { HEADS, IMAGES, NODES, PRESETS, ofConversation, settled } from "./database.js";
import { fromRecords, patchHead, toRecords } from "./records.js";

export class Disk {
  #database;

  constructor(database) {
    this.#database = database;
  }

  /** The heads of all conversations, and of those that were deleted: these have `deletedAt`. */
  readHeads() {
    return this.#database.run([HEADS], "readonly", ({ heads }) => settled(heads.getAll()));
  }

  /** The head and the nodes of a conversation; null if there is none. */
  readConversation(id) {
    return this.#database.run([HEADS, NODES, IMAGES], "readonly", async ({ heads, nodes, images }) => {
      const [head, found, pictures] = await Promise.all([
        settled(heads.get(id)),
        settled(nodes.getAll(ofConversation(id))),
        settled(images.getAll(ofConversation(id))),
      ]);
      return head ? { head, nodes: fromRecords(found, pictures) } : null;
    });
  }

  /** The head of a conversation, and these of its nodes. */
  readNodes(id, ids) {
    return this.#database.run([HEADS, NODES, IMAGES], "readonly", async ({ heads, nodes, images }) => {
      const [head, ...found] = await Promise.all([
        settled(heads.get(id)),
        ...ids.map((node) => settled(nodes.get([id, node]))),
      ]);
      const wanted = found.filter(Boolean);
      const names = wanted.flatMap((node) => node.images?.map((image) => image.id) ?? []);
      const pictures = await Promise.all(names.map((name) => settled(images.get([id, name]))));
      return { head: head ?? null, nodes: fromRecords(wanted, pictures.filter(Boolean)) };
    });
  }

  /** All that was written in each of these conversations, as one text each. */
  readTexts(ids) {
    return this.#database.run([NODES], "readonly", async ({ nodes }) => {
      const found = await Promise.all(ids.map((id) => settled(nodes.getAll(ofConversation(id)))));
      return new Map(ids.map((id, index) => [id, found[index].map(({ text }) => text).join("\n")]));
    });
  }

  /**
   * Writes changes, each `{id, patch, nodes, whole}`: what a tab has changed of the head, the nodes that it has added,
   * and for a conversation that is not in the database the whole of it. Resolves to the stored heads.
   *
   * A node is replaced by a newer one only. What was deleted stays deleted, unless the patch has `deletedAt`.
   */
  write(changes) {
    return this.#database.run([HEADS, NODES, IMAGES], "readwrite", (stores) =>
      Promise.all(changes.map((change) => writeChange(stores, change))),
    );
  }

  /** Removes what is left of deleted conversations. The note that they were stays: another tab may still have them. */
  purge(deleted) {
    return this.#database.run([HEADS, NODES, IMAGES], "readwrite", async ({ heads, nodes, images }) => {
      for (const { id, deletedAt } of deleted) {
        const head = await settled(heads.get(id));
        if (!head || head.deletedAt !== deletedAt) continue; // it was restored
        nodes.delete(ofConversation(id));
        images.delete(ofConversation(id));
        heads.put({ id, version: head.version + 1, deletedAt, isPurged: true });
      }
    });
  }

  readPresets() {
    return this.#database.run([PRESETS], "readonly", ({ presets }) => settled(presets.getAll()));
  }

  writePresets(presets) {
    return this.#database.run([PRESETS], "readwrite", async (stores) => {
      for (const preset of presets) stores.presets.put(preset);
    });
  }

  removePreset(id) {
    return this.#database.run([PRESETS], "readwrite", async (stores) => {
      stores.presets.delete(id);
    });
  }
}

async function writeChange({ heads, nodes, images }, { id, patch, nodes: added, whole }) {
  const stored = await settled(heads.get(id));
  if (stored?.deletedAt && !("deletedAt" in patch)) return stored;
  const isThere = stored && !stored.isPurged;
  const head = patchHead(
    isThere ? stored : { ...whole.head, version: Math.max(stored?.version ?? 0, whole.head.version ?? 0) },
    patch,
  );
  heads.put(head);
  const records = toRecords(id, isThere ? added : whole.nodes);
  for (const node of records.nodes) {
    const former = await settled(nodes.get([id, node.id]));
    if (!(former?.rev >= node.rev)) nodes.put(node);
  }
  for (const image of records.images) images.put(image);
  return head;
}
