// What is sent of a conversation.

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyEvent, newAnswer } from "../../../static/chat/answer.js";
import { addAnswer, addQuestion, newConversation } from "../../../static/chat/conversation.js";
import { countCharacters, findRefusal, isRefused, lessAfter, makeRequest } from "../../../static/chat/request.js";

const NONE_SENT = { turns: 0, images: 0, withoutImages: false, isLess: false, leftOut: null };
const IMAGE = { mediaType: "image/png", data: "A".repeat(400), name: "dot.png" }; // 300 bytes
const PDF = { mediaType: "application/pdf", data: "A".repeat(400), name: "a.pdf" };
const failed = (code, sent = NONE_SENT) =>
  applyEvent({ ...newAnswer("gpt"), sent }, { type: "error", error: { code } });
const whole = (text, sent = NONE_SENT) => ({ ...newAnswer("gpt"), text, sent, state: "whole" });

let clock = 0;
const next = () => (clock += 1);

/** A conversation of these turns, each `[text, answer, images]`; the last one has no answer. */
function talk(...turns) {
  let conversation = newConversation({ id: "c-1", provider: "gpt", at: next() });
  turns.forEach(([text, answer, images = []], index) => {
    conversation = addQuestion(conversation, { id: `q${index}`, text, images, at: next() });
    if (answer)
      conversation = addAnswer(conversation, `q${index}`, { id: `a${index}`, owner: "t", answer, at: next() });
  });
  return conversation;
}

const request = (conversation, options = {}) => {
  const last = Object.keys(conversation.nodes)
    .filter((id) => id.startsWith("q"))
    .at(-1);
  return makeRequest(conversation, last, { provider: "gpt", ...options });
};
const texts = ({ body }) =>
  body.messages.map(({ content }) => (typeof content === "string" ? content : content.at(-1).text));

test("a question is sent with what was said before it", () => {
  const made = request({ ...talk(["One?", whole("1")], ["Two?"]), conversationId: "g-1" });
  assert.deepEqual(made.body, {
    messages: [
      { role: "user", content: "One?" },
      { role: "assistant", content: "1" },
      { role: "user", content: "Two?" },
    ],
    conversation_id: "g-1",
    on_break: "restart",
  });
  assert.deepEqual(made.sent, { turns: 1, images: 0, withoutImages: false, isLess: false, leftOut: null });
});

test("the conversation's system prompt comes first", () => {
  const made = request({ ...talk(["One?"]), systemPrompt: "Be brief." });
  assert.deepEqual(made.body.messages[0], { role: "system", content: "Be brief." });
});

for (const code of [
  "invalid_request",
  "content_filtered",
  "rejected_by_provider",
  "payload_too_large",
  "unsupported",
]) {
  test(`a question that was refused as ${code} is not sent again`, () => {
    const conversation = talk(["One?", whole("1")], ["Bad?", failed(code)], ["Three?"]);
    assert.deepEqual(texts(request(conversation)), ["One?", "1", "Three?"]);
  });
}

test("a question that failed for another reason is sent again", () => {
  const conversation = talk(["One?", failed("upstream_unavailable")], ["Two?"]);
  assert.deepEqual(texts(request(conversation)), ["One?", "Two?"]);
});

test("a conversation over the limit of messages is trimmed from its oldest turns", () => {
  const conversation = talk(["One?", whole("1")], ["Two?", whole("2")], ["Three?"]);
  const made = request({ ...conversation, systemPrompt: "Be brief." }, { limits: { max_messages: 5 } });
  assert.deepEqual(texts(made), ["Be brief.", "Two?", "2", "Three?"]);
  assert.deepEqual(made.sent.leftOut, { turns: 1, images: 0, shortened: 0 });
  assert.equal(request(conversation, { limits: { max_messages: 5 } }).sent.leftOut, null);
});

test("a body is never over its limit, whatever its characters cost", () => {
  const long = ["é", "\u0000", '"', "🙂", "\n"].map((character) => character.repeat(500));
  const conversation = talk(...long.map((text) => [text, whole(text)]), ["Last?"]);
  for (let most = 200; most < 20_000; most += 379) {
    const made = request(conversation, { limits: { max_body_bytes: most } });
    assert.ok(Buffer.byteLength(JSON.stringify(made.body)) <= most);
    assert.equal(texts(made).at(-1), "Last?");
    const [first] = texts(made);
    assert.ok(made.sent.turns === 0 || long.includes(first));
  }
});

test("old images that do not fit are left out before the texts of their turns", () => {
  const conversation = talk(["Old", whole("1"), [IMAGE]], ["New", whole("2"), [IMAGE]], ["Last?"]);
  const bytes = Buffer.byteLength(JSON.stringify(request(conversation).body));
  const made = request(conversation, { limits: { max_body_bytes: bytes - 10 } });
  assert.deepEqual(texts(made), ["[An image was here.]\nOld", "1", "New", "2", "Last?"]);
  assert.deepEqual(made.sent.leftOut, { turns: 0, images: 1, shortened: 0 });
});

