// The chats under way: asks for answers, stops them, and lets the other tabs know. One a conversation, several at
// once.

import { applyEvent, cutAnswer, endAnswer, isOpen, newAnswer } from "./answer.js";
import { addAnswer, changeAnswer } from "./conversation.js";
import { chat } from "./gateway.js";
import { makeId } from "./ids.js";
import { lessAfter, makeRequest } from "./request.js";

const FRAME_MILLISECONDS = 16; // an answer is shown at most once in that time
const POST_MILLISECONDS = 250; // and another tab that shows it, too, hears of it once in that time
const ASK_MILLISECONDS = 5_000; // so often a tab that receives an answer is asked whether it still does
const LEAVING_MILLISECONDS = 3_000; // in which a stream breaks because the page is being left
const PATIENCE = 3; // questions without a reply, until it is taken to be gone

export class Chats {
  #library;
  #tabs;
  #limits;
  #onChange;
  #here = new Map(); // a conversation's id → the chat that this tab receives
  #elsewhere = new Map(); // a conversation's id → an answer that another tab receives, and how often it did not reply
  #asking = null;
  #leavingSince = -Infinity;

  /** `limits()` are those of the gateway, null if unknown; `onChange(id)` is called when a chat begins or ends. */
  constructor({ library, tabs, limits, onChange }) {
    this.#library = library;
    this.#tabs = tabs;
    this.#limits = limits;
    this.#onChange = onChange;
    tabs.on("answer", ({ conversation, node }) => this.#noteElsewhere(conversation, node));
    tabs.on("stop", ({ conversation }) => this.#here.get(conversation)?.stopper.abort());
    tabs.on("who", () => this.#here.forEach((_, id) => this.#post(id)));
    tabs.on("watch", ({ conversation }) => this.#watch(conversation));
    tabs.on("bye", ({ from }) => this.#noteGone(from));
    tabs.post("who");
  }

  isRunning(id) {
    return this.#here.has(id) || this.#elsewhere.has(id);
  }

  /** Whether this tab is receiving an answer, to this conversation if one is named. */
  isReceiving(id = null) {
    return id ? this.#here.has(id) : this.#here.size > 0;
  }

  /** Whether a tab of this browser is receiving the answer. */
  isReceived(conversationId, answerId) {
    return (
      this.#here.get(conversationId)?.answerId === answerId || this.#elsewhere.get(conversationId)?.node.id === answerId
    );
  }

  /** Has the tab that receives an answer to this conversation post it as it grows. */
  watch(id) {
    this.#tabs.post("watch", { conversation: id });
  }

  /** Stops the conversation's chat; resolves when this tab has none. */
  async stop(id) {
    if (this.#elsewhere.has(id)) this.#tabs.post("stop", { conversation: id });
    const running = this.#here.get(id);
    running?.stopper.abort();
    await running?.over;
  }

  /**
   * The page may be about to be left. Firefox then breaks the streams before it is gone: that is no failure of theirs.
   */
  prepareToLeave() {
    this.#leavingSince = Date.now();
  }

  /** The other tabs need not wait for what this one was receiving. */
  leave() {
    if (this.#here.size) this.#tabs.post("bye");
  }

  /**
   * Asks for an answer to a question; `continued` is an answer that is to go on. Resolves to the answer's node at its
   * end, whichever that is.
   */
  ask(conversationId, questionId, { provider, continued = null }) {
    const running = { answerId: makeId(), stopper: new AbortController(), isWatched: false };
    running.poster = new Throttle(POST_MILLISECONDS, () => this.#post(conversationId, running));
    this.#here.set(conversationId, running);
    const answer = newAnswer(provider, continued ?? {});
    const place = { id: running.answerId, owner: this.#tabs.id, at: Date.now() };
    this.#library.change(conversationId, (conversation) =>
      addAnswer({ ...conversation, provider }, questionId, { ...place, answer }),
    );
    running.over = this.#run({ conversationId, questionId, provider, continued }, running, answer);
    this.#post(conversationId);
    this.#onChange(conversationId);
    return running.over;
  }

  async #run(asked, running, waiting) {
    const { conversationId } = asked;
    let answer = waiting;
    for (let less = null; this.#library.get(conversationId);) {
      const { body, sent } = this.#prepare(asked, less);
      answer = await this.#receive(asked, running, body, { ...waiting, sent });
      less = lessAfter(answer);
      if (!less) break;
    }
    if (this.#here.get(conversationId) === running) this.#here.delete(conversationId);
    this.#show(conversationId, running, answer, { isLast: true });
    this.#onChange(conversationId);
    return { ...answer, id: running.answerId };
  }

  #prepare({ conversationId, questionId, provider, continued }, less) {
    const conversation = this.#library.get(conversationId);
    return makeRequest(conversation, questionId, { provider, limits: this.#limits(), continued, less });
  }

  /** Reads one stream to its end; resolves to the answer. */
  async #receive({ conversationId, provider }, running, body, begun) {
    const events = chat(provider, body, running.stopper.signal);
    const screen = new Throttle(FRAME_MILLISECONDS, (answer) => this.#show(conversationId, running, answer));
    let answer = begun;
    for (;;) {
      const step = await events.next().catch((failure) => ({ failure }));
      if (step.failure && isOpen(answer)) answer = this.#isLeaving ? cutAnswer(answer) : endAnswer(answer, step.failure);
      if (step.failure || step.done) break;
      answer = applyEvent(answer, step.value);
      this.#nameConversation(conversationId, step.value.conversation_id);
      screen.push(answer);
    }
    screen.cancel();
    return answer;
  }

  get #isLeaving() {
    return Date.now() - this.#leavingSince < LEAVING_MILLISECONDS;
  }

  #nameConversation(id, conversationId) {
    if (!conversationId) return;
    this.#library.change(id, (known) => (known.conversationId ? known : { ...known, conversationId }));
  }

  #show(conversationId, running, answer, { isLast = false } = {}) {
    if (!this.#library.get(conversationId)) running.stopper.abort(); // it was deleted, here or in another tab
    const end = isLast ? { answeredAt: Date.now() } : {}; // in one write: an answer that is kept is also known to be new
    const change = (known) => ({ ...changeAnswer(known, running.answerId, answer), ...end });
    this.#library.change(conversationId, change, { isUrgent: isLast });
    if (running.isWatched) running.poster.push();
    if (!isLast) return;
    running.poster.cancel();
    this.#post(conversationId, running);
  }

  // --- the other tabs ------------------------------------------------------------------------------------

  #post(conversationId, running = this.#here.get(conversationId)) {
    const node = this.#library.get(conversationId)?.nodes[running.answerId];
    if (node) this.#tabs.post("answer", { conversation: conversationId, node });
  }

  #watch(conversationId) {
    const running = this.#here.get(conversationId);
    if (!running) return;
    running.isWatched = true;
    this.#post(conversationId);
  }

  #noteElsewhere(conversationId, node) {
    const former = this.#elsewhere.get(conversationId)?.node;
    if (isOpen(node)) this.#elsewhere.set(conversationId, { node, unanswered: 0 });
    else if (former?.id === node.id) this.#elsewhere.delete(conversationId);
    this.#asking ??= setInterval(() => this.#askWhoIsThere(), ASK_MILLISECONDS);
    this.#onChange(conversationId);
  }

  /** A tab that has crashed says nothing, and one that the system has frozen no more than that. */
  #askWhoIsThere() {
    this.#forget(({ unanswered }) => unanswered >= PATIENCE);
    for (const each of this.#elsewhere.values()) each.unanswered += 1;
    if (this.#elsewhere.size) this.#tabs.post("who");
    else this.#asking = clearInterval(this.#asking) ?? null;
  }

  #noteGone(owner) {
    this.#forget(({ node }) => node.owner === owner);
  }

  #forget(isGone) {
    for (const [id, each] of this.#elsewhere) {
      if (!isGone(each)) continue;
      this.#elsewhere.delete(id);
      this.#onChange(id);
    }
  }
}

/** Calls at most once in a while, with the newest. */
class Throttle {
  #milliseconds;
  #call;
  #calledAt = 0;
  #newest;
  #timer = null;

  constructor(milliseconds, call) {
    this.#milliseconds = milliseconds;
    this.#call = call;
  }

  push(value) {
    this.#newest = value;
    const wait = this.#calledAt + this.#milliseconds - Date.now();
    if (wait <= 0) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), wait);
  }

  cancel() {
    clearTimeout(this.#timer);
  }

  #flush() {
    this.cancel();
    this.#timer = null;
    this.#calledAt = Date.now();
    this.#call(this.#newest);
  }
}
