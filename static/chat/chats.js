// The chats under way: asks for answers, stops them, keeps what came. One chat a conversation, several at once.

import { applyEvent, endAnswer, isOpen, newAnswer } from "./answer.js";
import { requestBody } from "./conversation.js";
import { chat } from "./gateway.js";

const SAVE_MILLISECONDS = 1000; // what a page that is closed in mid-answer may lose

export class Chats {
  #store;
  #onChange;
  #removed = new WeakSet();
  #running = new Map(); // a conversation's id → it, what stops its chat, and when that is over

  /** `onChange(conversation, turn)` is called whenever the turn's answer has changed. */
  constructor(store, onChange) {
    this.#store = store;
    this.#onChange = onChange;
  }

  isRunning(conversation) {
    return this.#running.has(conversation.id);
  }

  /** A conversation whose chat is under way is this one, not the one in the store. */
  running(id) {
    return this.#running.get(id)?.conversation;
  }

  /** Resolves when no chat of the conversation is under way any more. */
  async stop(conversation) {
    const running = this.#running.get(conversation.id);
    running?.stopper.abort();
    await running?.over;
  }

  /** Stops the chat of a conversation that is removed, and never saves it again. */
  forget(id) {
    const conversation = this.running(id);
    if (!conversation) return;
    this.#removed.add(conversation);
    this.stop(conversation);
  }

  /** Asks for the turn's answer, and resolves when that is over, in whichever way. */
  ask(conversation, turn) {
    const stopper = new AbortController();
    const over = this.#run(conversation, turn, stopper.signal);
    this.#running.set(conversation.id, { conversation, stopper, over });
    return over;
  }

  async #run(conversation, turn, signal) {
    turn.answer = newAnswer(conversation.provider);
    try {
      await this.#read(conversation, turn, signal);
    } catch (failure) {
      endAnswer(turn.answer, failure);
    }
    this.#running.delete(conversation.id);
    await this.#changed(conversation, turn);
  }

  async #read(conversation, turn, signal) {
    const body = requestBody(conversation, turn);
    await this.#changed(conversation, turn);
    let savedAt = Date.now();
    for await (const event of chat(conversation.provider, body, signal)) {
      applyEvent(turn.answer, event);
      conversation.conversationId ??= event.conversation_id ?? null;
      this.#onChange(conversation, turn);
      if (isOpen(turn.answer) && Date.now() - savedAt > SAVE_MILLISECONDS) {
        savedAt = Date.now();
        this.#save(conversation);
      }
    }
  }

  async #changed(conversation, turn) {
    conversation.updatedAt = Date.now();
    this.#onChange(conversation, turn);
    await this.#save(conversation);
  }

  async #save(conversation) {
    if (this.#removed.has(conversation)) return;
    await this.#store.save(conversation).catch(() => {}); // a full disk takes no answer from the reader
  }
}