test("an image over the limit is left out, and a text over it is shortened", () => {
  const conversation = talk(["Old", whole("x".repeat(100)), [IMAGE]], ["Last?"]);
  const made = request(conversation, { limits: { max_image_bytes: 299, max_message_chars: 60 } });
  const [question, answer] = texts(made);
  assert.equal(question, "[An image was here.]\nOld");
  assert.ok(countCharacters(answer) <= 60 && answer.includes("[…]") && answer.endsWith("x"));
  assert.deepEqual(made.sent.leftOut, { turns: 0, images: 1, shortened: 1 });
});

test("a file is sent with its name, within its own limit", () => {
  const made = request(talk(["Read", null, [PDF]]), { limits: { max_image_bytes: 1 } });
  const part = { type: "file", media_type: "application/pdf", data: PDF.data, name: "a.pdf" };
  assert.deepEqual(made.body.messages.at(-1).content, [part, { type: "text", text: "Read" }]);
  const refusal = findRefusal({ text: "", images: [PDF, IMAGE] }, { max_file_bytes: 299, max_image_bytes: 300 });
  assert.deepEqual(refusal, { limit: "max_file_bytes", seen: 300, most: 299 });
});

test("a provider that takes no files is not sent those of earlier turns", () => {
  const conversation = talk(["Read", whole("1"), [PDF, IMAGE]], ["Last?"]);
  const made = request(conversation, { limits: { max_file_bytes: 0 } });
  assert.deepEqual(texts(made), ["[A file was here.]\nRead", "1", "Last?"]);
  assert.equal(made.body.messages[0].content[0].type, "image");
  assert.deepEqual(made.sent.leftOut, { turns: 0, images: 1, shortened: 0 });
});

test("half of a surrogate pair is not sent", () => {
  const made = request(talk(["a\ud83d", whole("\ude42b")], ["🙂?"]));
  assert.deepEqual(texts(made), ["a\ufffd", "\ufffdb", "🙂?"]);
});

test("a question that no request could carry is found before it is sent", () => {
  const limits = { max_message_chars: 10, max_image_bytes: 300, max_body_bytes: 1_000 };
  assert.equal(findRefusal({ text: "🙂".repeat(10), images: [IMAGE] }, limits), null);
  assert.deepEqual(findRefusal({ text: "x".repeat(11), images: [] }, limits), {
    limit: "max_message_chars",
    seen: 11,
    most: 10,
  });
  const large = { ...IMAGE, data: "A".repeat(404) };
  assert.deepEqual(findRefusal({ text: "", images: [large] }, limits), {
    limit: "max_image_bytes",
    seen: 303,
    most: 300,
  });
  assert.equal(findRefusal({ text: "", images: [IMAGE, IMAGE, IMAGE] }, limits).limit, "max_body_bytes");
  assert.equal(findRefusal({ text: "x".repeat(1_000), images: [large] }, null), null);
});

test("after a refusal for its length a request is made with half of what was said", () => {
  const conversation = talk(...Array.from({ length: 9 }, (_, index) => [`Q${index}`, whole(`A${index}`)]), ["Last?"]);
  let { sent } = request(conversation);
  const tried = [sent.turns];
  for (let less; (less = lessAfter(failed("context_length_exceeded", sent)));) {
    ({ sent } = request(conversation, { less }));
    tried.push(sent.turns);
  }
  assert.deepEqual(tried, [9, 4, 2, 1, 0]);
  assert.deepEqual(sent.leftOut, { turns: 9, images: 0, shortened: 0 });
});

test("what was too much once is not sent to that provider again", () => {
  const less = { ...NONE_SENT, turns: 1, isLess: true };
  const conversation = talk(["1", whole("a")], ["2", whole("b")], ["3", whole("c", less)], ["Last?"]);
  assert.deepEqual(texts(request(conversation)), ["2", "b", "3", "c", "Last?"]);
  assert.equal(request(conversation, { provider: "claude" }).sent.turns, 3);
});

test("for a provider that takes no images they are left out", () => {
  const conversation = talk(["See", whole("1"), [IMAGE]], ["Last?"]);
  const { sent } = request(conversation);
  const less = lessAfter(failed("unsupported", sent));
  const made = request(conversation, { less });
  assert.deepEqual(texts(made), ["[An image was here.]\nSee", "1", "Last?"]);
  assert.equal(lessAfter(failed("unsupported", made.sent)), null);
});

test("two refused questions in a row make what they were sent with suspect", () => {
  const sent = { ...NONE_SENT, turns: 2 };
  const bad = failed("content_filtered", sent);
  const conversation = talk(["1", whole("a")], ["2", whole("b")], ["3", bad], ["4", bad], ["Last?"]);
  assert.deepEqual(texts(request(conversation)), ["2", "b", "Last?"]);
});

test("the rest of an answer is asked for after what there is of it", () => {
  const conversation = talk(["A story?", { ...newAnswer("gpt"), text: "Once upon", state: "cut" }]);
  const made = request(conversation, { continued: conversation.nodes.a0 });
  assert.deepEqual(
    made.body.messages.map(({ role }) => role),
    ["user", "assistant", "user"],
  );
  assert.equal(texts(made)[1], "Once upon");
});

test("an answer with text is not refused, whatever its error", () => {
  assert.ok(!isRefused({ ...failed("content_filtered"), text: "Once" }));
  assert.ok(!isRefused(null));
});
