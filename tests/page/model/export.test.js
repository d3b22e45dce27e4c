// Files of conversations: what is taken in is what was given out.

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyEvent, newAnswer } from "../../../static/chat/answer.js";
import { addAnswer, addQuestion, newConversation } from "../../../static/chat/conversation.js";
import { fromJson, toJson } from "../../../static/chat/export.js";

const START = { type: "start", provider: "gpt", model: "luna", fallback: null, request_id: "r-1" };
const FALLBACK = { from: "luna", to: "nova", reason: "upstream_timeout" };
const END = {
  ...START,
  type: "end",
  usage: { input_tokens: 9, output_tokens: 12 },
  timing: { first_content_ms: 310, total_ms: 900 },
  finish_reason: "stop",
  dropped_params: ["seed"],
};
const say = (content) => ({ type: "delta", delta: { content } });
const think = (reasoning) => ({ type: "delta", delta: { reasoning } });
const SENT = {
  turns: 3,
  images: 1,
  withoutImages: true,
  isLess: true,
  leftOut: { turns: 1, images: 0, shortened: 2 },
};
const ERROR = {
  code: "upstream_unavailable",
  message: "The provider fails.",
  status: 503,
  provider: "gpt",
  retryable: false,
  attempts: [{ model: "luna", code: "upstream_timeout" }],
};
const ANSWERS = {
  "that is whole": [START, say("Yes"), END],
  "of a model that has thought": [START, think("Hm"), say("Yes"), END],
  "of a fallback": [{ ...START, fallback: FALLBACK }, say("Yes"), { ...END, fallback: FALLBACK }],
  "that was begun anew": [
    START,
    say("Ye"),
    { ...START, type: "restart", model: "nova", fallback: FALLBACK, partial_chars: 2 },
    say("No"),
    { ...END, model: "nova", fallback: FALLBACK },
  ],
  "that was cut": [START, say("Ye"), { type: "cut" }],
  "that failed": [{ type: "error", error: ERROR }],
  "that failed in the middle": [START, say("Ye"), { type: "error", error: ERROR }],
};
/** What shows how an answer was, and not when: a wait for another attempt is over by then. */
const lasting = ({ thinkingSince, failedAt, owner, ...answer }) => answer;

for (const [name, events] of Object.entries(ANSWERS)) {
  test(`an answer ${name} is the same after an export and an import`, () => {
    const given = events.reduce(applyEvent, { ...newAnswer("gpt"), sent: SENT });
    if (given.thinkingSince) given.thoughtMilliseconds = 12_000;
    const begun = addQuestion(newConversation({ id: "c-1", provider: "gpt", at: 1 }), {
      id: "q1",
      text: "Well?",
      images: [],
      at: 2,
    });
    const conversation = addAnswer(begun, "q1", { id: "a1", owner: "t", answer: given, at: 3 });
    const { conversations, unreadable } = fromJson(toJson([conversation], []).join(""));
    assert.equal(unreadable, 0);
    assert.deepEqual(lasting(conversations[0].nodes.a1), lasting(conversation.nodes.a1));
  });
}
