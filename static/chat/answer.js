// One answer, as the stream's events make it: each gives a new answer. Knows nothing of the page.

/**
 * An answer that has not begun. Its `state` is `waiting`, `streaming`, and at its end `whole`, `failed`, `cut` or
 * `stopped`; only `whole` says that nothing is missing.
 *
 * `kept` are the characters at its beginning that an earlier answer had, which this one continues; `sent` is what of
 * the conversation its question was sent with, see request.js.
 */
export function newAnswer(provider, { text = "", reasoning = "" } = {}) {
  return {
    state: "waiting",
    provider,
    model: null,
    fallback: null,
    text,
    reasoning,
    thinkingSince: null, // when the thinking began, and how long it took until the first word
    thoughtMilliseconds: null,
    kept: text.length,
    restart: null,
    requestId: null,
    end: null,
    error: null,
    failedAt: null,
    sent: null,
  };
}

export const isOpen = (answer) => answer.state === "waiting" || answer.state === "streaming";

/** The answer with the stream's next event. */
export function applyEvent(answer, event) {
  return APPLY[event.type]?.(answer, event) ?? answer;
}

const model = ({ provider, model, fallback }) => ({ provider, model, fallback });

/** The thinking is over. */
const thought = ({ thinkingSince, thoughtMilliseconds }) =>
  thinkingSince && thoughtMilliseconds === null ? { thoughtMilliseconds: Date.now() - thinkingSince } : {};

const APPLY = {
  start: (answer, event) => ({ ...answer, ...model(event), requestId: event.request_id }),

  delta: (answer, { delta }) => ({
    ...answer,
    ...(delta.reasoning ? { thinkingSince: answer.thinkingSince ?? Date.now() } : {}),
    ...(delta.content || delta.refusal ? thought(answer) : {}),
    state: "streaming",
    text: answer.text + (delta.content || delta.refusal || ""),
    reasoning: answer.reasoning + (delta.reasoning ?? ""),
  }),

  restart: (answer, event) => ({
    ...answer,
    ...model(event),
    restart: { ...event.fallback, partialChars: event.partial_chars },
    text: answer.text.slice(0, answer.kept), // another model's words are never joined to these
    reasoning: "",
    thinkingSince: null,
    thoughtMilliseconds: null,
  }),

  end: (answer, event) => ({
    ...answer,
    ...model(event),
    ...thought(answer),
    state: "whole",
    end: {
      usage: event.usage,
      timing: event.timing,
      finishReason: event.finish_reason,
      droppedParams: event.dropped_params ?? [],
    },
  }),

  error: (answer, { error }) => ({
    ...answer,
    state: "failed",
    error,
    failedAt: Date.now(), // from which `retry_after` counts
    requestId: error.request_id ?? answer.requestId,
  }),

  cut: (answer) => cutAnswer(answer),
};

/** The answer whose stream has stopped before its end. */
export const cutAnswer = (answer) => ({ ...answer, state: "cut" });

/** The answer whose stream could not be read to its end: the reader stopped it, or reading it failed. */
export function endAnswer(answer, failure) {
  if (failure.name === "AbortError") return { ...answer, state: "stopped" };
  if (answer.state === "streaming") return cutAnswer(answer);
  const error =
    failure instanceof TypeError ? { code: "unreachable" } : { code: "unreadable", message: String(failure) };
  return applyEvent(answer, { type: "error", error });
}

/** An answer that is open, but that no tab of the browser is receiving, will not go on. */
export const asLeft = (answer) => (isOpen(answer) ? cutAnswer(answer) : answer);

/** Whether asking for the rest makes sense: it began, and is not said to be whole. */
export function canContinue({ state, text, end }) {
  if (!text) return false;
  return state === "whole" ? end?.finishReason === "length" : ["cut", "stopped", "failed"].includes(state);
}
