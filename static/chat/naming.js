// A conversation's title by the model, for a reader who wants that: one short chat after the first whole answer. What
// goes wrong in it costs no more than the title. It is loaded only if it is wanted.

import { applyEvent, newAnswer } from "./answer.js";
import { chat } from "./gateway.js";
import { wellFormed } from "./request.js";
import { makeTitle, readTitle } from "./title.js";

const PATIENCE_MILLISECONDS = 30_000;
const SHOWN_CHARACTERS = 2_000; // of the question, and of the answer: what they are about is said by then
const LONGEST_CHARACTERS = 400; // what is longer is no title
const WORDS =
  "Name this conversation, in its own language, in at most six words. Answer with the name alone: no quotation marks, " +
  "no Markdown, no full stop.";

/** What is to be sent for a title; null if the conversation has one of its reader's, or it is not the time for one. */
export function titleRequest(conversation) {
  const nodes = Object.values(conversation.nodes);
  const [answer, ...others] = nodes.filter(({ kind, state }) => kind === "answer" && state === "whole");
  if (!answer || others.length || !hasMadeTitle(conversation)) return null;
  const question = conversation.nodes[answer.parent];
  const texts = [question?.text ?? "", answer.text].map((text) => wellFormed(text.slice(0, SHOWN_CHARACTERS)));
  const content = `${WORDS}\n\n<question>\n${texts[0]}\n</question>\n\n<answer>\n${texts[1]}\n</answer>`;
  const { conversationId } = conversation;
  const ids = conversationId ? { conversation_id: conversationId } : {};
  return { provider: answer.provider, body: { messages: [{ role: "user", content }], ...ids } };
}

/** Whether the title is one that was made of a question: a reader's own is never replaced. */
const hasMadeTitle = ({ title, nodes }) =>
  Object.values(nodes).some(({ kind, text }) => kind === "question" && title === makeTitle(text));

/** Resolves when the conversation has its title, or will have none. */
export async function nameConversation(library, id) {
  const before = library.get(id);
  const request = before && titleRequest(before);
  const title = request && (await askTitle(request));
  if (!title) return;
  library.change(id, (known) => (known.title === before.title ? { ...known, title } : known));
}

/** Resolves to the title, "" if none came. */
async function askTitle({ provider, body }) {
  const stopper = new AbortController();
  const timer = setTimeout(() => stopper.abort(), PATIENCE_MILLISECONDS);
  try {
    return await readAnswer(provider, chat(provider, body, stopper.signal));
  } catch {
    return ""; // the gateway cannot be reached, or was too slow: the question goes on being the title
  } finally {
    clearTimeout(timer);
    stopper.abort(); // a model that goes on writing is stopped
  }
}

async function readAnswer(provider, events) {
  let answer = newAnswer(provider);
  for await (const event of events) {
    answer = applyEvent(answer, event);
    if (answer.text.length > LONGEST_CHARACTERS) return "";
  }
  return answer.end?.finishReason === "stop" && answer.state === "whole" ? readTitle(answer.text) : "";
}
