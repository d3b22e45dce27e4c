// A conversation: its turns, each a question and its answer; what the gateway is sent of it, and how it is exported.

const TITLE_CHARACTERS = 60;

/** `id` is the browser's own; `conversationId` is the gateway's, which comes with the first answer. */
export function newConversation(provider) {
  const id = `${Date.now().toString(36)}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
  return { id, conversationId: null, title: "", provider, updatedAt: Date.now(), turns: [] };
}

export function addTurn(conversation, text, images = []) {
  const turn = { text, images, answer: null };
  conversation.turns.push(turn);
  conversation.title ||= makeTitle(text) || "Image";
  return turn;
}

/** Drops the turn and all that follow: they answered what is about to be changed. */
export function dropFrom(conversation, turn) {
  conversation.turns.splice(conversation.turns.indexOf(turn));
}

function makeTitle(text) {
  const line = text.trim().split("\n", 1)[0];
  return line.length > TITLE_CHARACTERS ? `${line.slice(0, TITLE_CHARACTERS).trimEnd()}…` : line;
}

/** The body of the request that asks for this turn's answer. */
export function requestBody(conversation, turn) {
  const turns = conversation.turns.slice(0, conversation.turns.indexOf(turn) + 1);
  const messages = turns.flatMap((each) => {
    const question = { role: "user", content: questionContent(each) };
    const answered = each !== turn && each.answer?.text;
    return answered ? [question, { role: "assistant", content: each.answer.text }] : [question];
  });
  const named = conversation.conversationId ? { conversation_id: conversation.conversationId } : {};
  return { messages, ...named, on_break: "restart" };
}

function questionContent({ text, images }) {
  if (!images.length) return text;
  const parts = images.map(({ mediaType, data }) => ({ type: "image", media_type: mediaType, data }));
  return text ? [...parts, { type: "text", text }] : parts;
}

/** The whole conversation as a Markdown document. */
export function toMarkdown(conversation) {
  const head = [`# ${conversation.title}`];
  if (conversation.conversationId) head.push(`Conversation \`${conversation.conversationId}\``);
  const turns = conversation.turns.flatMap(({ text, images, answer }) => [
    "## Question",
    ...(images.length ? [`*${images.length} image${images.length > 1 ? "s" : ""} attached*`] : []),
    text,
    ...(answer ? [`## Answer${answer.model ? ` of ${answer.model}` : ""}`, ...exportAnswer(answer)] : []),
  ]);
  return `${[...head, ...turns].join("\n\n")}\n`;
}

function exportAnswer(answer) {
  const flaw = { failed: `Failed: ${answer.error?.code}`, cut: "Cut before its end", stopped: "Stopped" }[answer.state];
  return [answer.text, ...(flaw ? [`*${flaw}. This answer is not whole.*`] : [])].filter(Boolean);
}
