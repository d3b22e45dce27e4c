// A conversation as a tree of versions.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newAnswer } from "../../../static/chat/answer.js";
import {
  addAnswer,
  addQuestion,
  changeAnswer,
  chooseVersion,
  editQuestion,
  merge,
  newConversation,
  shownTurns,
  turnsBefore,
} from "../../../static/chat/conversation.js";

let clock = 0;
const next = () => (clock += 1);
const start = () => newConversation({ id: "c-1", provider: "gpt", at: next() });
const ask = (conversation, id, text = id) => addQuestion(conversation, { id, text, images: [], at: next() });
const reply = (conversation, question, id) =>
  addAnswer(conversation, question, {
    id,
    owner: "t-1",
    answer: { ...newAnswer("gpt"), text: id, state: "whole" },
    at: next(),
  });
const edit = (conversation, question, id) =>
  editQuestion(conversation, question, { id, text: id, images: [], at: next() });
const shown = (conversation) => shownTurns(conversation).flatMap(({ id, answer }) => [id, answer?.id].filter(Boolean));

/** Two questions with their answers. */
const grown = () => reply(ask(reply(ask(start(), "q1"), "q1", "a1"), "q2"), "q2", "a2");

test("questions and answers follow each other", () => {
  assert.deepEqual(shown(grown()), ["q1", "a1", "q2", "a2"]);
});

test("an edited question keeps the old one, and what followed it", () => {
  const edited = reply(edit(grown(), "q1", "q1b"), "q1b", "a1b");
  assert.deepEqual(shown(edited), ["q1b", "a1b"]);
  const [turn] = shownTurns(edited);
  assert.deepEqual(turn.versions.question, { ids: ["q1", "q1b"], index: 1 });
  assert.deepEqual(shown(chooseVersion(edited, "q1")), ["q1", "a1", "q2", "a2"]);
});

test("an answer that is asked for again keeps the old one, and what followed it", () => {
  const again = reply(grown(), "q1", "a1b");
  assert.deepEqual(shown(again), ["q1", "a1b"]);
  assert.deepEqual(shownTurns(again)[0].versions.answer, { ids: ["a1", "a1b"], index: 1 });
  assert.deepEqual(shown(chooseVersion(again, "a1")), ["q1", "a1", "q2", "a2"]);
});

test("a question goes to the end of the branch that is shown", () => {
  const again = chooseVersion(reply(grown(), "q1", "a1b"), "a1");
  assert.deepEqual(shown(ask(again, "q3")), ["q1", "a1", "q2", "a2", "q3"]);
  assert.deepEqual(shown(ask(chooseVersion(again, "a1b"), "q3")), ["q1", "a1b", "q3"]);
});

test("a question without an answer can be followed by another", () => {
  assert.deepEqual(shown(ask(ask(start(), "q1"), "q2")), ["q1", "q2"]);
});

test("a question is sent with its own branch", () => {
  const branched = reply(edit(grown(), "q2", "q2b"), "q2b", "a2b");
  const before = (id) => turnsBefore(branched, id).map(({ question, answer }) => [question.id, answer?.id ?? null]);
  assert.deepEqual(before("q1"), []);
  assert.deepEqual(before("q2"), [["q1", "a1"]]);
  assert.deepEqual(before("q2b"), [["q1", "a1"]]);
  const unanswered = ask(ask(start(), "q1"), "q2");
  assert.deepEqual(
    turnsBefore(unanswered, "q2").map(({ question }) => question.id),
    ["q1"],
  );
});

test("an answer grows by new versions of its node", () => {
  const one = grown();
  const other = changeAnswer(one, "a2", { text: "more" });
  assert.deepEqual([one.nodes.a2.text, other.nodes.a2.text], ["a2", "more"]);
  assert.equal(other.nodes.a2.rev, one.nodes.a2.rev + 1);
  assert.equal(other.nodes.a1, one.nodes.a1);
});

test("two tabs that both add something lose nothing, in either order", () => {
  const common = grown();
  const one = reply(ask(common, "q3"), "q3", "a3");
  const other = reply(common, "q1", "a1b");
  const nodes = (conversation) => ({ nodes: Object.values(conversation.nodes) });
  const joined = merge(one, nodes(other));
  assert.deepEqual(joined.nodes, merge(other, nodes(one)).nodes);
  assert.deepEqual(Object.keys(joined.nodes).sort(), ["a1", "a1b", "a2", "a3", "q1", "q2", "q3"]);
  assert.deepEqual(shown(joined), shown(one), "what a tab shows is its own");
});

test("a stale copy of an answer does not replace the newer one", () => {
  const stale = grown();
  const newer = changeAnswer(stale, "a2", { text: "whole" });
  assert.equal(merge(newer, { nodes: [stale.nodes.a2] }).nodes.a2.text, "whole");
  assert.equal(merge(stale, { nodes: [newer.nodes.a2] }).nodes.a2.text, "whole");
});

test("of two heads the newer one is taken", () => {
  const old = { ...grown(), version: 3, title: "Old" };
  const { nodes: _, ...head } = { ...old, version: 4, title: "New" };
  assert.equal(merge(old, { head }).title, "New");
  assert.equal(merge({ ...old, version: 5 }, { head }).title, "Old");
});

test("a question whose predecessor was lost is still shown", () => {
  const { a1: _, ...nodes } = grown().nodes;
  assert.ok(shown({ ...grown(), nodes }).includes("q1"));
  const { q1: lost, ...rest } = nodes;
  assert.ok(lost);
  assert.deepEqual(shown({ ...grown(), nodes: rest }), ["q2", "a2"]);
});

test("whatever two tabs do, each question and answer is in both in the end", () => {
  const steps = [(conversation, _, id) => ask(conversation, id), edit, reply];
  let seed = 7;
  const random = (limit) => (seed = (seed * 48_271) % 2_147_483_647) % limit;
  for (let round = 0; round < 200; round += 1) {
    const common = grown();
    const tabs = [common, common];
    for (let step = 0; step < 8; step += 1) {
      const tab = random(2);
      const ids = Object.values(tabs[tab].nodes).flatMap(({ id, kind }) => (kind === "question" ? [id] : []));
      const question = ids[random(ids.length)];
      const id = `n${round}-${step}`;
      tabs[tab] = steps[random(3)](tabs[tab], question, id);
      if (!random(3)) tabs[1 - tab] = merge(tabs[1 - tab], { nodes: Object.values(tabs[tab].nodes) });
    }
    const [one, other] = tabs.map((tab, index) => merge(tab, { nodes: Object.values(tabs[1 - index].nodes) }));
    assert.deepEqual(one.nodes, other.nodes);
    for (const tab of tabs) {
      for (const id of Object.keys(tab.nodes)) assert.ok(one.nodes[id]);
    }
  }
});
