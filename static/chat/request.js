// What is sent of a conversation: within the gateway's limits, and without what it has refused. Pure.

import { turnsBefore } from "./conversation.js";

const NO_LIMITS = {
  max_body_bytes: Infinity,
  max_messages: Infinity,
  max_message_chars: Infinity,
  max_image_bytes: Infinity,
  max_file_bytes: Infinity,
};
const TOO_MUCH = new Set(["invalid_request", "payload_too_large", "context_length_exceeded"]);
const REFUSALS = new Set([...TOO_MUCH, "invalid_json", "unsupported", "rejected_by_provider", "content_filtered"]);
const GAP = "\n\n[…]\n\n"; // in place of the middle of a text that is too long
const MOST_NAME = 500; // characters of a file's name
const CONTINUE = "Continue your last answer exactly where it stops. Repeat nothing, and add no introduction.";

const encoder = new TextEncoder();
const bytesOf = (value) => encoder.encode(JSON.stringify(value)).length;

export const PDF = "application/pdf";

/** Whether an attachment of a question is a PDF. */
export const isFile = ({ mediaType }) => mediaType === PDF;

const limitOf = (attachment) => (isFile(attachment) ? "max_file_bytes" : "max_image_bytes");

/** The bytes of an attachment, as the gateway counts them. */
export const attachmentBytes = ({ data }) => Math.floor((data.length * 3) / 4);

/** Characters as the gateway counts them: one for a pair of surrogates. */
export const countCharacters = (text) => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

/**
 * Why the gateway would refuse this question, whatever it is sent with: `limit` is the limit's name, `most` what it
 * allows, `seen` what the question has; `words` says that the instructions are meant. Null if the gateway takes it.
 */
export function findRefusal({ text, images }, limits, systemPrompt = "") {
  const most = { ...NO_LIMITS, ...limits };
  const content = toContent({ text, images });
  const body = toBody([...systemMessages(systemPrompt), { role: "user", content }], "0".repeat(36));
  const found = [
    { limit: "max_message_chars", seen: countCharacters(text) },
    { limit: "max_message_chars", seen: countCharacters(systemPrompt), words: "instructions" },
    ...images.map((image) => ({ limit: limitOf(image), seen: attachmentBytes(image) })),
    { limit: "max_body_bytes", seen: bytesOf(body) },
  ];
  const over = found.find(({ limit, seen }) => seen > most[limit]);
  return over ? { ...over, most: most[over.limit] } : null;
}

/**
 * The request for an answer to this question: its `body`, and what is `sent` with the question, see `Sent` below. With
 * `continued`, an answer to it, it asks for the rest of that answer; `less` is from `lessAfter`.
 */
export function makeRequest(conversation, questionId, { provider, limits = null, continued = null, less = null }) {
  const question = conversation.nodes[questionId];
  const before = turnsBefore(conversation, questionId);
  const rules = { ...NO_LIMITS, ...limits, ...learn(before, provider), ...less };
  const own = [
    { role: "user", content: toContent(question) },
    ...(continued
      ? [
          { role: "assistant", content: shorten(continued.text, rules) },
          { role: "user", content: CONTINUE },
        ]
      : []),
  ];
  const system = systemMessages(conversation.systemPrompt);
  const room = {
    bytes: rules.max_body_bytes - bytesOf(toBody([...system, ...own], conversation.conversationId)),
    messages: rules.max_messages - system.length - own.length,
  };
  const { turns, sent } = fit(
    before.filter(({ answer }) => !isRefused(answer)),
    rules,
    room,
  );
  const messages = [...system, ...turns.flatMap(({ messages }) => messages), ...own];
  return { body: toBody(messages, conversation.conversationId), sent };
}

/** Whether the gateway, or a vendor, has refused this question: it would refuse each request that has it. */
export const isRefused = (answer) => answer?.state === "failed" && REFUSALS.has(answer.error.code) && !answer.text;

/** What another request for the answer has to leave out, if the refused one may have been too much; else null. */
export function lessAfter(answer) {
  if (!isRefused(answer) || !answer.sent) return null;
  const { code } = answer.error;
  const { turns, images, withoutImages } = answer.sent;
  if (code === "unsupported" && images && !withoutImages) return { withoutImages: true, turns };
  return TOO_MUCH.has(code) && turns ? { withoutImages, turns: Math.floor(turns / 2) } : null;
}

