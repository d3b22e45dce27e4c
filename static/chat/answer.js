// One answer, as the stream's events make it. Knows nothing of the page.

/**
 * An answer that has not begun. Its `state` is `waiting`, `streaming`, and at its end `whole`, `failed`, `cut` or
 * `stopped`; only `whole` says that nothing is missing.
 */
export function newAnswer(provider) {
  return {
    state: "waiting",
    provider,
    model: null,
    fallback: null,
    text: "",
    reasoning: "",
    thinkingSince: null, // when the thinking began, and how long it took until the first word
    thoughtMilliseconds: null,
    restart: null,
    requestId: null,
    end: null,
    error: null,
    failedAt: null,
  };
}

export const isOpen = (answer) => answer.state === "waiting" || answer.state === "streaming";

/** Takes the stream's next event into the answer. */
export function applyEvent(answer, event) {
  APPLY[event.type]?.(answer, event);
}

const APPLY = {
  start(answer, event) {
    Object.assign(answer, { provider: event.provider, model: event.model, fallback: event.fallback });
    answer.requestId = event.request_id;
  },

  delta(answer, { delta }) {
    answer.state = "streaming";
    if (delta.reasoning) answer.thinkingSince ??= Date.now();
    if (delta.content || delta.refusal) endThinking(answer);
    answer.text += delta.content || delta.refusal || "";
    answer.reasoning += delta.reasoning ?? "";
  },

  restart(answer, event) {
    Object.assign(answer, { provider: event.provider, model: event.model, fallback: event.fallback });
    answer.restart = { ...event.fallback, partialChars: event.partial_chars };
    answer.thinkingSince = answer.thoughtMilliseconds = null;
    answer.text = answer.reasoning = ""; // another model's words are never joined to these
  },

  end(answer, event) {
    Object.assign(answer, { provider: event.provider, model: event.model, fallback: event.fallback });
    answer.state = "whole";
    endThinking(answer);
    answer.end = {
      usage: event.usage,
      timing: event.timing,
      finishReason: event.finish_reason,
      droppedParams: event.dropped_params ?? [],
    };
  },

  error(answer, { error }) {
    answer.state = "failed";
    answer.error = error;
    answer.failedAt = Date.now(); // from which `retry_after` counts
    answer.requestId = error.request_id ?? answer.requestId;
  },

  cut(answer) {
    answer.state = "cut";
  },
};

function endThinking(answer) {
  if (answer.thinkingSince) answer.thoughtMilliseconds ??= Date.now() - answer.thinkingSince;
}

/** Ends an answer that the reader stopped, or that could not be asked for. */
export function endAnswer(answer, failure) {
  if (failure.name === "AbortError") answer.state = "stopped";
  else if (answer.state === "streaming") answer.state = "cut";
  else applyEvent(answer, { type: "error", error: { code: "unreachable" } });
}

/** An answer that was open when the page was left will not go on: it is cut. */
export function closeForgotten(answer) {
  if (answer && isOpen(answer)) answer.state = "cut";
}
