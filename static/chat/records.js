// Conversations as the browser's database has them. Pure.
//
// Each question and each answer is a record of its own, so that a tab writes what it has added and nothing else. The
// data of images stands apart: what reads texts need not read them.

import { newAnswer } from "./answer.js";
import { headOf } from "./conversation.js";

/** The records of these questions and answers: `nodes`, and the `images` in them. */
export function toRecords(conversation, nodes) {
  const images = [];
  const records = nodes.map((node) => {
    if (node.kind !== "question" || !node.images.length) return { ...node, conversation };
    const named = node.images.map(({ data, ...image }, index) => {
      const id = `${node.id}.${index}`;
      images.push({ conversation, id, data });
      return { ...image, id };
    });
    return { ...node, conversation, images: named };
  });
  return { nodes: records, images };
}

/** The questions and answers of these records. */
export function fromRecords(nodes, images) {
  const data = new Map(images.map((image) => [image.id, image.data]));
  return nodes.map(({ conversation, ...node }) => {
    if (node.kind !== "question") return node;
    const found = node.images.filter(({ id }) => data.has(id));
    return { ...node, images: found.map(({ id, ...image }) => ({ ...image, data: data.get(id) })) };
  });
}

/** A head and nodes of a conversation as version 1 of the database had it: a list of turns. */
export function fromVersion1({ id, conversationId, title, provider, updatedAt, turns }) {
  const at = updatedAt || 0;
  const nodes = [];
  for (const [index, turn] of (turns ?? []).entries()) {
    const parent = nodes.at(-1)?.id ?? "";
    const place = { at: at - (turns.length - index), rev: 1 };
    const question = { ...place, id: `${id}.${index}`, kind: "question", parent };
    nodes.push({ ...question, text: turn.text ?? "", images: turn.images ?? [] });
    if (turn.answer) {
      const answer = { ...newAnswer(provider), ...turn.answer };
      nodes.push({ ...answer, ...place, id: `${id}.${index}a`, kind: "answer", parent: question.id, owner: null });
    }
  }
  const head = { id, conversationId: conversationId ?? null, title: title ?? "", provider: provider ?? "" };
  return { head: { ...EMPTY_HEAD, ...head, createdAt: at, updatedAt: at, answeredAt: at, seenAt: at }, nodes };
}

const EMPTY_HEAD = { version: 1, systemPrompt: "", isPinned: false, chosen: {} };

/** What differs in `after`: fields of the head, and the nodes that are new or changed. */
export function findChanges(before, after) {
  const head = headOf(after);
  const fields = Object.entries(head).filter(([name, value]) => !before || before[name] !== value);
  const nodes = Object.values(after.nodes).filter((node) => before?.nodes[node.id] !== node);
  return { patch: Object.fromEntries(fields), nodes };
}

/** The stored head with a tab's changes to it. What two tabs have chosen is joined. */
export function patchHead(stored, patch) {
  const chosen = { ...stored.chosen, ...patch.chosen };
  return { ...stored, ...patch, chosen, version: (stored.version ?? 0) + 1 };
}
