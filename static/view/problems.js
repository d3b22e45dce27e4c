// What went wrong with an answer, in a sentence for a person, and what that person can do about it.

import { say } from "../words.js";
import { providerName } from "./provider_names.js";

// Of each code: the words, what helps, and whether another provider might answer.
const PROBLEMS = {
  rate_limited: ["busy", "retry", true],
  budget_exceeded: ["budget", "retry", false],
  overloaded: ["overloaded", "retry", false],
  draining: ["draining", "retry", false],
  internal_error: ["internal", "retry", true],
  request_timeout: ["slow_line", "retry", false],
  upstream_unavailable: ["silent", "retry", true],
  upstream_timeout: ["silent", "retry", true],
  upstream_truncated: ["silent", "retry", true],
  upstream_bad_event: ["silent", "retry", true],
  upstream_bad_response: ["silent", "retry", true],
  event_too_large: ["silent", "retry", true],
  upstream_auth: ["account", null, true],
  upstream_quota: ["quota", null, true],
  upstream_model_not_found: ["model", null, true],
  provider_not_configured: ["not_configured", null, true],
  unknown_provider: ["not_configured", null, true],
  context_length_exceeded: ["too_long", "newChat", true],
  content_filtered: ["filtered", "edit", true],
  rejected_by_provider: ["rejected", "edit", true],
  unsupported: ["unsupported", "edit", true],
  invalid_request: ["limit", "edit", false],
  payload_too_large: ["limit", "edit", false],
  unauthorized: ["key", "key", false],
  forbidden_origin: ["address", null, false],
  forbidden_host: ["address", null, false],
  unreachable: ["unreachable", "retry", false],
  redirected: ["signed_out", "reload", false],
};
const SIGNED_OUT = [401, 403, 407];

/**
 * The sentence, what helps (`retry`, `edit`, `key`, `newChat`, `reload`, or null), and whether to offer another provider.
 * `hasText` says that a part of the answer had come.
 */
export function describeProblem(error, { provider, hasText }) {
  const [words, remedy, offersOther] = PROBLEMS[error.code] ?? foreignProblem(error);
  const key = hasText && words === "silent" ? "broke_off" : words;
  const values = { provider: providerName(error.provider ?? provider), status: error.status };
  const isHopeless = remedy === "retry" && error.retryable === false;
  return { sentence: say(`problem.${key}`, values), remedy: isHopeless ? null : remedy, offersOther };
}

/** Of an answer that is not the gateway's, and of codes that are newer than this page. */
function foreignProblem({ code, status, retryable }) {
  const remedy = retryable === false ? "reload" : "retry";
  if (code !== "foreign") return ["other", retryable === false ? "edit" : "retry", true];
  if (status === 429) return ["foreign_busy", "retry", false];
  if (status < 300 || SIGNED_OUT.includes(status)) return ["signed_out", "reload", false];
  return ["foreign", remedy, false];
}
