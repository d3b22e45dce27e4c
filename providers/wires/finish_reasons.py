"""Translates vendors' finish reasons to the gateway's, and recognises those of broken answers.

One table for all wires, since servers with one vendor's wire use the words of another.
"""

from __future__ import annotations

import re

import msgspec

from models import FinishReason, GatewayError, Usage

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "context_length_exceeded": "length",
    "length_exceeded": "length",
    "max_length": "length",
    "max_new_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "model_armor": "content_filter",
    "image_safety": "content_filter",
    "image_recitation": "content_filter",
    "image_prohibited_content": "content_filter",
}

_NONE = ("", "null", "none", "finish_reason_unspecified")

# `insufficient_system_resource`, `network_error`, `abort`, `MALFORMED_FUNCTION_CALL` and the like.
_BROKEN = re.compile(
    "error|fail|abort|cancel|time_?out|interrupt|insufficient|unavailable|overload|exception"
    "|disconnect|terminated|malformed|unexpected|incomplete|crash|preempt|evict|too_many_tool_calls"
    "|missing_thought_signature|rate_?limit|throttl|quota|exhaust|too_many_requests|busy|deadline"
    "|expire|stall|internal|gateway|memory|(^|_)oom|kill|sigterm|died|dead|panic"
    "|shut(ting)?_?down|lost|closed|reset|unreachable|drop|truncat|partial|broken|halted|capacity"
    "|(^|_)shed"
)

_BROKEN_IF_EMPTY = ("other", "unknown", "image_other", "no_image")


class Finish(msgspec.Struct, frozen=True):
    """The vendor's finish reason, the last of a provider's deltas.

    The end mark, the end of the stream or a silence proves that the answer is complete. Silence
    proves it only if the finish reason follows content: some models send one before their text.
    """

    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage | None = None
    follows_content: bool = True


def is_finish_reason(word: str) -> bool:
    """Whether the word is a finish reason: some servers send `null` as a string."""
    return word.lower() not in _NONE


def to_finish_reason(word: str) -> FinishReason:
    """The gateway's finish reason.

    Raises GatewayError `upstream_truncated` if the word means a broken answer.
    """
    known = _REASONS.get(word) or _REASONS.get(word.lower())
    if known is None and _BROKEN.search(word.lower()):
        raise broken(word)
    return known or "other"


def check_empty(word: str | None) -> None:
    """Check an answer without content. Raises GatewayError if the word then means that it broke."""
    if word is not None and word.lower() in _BROKEN_IF_EMPTY:
        raise broken(word)


def broken(word: str) -> GatewayError:
    """The error for an answer whose finish reason means that it is incomplete."""
    shown = word if re.fullmatch(r"[\w./-]{1,64}", word, re.ASCII) else None
    return GatewayError(
        "upstream_truncated", reason="broken_finish", detail={"vendor_finish_reason": shown}
    )
