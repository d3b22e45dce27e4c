// Questions that are not sent yet, one for each conversation. They outlive a reload of the tab.

import { session } from "./kept.js";

const NEW = "new"; // of a conversation in which nothing was asked yet
const EMPTY = { text: "", images: [] };

const nameOf = (kind, id) => `${kind}:${id ?? NEW}`;
const held = new Map(); // images are many bytes: they are written only when they have changed

export function readDraft(id) {
  const text = session.get(nameOf("draft", id)) ?? "";
  return { ...EMPTY, text, images: readImages(id) };
}

function readImages(id) {
  if (!held.has(id)) held.set(id, parse(session.get(nameOf("draft-images", id))));
  return held.get(id);
}

function parse(text) {
  try {
    return JSON.parse(text) ?? [];
  } catch {
    return [];
  }
}

export function keepDraft(id, { text, images }) {
  keep(nameOf("draft", id), text);
  if (held.get(id) === images) return;
  held.set(id, images);
  keep(nameOf("draft-images", id), images.length ? JSON.stringify(images) : "");
}

export const dropDraft = (id) => keepDraft(id, EMPTY);

const keep = (name, value) => (value ? session.set(name, value) : session.remove(name));
