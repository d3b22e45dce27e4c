// Titles by the model: asked for once, after the first whole answer, and never in place of a reader's own.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

globalThis.document = { baseURI: "http://gateway.test/", documentElement: { lang: "en" } };

const { newAnswer } = await import("../../../static/chat/answer.js");
const { addAnswer, addQuestion, changeAnswer, newConversation } = await import(
  "../../../static/chat/conversation.js"
);
const { Disk } = await import("../../../static/chat/disk.js");
const { Library } = await import("../../../static/chat/library.js");
const { nameConversation, titleRequest } = await import("../../../static/chat/naming.js");
const { Air } = await import("./air.js");
const { MemoryDatabase } = await import("./memory_database.js");

const event = (value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
const delta = (content) => ({ type: "delta", delta: { content } });
const END = { type: "end", finish_reason: "stop" };
const QUESTION = "How far away is the **moon**?";

let asked = [];
let reply = () => [];

beforeEach(() => {
  asked = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  globalThis.fetch = async (url, { body }) => {
    asked.push({ url, ...JSON.parse(body) });
    const frames = await reply();
    return new Response(frames.map(event).join(""), { headers: { "content-type": "text/event-stream" } });
  };
});

async function open({ text = QUESTION, state = "whole", change = (known) => known } = {}) {
  const library = new Library({ disk: new Disk(new MemoryDatabase()), tabs: new Air().open(), onChange: () => {} });
  await library.start();
  const fresh = { ...newConversation({ id: "c-1", provider: "claude", at: 1 }), conversationId: "g-1" };
  const question = { id: "q1", text, images: [], at: 1 };
  library.add(change(withAnswer(addQuestion(fresh, question), "q1", { id: "a1", state })));
  return library;
}

function withAnswer(conversation, question, { id, state }) {
  const added = addAnswer(conversation, question, { id, owner: "t", answer: newAnswer("claude"), at: 2 });
  return changeAnswer(added, id, { state, text: "384,400 km" });
}

const titleOf = (library) => library.get("c-1").title;

test("a title is asked for by the provider that answered, in the same conversation", async () => {
  const library = await open();
  reply = () => [delta("Distance of "), delta("the Moon"), END, "[DONE]"];
  await nameConversation(library, "c-1");
  assert.equal(titleOf(library), "Distance of the Moon");
  assert.equal(asked.length, 1);
  assert.equal(asked[0].url, "http://gateway.test/chat/claude");
  assert.equal(asked[0].conversation_id, "g-1");
  assert.match(asked[0].messages[0].content, /How far away.*384,400 km/s);
});

test("a title has no marks of Markdown, whatever the model writes", async () => {
  for (const text of ["**Moon**", "**Moon", "## **Moon**", '"**Moon**"', "Title: `Moon`", "\n\n**Moon.**\nbecause"]) {
    const library = await open();
    reply = () => [delta(text), END, "[DONE]"];
    await nameConversation(library, "c-1");
    assert.equal(titleOf(library), "Moon", text);
  }
});

const FAILURES = {
  "an error": [{ type: "error", error: { code: "rate_limited" } }],
  "an error after a part": [delta("Moon"), { type: "error", error: { code: "upstream_truncated" } }],
  "a stream that is cut": [delta("Moon")],
  "an end without its mark": [delta("Moon"), END],
  "an end for length": [delta("Moon"), { ...END, finish_reason: "length" }, "[DONE]"],
  "no words": [delta(" \n"), END, "[DONE]"],
  "far too many words": [delta("Moon ".repeat(100)), END, "[DONE]"],
  "what is no event": ["<html>"],
};

for (const [name, frames] of Object.entries(FAILURES)) {
  test(`${name} leaves the title that was made of the question`, async () => {
    const library = await open();
    reply = () => frames;
    await nameConversation(library, "c-1");
    assert.equal(titleOf(library), "How far away is the moon?");
  });
}

test("a gateway that cannot be reached leaves it, too", async () => {
  const library = await open();
  reply = () => {
    throw new TypeError("fetch failed");
  };
  await nameConversation(library, "c-1");
  assert.equal(titleOf(library), "How far away is the moon?");
});

test("a title that the reader gives meanwhile stays", async () => {
  const library = await open();
  reply = () => {
    library.change("c-1", (known) => ({ ...known, title: "My own" }));
    return [delta("Moon"), END, "[DONE]"];
  };
  await nameConversation(library, "c-1");
  assert.equal(titleOf(library), "My own");
});

test("a conversation that is deleted meanwhile does not come back", async () => {
  const library = await open();
  reply = () => {
    library.remove(["c-1"]);
    return [delta("Moon"), END, "[DONE]"];
  };
  await nameConversation(library, "c-1");
  await nameConversation(library, "c-1");
  assert.deepEqual(library.list(), []);
  assert.equal(asked.length, 1);
});

const NOT_NOW = {
  "the reader has renamed it": { change: (known) => ({ ...known, title: "My own" }) },
  "its answer is not whole": { state: "stopped" },
  "it has two whole answers": { change: (known) => withAnswer(known, "q1", { id: "a2", state: "whole" }) },
};

for (const [name, options] of Object.entries(NOT_NOW)) {
  test(`nothing is asked where ${name}`, async () => {
    const library = await open(options);
    await nameConversation(library, "c-1");
    assert.deepEqual(asked, []);
  });
}

test("an answer that failed first is no reason against it, nor a question without words", async () => {
  const failed = (known) => withAnswer(known, "q1", { id: "a0", state: "failed" });
  assert.ok(titleRequest((await open({ change: failed })).get("c-1")));
  assert.ok(titleRequest((await open({ text: "" })).get("c-1")));
});

test("of a long conversation only the beginning is sent, and no half of a character", async () => {
  const library = await open({ text: `a${"🙂".repeat(50_000)}` });
  const { body } = titleRequest(library.get("c-1"));
  assert.ok(body.messages[0].content.length < 5_000);
  assert.ok(body.messages[0].content.isWellFormed());
});
