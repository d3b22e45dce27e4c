// The conversation that is open in this tab, and what can be done with it. Knows nothing of the page.

import { asLeft } from "./answer.js";
import { addQuestion, chooseVersion, editQuestion, isEmpty, newConversation, shownTurns } from "./conversation.js";
import { makeId } from "./ids.js";
import { makeRequest } from "./request.js";

export class Desk {
  id = null;
  state = "open"; // or `loading`, or `unreadable` with a problem, or `removed` in another tab
  problem = null;
  #library;
  #chats;
  #limits;
  #onChange;
  #fresh = null; // a conversation in which nothing was asked yet

  /** `onChange()` is called when another conversation is open, or the state of it has changed. */
  constructor({ library, chats, limits, onChange }) {
    this.#library = library;
    this.#chats = chats;
    this.#limits = limits;
    this.#onChange = onChange;
  }

  /** The open conversation; null if it is not there to be shown. */
  get conversation() {
    return this.#fresh ?? this.#library.get(this.id) ?? null;
  }

  get isNew() {
    return this.#fresh !== null;
  }

  get isRunning() {
    return this.#chats.isRunning(this.id);
  }

  /** The turns to be shown. An answer that was open when its tab was left will not go on: it is cut. */
  get turns() {
    if (!this.conversation) return [];
    return shownTurns(this.conversation).map((turn) => ({ ...turn, answer: turn.answer && this.#asItIs(turn.answer) }));
  }

  /** Begins a conversation. */
  begin(provider) {
    this.#fresh = newConversation({ id: makeId(), provider, at: Date.now() });
    this.#set(this.#fresh.id, "open");
  }

  /** Opens a conversation. Resolves to whether it is there. */
  async open(id) {
    this.#fresh = null;
    this.#set(id, this.#library.get(id) ? "open" : "loading");
    try {
      const found = await this.#library.load(id);
      if (this.id !== id) return true; // another one was opened in the meantime
      if (!found) return false;
      this.#set(id, "open");
    } catch (problem) {
      if (this.id === id) this.#set(id, "unreadable", problem);
    }
    this.#chats.watch(id);
    return true;
  }

  /** Says that these conversations have changed. */
  noteChange(ids) {
    if (!ids.includes(this.id) || this.isNew || this.state !== "open") return;
    if (!this.#library.get(this.id)) this.#set(this.id, "removed");
  }

  /** Asks a question at the end. Resolves to its answer's node, when that is over. */
  ask(provider, { text, images }) {
    const question = { id: makeId(), text, images, at: Date.now() };
    const add = (conversation) => addQuestion(conversation, question);
    if (this.#fresh) {
      this.#library.add(add({ ...this.#fresh, provider }));
      this.#fresh = null;
    } else this.#library.change(this.id, add);
    return this.#answer(question.id, { provider });
  }

  /** Puts a question another way. */
  edit(turn, provider, { text, images }) {
    return this.#afterStop((id) => {
      const question = { id: makeId(), text, images, at: Date.now() };
      this.#library.change(id, (conversation) => editQuestion(conversation, turn.id, question));
      return this.#answer(question.id, { provider }, id);
    });
  }

  /** Asks for another answer to a question. */
  again(turn, provider) {
    return this.#afterStop((id) => this.#answer(turn.id, { provider }, id));
  }

  /** Asks for the rest of an answer. */
  goOn(turn, provider) {
    return this.#afterStop((id) => this.#answer(turn.id, { provider, continued: turn.answer }, id));
  }

  stop() {
    return this.#chats.stop(this.id);
  }

  /** Shows another version of a question or an answer. */
  choose(nodeId) {
    this.change((conversation) => chooseVersion(conversation, nodeId));
  }

  /** Changes the open conversation by a pure function. */
  change(change) {
    if (this.#fresh) {
      this.#fresh = change(this.#fresh);
      this.#onChange();
    } else this.#library.change(this.id, change);
  }

  /** Notes that the reader has seen what there is. */
  markSeen() {
    const { conversation } = this;
    if (!conversation || this.isNew || this.isRunning || conversation.seenAt >= conversation.answeredAt) return;
    this.change((known) => ({ ...known, seenAt: Date.now() }));
  }

  /** The body of the request with which a turn was, or would be, asked. */
  requestOf(turn) {
    const { provider } = turn.answer ?? this.conversation;
    return makeRequest(this.conversation, turn.id, { provider, limits: this.#limits() }).body;
  }

  get isEmpty() {
    return this.conversation !== null && isEmpty(this.conversation);
  }

  /**
   * Stops an answer that is coming, then asks. Resolves to null for the second of two clicks: the first has asked already
   * when it comes to it. Nothing may be awaited between the look and `ask(id)`: both would ask.
   */
  async #afterStop(ask) {
    const { id } = this;
    await this.#chats.stop(id);
    return this.#chats.isReceiving(id) ? null : ask(id);
  }

  #answer(questionId, options, id = this.id) {
    return this.#chats.ask(id, questionId, options);
  }

  #asItIs(answer) {
    return this.#chats.isReceived(this.id, answer.id) ? answer : asLeft(answer);
  }

  #set(id, state, problem = null) {
    Object.assign(this, { id, state, problem });
    this.#onChange();
  }
}
