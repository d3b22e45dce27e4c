// The chats under way: asks for answers, stops them, and lets the other tabs know. One a conversation, several at once.

import { applyEvent, endAnswer, isOpen, newAnswer } from "./answer.js";
import { addAnswer, changeAnswer } from "./conversation.js";
import { chat } from "./gateway.js";
import { makeId } from "./ids.js";
import { lessAfter, makeRequest } from "./request.js";

const FRAME_MILLISECONDS = 16; // an answer is shown at most once in that time
const POST_MILLISECONDS = 250; // and another tab that shows it, too, hears of it once in that time

export class Chats {
  #library;
  #tabs;
  #limits;
  #onChange;
  #here = new Map(); // a conversation's id → the chat that this tab receives
  #elsewhere = new Map(); // a conversation's id → the node of an answer that another tab receives

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

  /** Whether a tab of this browser is receiving the answer. */
  isReceived(conversationId, answerId) {
    return this.#here.get(conversationId)?.answerId === answerId || this.#elsewhere.get(conversationId)?.id === answerId;
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

  /** The other tabs need not wait for what this one was receiving. */
  leave() {
    if (this.#here.size) this.#tabs.post("bye");
  }

  /**
   * Asks for an answer to a question; `continued` is an answer that is to go on. Resolves to the answer's node at its end,
   * whichever that is.
   */
  ask(conversationId, questionId, { provider, continued = null }) {
    const running = { answerId: makeId(), stopper: new AbortController(), isWatched: false, postedAt: 0 };
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
    let answer = waiting;
    for (let less = null; ; ) {
      const { body, sent } = this.#prepare(asked, less);
      answer = await this.#receive(asked, running, body, { ...waiting, sent });
      less = lessAfter(answer);
      if (!less) break;
    }
    const isHere = this.#here.get(asked.conversationId) === running;
    if (isHere) this.#here.delete(asked.conversationId);
    this.#show(asked.conversationId, running, answer, { isUrgent: true });
    this.#library.change(asked.conversationId, (conversation) => ({ ...conversation, answeredAt: Date.now() }));
    this.#onChange(asked.conversationId);
    return { ...answer, id: running.answerId };
  }

  #prepare({ conversationId, questionId, provider, continued }, less) {
    const conversation = this.#library.get(conversationId);
    return makeRequest(conversation, questionId, { provider, limits: this.#limits(), continued, less });
  }

  /** Reads one stream; resolves to the answer at its end. */
  async #receive({ conversationId, provider }, running, body, begun) {
    const events = chat(provider, body, running.stopper.signal);
    const screen = new Throttle(FRAME_MILLISECONDS, (answer) => this.#show(conversationId, running, answer));
    let answer = begun;
    while (isOpen(answer)) {
      const step = await events.next().catch((failure) => ({ failure }));
      if (step.failure) answer = endAnswer(answer, step.failure);
      else if (step.done) answer = applyEvent(answer, { type: "cut" });
      else {
        answer = applyEvent(answer, step.value);
        this.#nameConversation(conversationId, step.value.conversation_id);
        screen.push(answer);
      }
    }
    screen.cancel();
    return answer;
  }

  #nameConversation(id, conversationId) {
    if (!conversationId) return;
    this.#library.change(id, (known) => (known.conversationId ? known : { ...known, conversationId }));
  }

  #show(conversationId, running, answer, { isUrgent = false } = {}) {
    this.#library.change(conversationId, (known) => changeAnswer(known, running.answerId, answer), { isUrgent });
    const isDue = running.isWatched && Date.now() - running.postedAt >= POST_MILLISECONDS;
    if (isUrgent || isDue) this.#post(conversationId, running);
  }

  // --- the other tabs ------------------------------------------------------------------------------------

  #post(conversationId, running = this.#here.get(conversationId)) {
    const node = this.#library.get(conversationId)?.nodes[running.answerId];
    running.postedAt = Date.now();
    if (node) this.#tabs.post("answer", { conversation: conversationId, node });
  }

  #watch(conversationId) {
    const running = this.#here.get(conversationId);
    if (!running) return;
    running.isWatched = true;
    this.#post(conversationId);
  }

  #noteElsewhere(conversationId, node) {
    const former = this.#elsewhere.get(conversationId);
    if (isOpen(node)) this.#elsewhere.set(conversationId, node);
    else if (former?.id === node.id) this.#elsewhere.delete(conversationId);
    this.#onChange(conversationId);
  }

  #noteGone(owner) {
    for (const [id, node] of this.#elsewhere) {
      if (node.owner !== owner) continue;
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