/** What earlier answers of this provider say about the next request. */
function learn(before, provider) {
  const known = before.flatMap(({ answer }) => (answer?.provider === provider && answer.sent ? [answer] : []));
  const [last, former] = known.toReversed();
  const limited = known.flatMap(({ sent }) => (sent.isLess ? [sent.turns + 1] : []));
  // one refused question is not sent again; if the next is refused too, what they were sent with may be the reason
  if (isRefused(last) && isRefused(former)) limited.push(Math.floor(last.sent.turns / 2));
  return {
    turns: Math.min(Infinity, ...limited),
    withoutImages: known.some(({ sent }) => sent.withoutImages),
  };
}

/**
 * Leaves out the oldest of these turns until the rest fits. Of turns whose images don't fit the texts are sent.
 *
 * `Sent`: the number of `turns` and `images`, whether they are `withoutImages`, whether it `isLess` than there was,
 * for a reason that lasts, and `leftOut`: how many turns and images, and how many texts are shortened, null if none.
 */
function fit(every, rules, room) {
  const kept = [];
  const leftOut = { turns: 0, images: 0, shortened: 0 };
  let { bytes, messages } = room;
  let hasRoomForImages = !rules.withoutImages;
  for (const turn of every.toReversed()) {
    let piece = toPiece(turn, rules, hasRoomForImages);
    if (piece.images && piece.bytes > bytes) {
      hasRoomForImages = false; // an older image would be stranger than none
      piece = toPiece(turn, rules, false);
    }
    if (kept.length >= rules.turns || piece.bytes > bytes || piece.messages.length > messages) break;
    kept.unshift(piece);
    bytes -= piece.bytes;
    messages -= piece.messages.length;
    leftOut.images += piece.imagesLeftOut;
    leftOut.shortened += piece.shortened;
  }
  leftOut.turns = every.length - kept.length;
  const sent = {
    turns: kept.length,
    images: kept.reduce((count, piece) => count + piece.images, 0),
    withoutImages: Boolean(rules.withoutImages),
    isLess: leftOut.turns > 0 && kept.length >= rules.turns,
    leftOut: Object.values(leftOut).some(Boolean) ? leftOut : null,
  };
  return { turns: kept, sent };
}

/** The messages of a turn within the limits of one message. */
function toPiece({ question, answer }, rules, hasRoomForImages) {
  const images = question.images.filter((image) => hasRoomForImages && attachmentBytes(image) <= rules[limitOf(image)]);
  const missing = question.images.filter((image) => !images.includes(image));
  const texts = [question.text, answer?.text].filter(Boolean);
  const content = toContent({ text: shorten(question.text, rules), images }, missing);
  const messages = [
    { role: "user", content },
    ...(answer?.text ? [{ role: "assistant", content: shorten(answer.text, rules) }] : []),
  ];
  return {
    messages,
    bytes: messages.reduce((sum, message) => sum + bytesOf(message) + 1, 0),
    images: images.length,
    imagesLeftOut: missing.length,
    shortened: texts.filter((text) => countCharacters(text) > rules.max_message_chars).length,
  };
}

/** A text without its middle, if it is too long: its end is what an answer goes on from. */
function shorten(text, { max_message_chars }) {
  if (countCharacters(text) <= max_message_chars) return wellFormed(text);
  const half = Math.floor((max_message_chars - GAP.length) / 2);
  return wellFormed(half > 0 ? text.slice(0, half) + GAP + text.slice(-half) : text.slice(0, max_message_chars));
}

function toContent({ text, images }, missing = []) {
  const note = missing.length ? `[${missing.some(isFile) ? "A file" : "An image"} was here.]` : "";
  const words = wellFormed([note, text].filter(Boolean).join("\n"));
  if (!images.length) return words;
  const parts = images.map((image) => {
    const part = { type: "image", media_type: image.mediaType, data: image.data };
    return isFile(image) ? { ...part, type: "file", name: wellFormed(image.name.slice(0, MOST_NAME)) } : part;
  });
  return words ? [...parts, { type: "text", text: words }] : parts;
}

/** Half of a surrogate pair is no text, and the gateway refuses it. */
export const wellFormed = (text) =>
  text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");

const systemMessages = (prompt) => (prompt?.trim() ? [{ role: "system", content: wellFormed(prompt) }] : []);

const toBody = (messages, conversationId) => ({
  messages,
  ...(conversationId ? { conversation_id: conversationId } : {}),
  on_break: "restart",
});
