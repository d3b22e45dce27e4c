// A conversation: a tree of questions and answers, of which one branch is shown. Pure: each change gives a new one.
//
// Versions are siblings: a question that was put another way has the same parent as the first one, and an answer that
// was asked for again has the same question. Nothing is dropped, so two tabs that both add something lose nothing.
//
// The `images` of a question are all that was attached to it, PDFs too: the field is stored, and has kept its name.

import { isOpen } from "./answer.js";
import { makeTitle } from "./title.js";

const ROOT = "";

/** `id` is the browser's own; `conversationId` is the gateway's, which comes with the first answer. */
export function newConversation({ id, provider, systemPrompt = "", at }) {
  return {
    id,
    version: 0,
    conversationId: null,
    title: "",
    provider,
    systemPrompt,
    isPinned: false,
    createdAt: at,
    updatedAt: at,
    answeredAt: 0,
    seenAt: at,
    chosen: {},
    nodes: {},
  };
}

/** What is known of a conversation without its questions and answers. */
export function headOf(conversation) {
  const { nodes, ...head } = conversation;
  return head;
}

export const isEmpty = ({ nodes }) => !Object.keys(nodes).length;

// --- the tree ------------------------------------------------------------------------------------------

const indexes = new WeakMap(); // the nodes of a conversation → each node's children

/** The node's children, the oldest first. Those whose parent was lost are at the root. */
function childrenOf({ nodes }, parent) {
  if (!indexes.has(nodes)) {
    const sorted = Object.values(nodes).sort((one, other) => one.at - other.at || (one.id < other.id ? -1 : 1));
    const children = new Map();
    for (const node of sorted) {
      const place = Object.hasOwn(nodes, node.parent) ? node.parent : ROOT;
      children.set(place, [...(children.get(place) ?? []), node]);
    }
    indexes.set(nodes, children);
  }
  return indexes.get(nodes).get(parent) ?? [];
}

/** The children of one kind, and which of them is shown: the one that the reader chose, else the newest. */
function versionsOf(conversation, parent, kind) {
  const nodes = childrenOf(conversation, parent).filter((node) => node.kind === kind);
  const chosen = nodes.findIndex(({ id }) => id === conversation.chosen[parent]);
  return { nodes, index: chosen < 0 ? nodes.length - 1 : chosen };
}

/**
 * The branch that is shown, a turn for each question: `id`, `text`, `images`, `answer` (null if there is none), and
 * the `versions` of both, each with its `ids` and the `index` of the one that is shown.
 */
export function shownTurns(conversation) {
  const turns = [];
  for (let parent = ROOT; ;) {
    const questions = versionsOf(conversation, parent, "question");
    if (!questions.nodes.length) return turns;
    turns.push(makeTurn(conversation, questions));
    const { id, answer } = turns.at(-1);
    parent = answer?.id ?? id;
  }
}

function makeTurn(conversation, questions) {
  const question = questions.nodes[questions.index];
  const answers = withoutAttempts(versionsOf(conversation, question.id, "answer"));
  return {
    id: question.id,
    text: question.text,
    images: question.images,
    answer: answers.nodes[answers.index] ?? null,
    versions: { question: describeVersions(questions), answer: describeVersions(answers) },
  };
}

/** Answers that failed without a word are no versions, except for the one that is shown. */
function withoutAttempts({ nodes, index }) {
  const shown = nodes[index];
  const worth = nodes.filter((answer) => answer === shown || answer.text || isOpen(answer));
  return { nodes: worth, index: worth.indexOf(shown) };
}

const describeVersions = ({ nodes, index }) => ({ ids: nodes.map(({ id }) => id), index });

/** The questions before this one on its branch, with the answers that they lead from; the oldest first. */
export function turnsBefore(conversation, questionId) {
  const { nodes } = conversation;
  const turns = [];
  for (let node = nodes[nodes[questionId].parent]; node; node = nodes[node.parent]) {
    if (node.kind === "question") turns.push({ question: node, answer: null });
    else if (Object.hasOwn(nodes, node.parent)) {
      turns.push({ question: nodes[node.parent], answer: node });
      node = nodes[node.parent];
    }
  }
  return turns.reverse();
}

// --- changes -------------------------------------------------------------------------------------------

/** With a question at the end of the branch that is shown. */
export function addQuestion(conversation, { id, text, images, at }) {
  const last = shownTurns(conversation).at(-1);
  return withQuestion(conversation, { id, parent: last?.answer?.id ?? last?.id ?? ROOT, text, images, at });
}

/** With another version of the question. */
export function editQuestion(conversation, questionId, { id, text, images, at }) {
  return withQuestion(conversation, { id, parent: conversation.nodes[questionId].parent, text, images, at });
}

function withQuestion(conversation, { id, parent, text, images, at }) {
  const title = conversation.title || makeTitle(text);
  const node = { id, kind: "question", parent, at, rev: 1, text, images };
  return { ...withNode(conversation, node), title, updatedAt: at };
}

/** With a new version of the question's answer; `answer` is from `newAnswer`, `owner` the tab that receives it. */
export function addAnswer(conversation, questionId, { id, owner, answer, at }) {
  const node = { ...answer, id, kind: "answer", parent: questionId, at, rev: 1, owner };
  return { ...withNode(conversation, node), updatedAt: at };
}

function withNode(conversation, node) {
  return {
    ...conversation,
    nodes: { ...conversation.nodes, [node.id]: node },
    chosen: { ...conversation.chosen, [node.parent]: node.id },
  };
}

/** With the answer as it is now. */
export function changeAnswer(conversation, id, answer) {
  const node = conversation.nodes[id];
  return { ...conversation, nodes: { ...conversation.nodes, [id]: { ...node, ...answer, rev: node.rev + 1 } } };
}

/** Shows the branch with this version of a question or an answer. */
export function chooseVersion(conversation, id) {
  return { ...conversation, chosen: { ...conversation.chosen, [conversation.nodes[id].parent]: id } };
}

/** One that both tabs' changes are in. `other` has what came from elsewhere: a newer head, some nodes. */
export function merge(conversation, { head = null, nodes = [] }) {
  const newer = nodes.filter(({ id, rev }) => !(conversation.nodes[id]?.rev >= rev));
  const isNewer = head && head.version > conversation.version;
  if (!newer.length && !isNewer) return conversation;
  return {
    ...conversation,
    ...(isNewer ? head : {}),
    chosen: { ...head?.chosen, ...conversation.chosen }, // what this tab shows is its own
    nodes: newer.length
      ? { ...conversation.nodes, ...Object.fromEntries(newer.map((node) => [node.id, node])) }
      : conversation.nodes,
  };
}
