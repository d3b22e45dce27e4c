// One answer, as the stream's events make it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyEvent, asLeft, canContinue, endAnswer, isOpen, newAnswer } from "../../../static/chat/answer.js";

const START = { type: "start", provider: "gpt", model: "luna", fallback: null, request_id: "r-1" };
const END = { type: "end", provider: "gpt", model: "luna", fallback: null, finish_reason: "stop" };
const delta = (content) => ({ type: "delta", delta: { content } });
const play = (answer, ...events) => events.reduce(applyEvent, answer);

test("deltas join to the text, and only the end makes it whole", () => {
  const streaming = play(newAnswer("gpt"), START, delta("Hel"), delta("lo"));
  assert.equal(streaming.text, "Hello");
  assert.ok(isOpen(streaming));
  const whole = play(streaming, END);
  assert.deepEqual([whole.state, whole.model, whole.requestId, isOpen(whole)], ["whole", "luna", "r-1", false]);
});

test("an event changes no former answer", () => {
  const first = Object.freeze(newAnswer("gpt"));
  const second = Object.freeze(applyEvent(first, delta("a")));
  applyEvent(second, delta("b"));
  assert.deepEqual([first.text, second.text], ["", "a"]);
});

test("a restart drops what came, but not what an earlier answer had", () => {
  const fallback = { from: "luna", to: "nova", reason: "stalled" };
  const restart = { type: "restart", provider: "gpt", model: "nova", fallback, partial_chars: 3 };
  assert.equal(play(newAnswer("gpt"), delta("abc"), restart, delta("x")).text, "x");
  const continued = newAnswer("gpt", { text: "Once upon" });
  assert.equal(play(continued, delta(" a time"), restart, delta(" two")).text, "Once upon two");
});

test("an event that is not known changes nothing", () => {
  const answer = newAnswer("gpt");
  assert.equal(applyEvent(answer, { type: "later" }), answer);
});

test("a stream that could not be read is said to be what it is", () => {
  const abort = new DOMException("stopped", "AbortError");
  assert.equal(endAnswer(newAnswer("gpt"), abort).state, "stopped");
  assert.equal(endAnswer(newAnswer("gpt"), new TypeError("fetch failed")).error.code, "unreachable");
  assert.equal(endAnswer(newAnswer("gpt"), new SyntaxError("no JSON")).error.code, "unreadable");
  assert.equal(endAnswer(play(newAnswer("gpt"), delta("a")), new TypeError("network")).state, "cut");
});

test("an open answer that nothing receives is cut, and any other is as it was", () => {
  assert.equal(asLeft(play(newAnswer("gpt"), delta("a"))).state, "cut");
  const whole = play(newAnswer("gpt"), delta("a"), END);
  assert.equal(asLeft(whole), whole);
});

test("only what may go on can be continued", () => {
  const begun = play(newAnswer("gpt"), delta("a"));
  const error = { type: "error", error: { code: "upstream_timeout" } };
  assert.ok(canContinue(play(begun, { type: "cut" })));
  assert.ok(canContinue(play(begun, error)));
  assert.ok(canContinue(play(begun, { ...END, finish_reason: "length" })));
  assert.ok(!canContinue(play(begun, END)));
  assert.ok(!canContinue(begun));
  assert.ok(!canContinue(play(newAnswer("gpt"), error)));
});
