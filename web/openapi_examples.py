"""The examples of `/openapi.json`: a chat's events, and the error responses of any door."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from models import ERROR_KINDS, ChatIdentity, End, Event, Start, Text, Timing, Usage
from streams.answer import Answer
from web.doors.base import Reply

REF = "#/components/schemas/{model}"
CHAT_CODES = [code for code in ERROR_KINDS if code not in ("not_found", "method_not_allowed")]

START = {
    "type": "start",
    "seq": 0,
    "id": "gpt-1f6c",
    "conversation_id": "c-42",
    "request_id": "req-7",
    "provider": "gpt",
    "model": "gpt-6-luna",
    "fallback": None,
    "delta": {"content": ""},
}
DELTA = {
    "type": "delta",
    "seq": 1,
    "id": "gpt-1f6c",
    "delta": {"content": "Hello", "model": "gpt-6-luna"},
}
END = {
    "type": "end",
    "seq": 2,
    "id": "gpt-1f6c",
    "provider": "gpt",
    "model": "gpt-6-luna",
    "fallback": None,
    "finish_reason": "stop",
    "raw_finish_reason": "stop",
    "usage": {
        "input_tokens": 9,
        "output_tokens": 12,
        "cached_input_tokens": None,
        "cache_write_tokens": None,
        "reasoning_tokens": None,
    },
    "cost": 6.9e-6,
    "attempts": 1,
    "dropped_params": [],
    "timing": {"first_content_ms": 310, "total_ms": 900},
    "delta": {"content": ""},
}
RESTART = {
    "type": "restart",
    "seq": 5,
    "id": "gpt-1f6c",
    "provider": "gpt",
    "model": "gpt-5.6-luna",
    "fallback": {"from": "gpt-6-luna", "to": "gpt-5.6-luna", "reason": "upstream_truncated"},
    "partial_chars": 21,
    "delta": {"content": ""},
}

# A chat, for the doors that encode their examples.
REPLY = Reply(ChatIdentity("gpt-1f6c", "c-42", "req-7"))
_END = End(
    provider="gpt",
    model="gpt-6-luna",
    fallback=None,
    finish_reason="stop",
    raw_finish_reason="stop",
    usage=Usage(input_tokens=9, output_tokens=12),
    cost=6.9e-6,
    attempts=1,
    timing=Timing(310, 900),
)
EVENTS: list[Event] = [Start("gpt", "gpt-6-luna"), Text("Hello"), _END]
ANSWER = Answer("Hello", "", "", [], [], _END, [Text("Hello")])


def make_error(code: str, **known: Any) -> dict[str, Any]:
    """An error with this code."""
    kind = ERROR_KINDS[code]
    return {
        "code": code,
        "message": kind.message,
        "status": kind.status,
        "retryable": kind.retryable,
        "retry_after": None,
        "reason": None,
        "provider": "gpt",
        "model": None,
        "stage": "request",
        "partial_chars": 0,
        "attempts": [],
        "request_id": "req-7",
        "timestamp": "2026-01-01T00:00:00Z",
    } | known


BROKEN = {
    "type": "error",
    "seq": 2,
    "id": "gpt-1f6c",
    "error": make_error(
        "upstream_truncated",
        stage="after_content",
        partial_chars=5,
        model="gpt-6-luna",
        attempts=[{"model": "gpt-6-luna", "code": "upstream_truncated"}],
    ),
    "delta": {"content": ""},
}


def make_frames(*events: Mapping[str, Any]) -> str:
    """Events as they are sent."""
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


def error_responses(
    schema: str, errors: Iterable[tuple[int, str, object]]
) -> dict[int | str, dict[str, Any]]:
    """The error responses by status. An error is a status, a code and an example of the body."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status, code, example in errors:
        content = {"schema": {"$ref": REF.format(model=schema)}, "examples": {}}
        response = responses.setdefault(
            status, {"description": "", "content": {"application/json": content}}
        )
        message = f"`{code}`: {ERROR_KINDS[code].message}"
        response["description"] = f"{response['description']} {message}".strip()
        response["content"]["application/json"]["examples"][code] = {"value": example}
    return responses
