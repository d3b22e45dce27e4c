"""What `/docs` shows beyond what FastAPI finds out itself: the request's body, the stream's events, the errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from models import ERROR_KINDS, ChatRequest

_REF = "#/components/schemas/{model}"

_START = {
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
_DELTA = {"type": "delta", "seq": 1, "id": "gpt-1f6c", "delta": {"content": "Hello", "model": "gpt-6-luna"}}
_END = {
    "type": "end",
    "seq": 2,
    "id": "gpt-1f6c",
    "provider": "gpt",
    "model": "gpt-6-luna",
    "fallback": None,
    "finish_reason": "stop",
    "raw_finish_reason": "stop",
    "usage": {"input_tokens": 9, "output_tokens": 12, "cached_input_tokens": None, "reasoning_tokens": None},
    "attempts": 1,
    "dropped_params": [],
    "timing": {"first_content_ms": 310, "total_ms": 900},
    "delta": {"content": ""},
}
_RESTART = {
    "type": "restart",
    "seq": 5,
    "id": "gpt-1f6c",
    "provider": "gpt",
    "model": "gpt-5.6-luna",
    "fallback": {"from": "gpt-6-luna", "to": "gpt-5.6-luna", "reason": "upstream_truncated"},
    "partial_chars": 21,
    "delta": {"content": ""},
}


def _error_example(code: str, **known: Any) -> dict[str, Any]:
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


_BROKEN = {
    "type": "error",
    "seq": 2,
    "id": "gpt-1f6c",
    "error": _error_example(
        "upstream_truncated",
        stage="after_content",
        partial_chars=5,
        model="gpt-6-luna",
        attempts=[{"model": "gpt-6-luna", "code": "upstream_truncated"}],
    ),
    "delta": {"content": ""},
}


def _frames(*events: Mapping[str, Any]) -> str:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events)


_STREAM = {
    "description": (
        "Server-sent events, each `data: <json>` and a blank line; comments (`: keep-alive`) may come between. First a "
        "`start`, then `delta`s, then exactly one of: `end` followed by `data: [DONE]`, or `error`. A stream that has "
        'neither was cut. With `"stream": false` the answer is one JSON object.'
    ),
    "headers": {
        "X-Request-ID": {"description": "The request's id, in every log line of it.", "schema": {"type": "string"}},
        "X-Gateway-Model": {"description": "The model that answers.", "schema": {"type": "string"}},
        "X-Gateway-Fallback": {"description": "The model given up, and why.", "schema": {"type": "string"}},
    },
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "examples": {
                "whole": {"summary": "A whole answer", "value": _frames(_START, _DELTA, _END) + "data: [DONE]\n\n"},
                "broken": {"summary": "An answer that broke", "value": _frames(_START, _DELTA, _BROKEN)},
                "restarted": {"summary": 'A restart, for `"on_break": "restart"`', "value": _frames(_RESTART)},
            },
        },
        "application/json": {
            "example": {
                **{name: value for name, value in _START.items() if name not in ("type", "seq", "delta")},
                **{name: value for name, value in _END.items() if name not in ("type", "seq", "delta")},
                "content": "Hello",
                "reasoning": None,
                "refusal": None,
                "tool_calls": [],
            }
        },
    },
}


def _error_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The responses by status, each with its codes as examples."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = ERROR_KINDS[code]
        response = responses.setdefault(
            kind.status,
            {"description": "", "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}}},
        )
        response["description"] = f"{response['description']} `{code}`: {kind.message}".strip()
        examples = response["content"]["application/json"].setdefault("examples", {})
        examples[code] = {"value": {"error": _error_example(code)}}
    return responses


_CHAT_CODES = [code for code in ERROR_KINDS if code not in ("not_found", "method_not_allowed")]
_PROVIDER_STATE = {
    "status": "OK",
    "provider": "gpt",
    "message": "The provider answers.",
    "model": {"default": "gpt-6-luna", "fallback": "gpt-5.6-luna"},
    "breaker": {"gpt-6-luna": "closed", "gpt-5.6-luna": "closed"},
    "metrics": {"responseTime": 0.123, "success_rate": 1.0},
    "checked_at": "2026-01-01T00:00:00Z",
    "source": "traffic",
    "error": None,
}
_SYSTEM_STATE = {
    "status": "OK",
    "message": "System operational",
    "version": "1.0.0",
    "demo": False,
    "streams": {"open": 3, "limit": 1000},
    "providers": {"gpt": "OK", "claude": "UNKNOWN", "gemini": "DEGRADED", "groq": "NOT_CONFIGURED"},
}


def _json_page(example: object, *codes: str, unwell: object = None) -> dict[str, Any]:
    """A page of JSON; `unwell` is its example with status 503, in the same shape."""
    examples = {200: ("OK", example)} | ({503: ("The same, of what is not well", unwell)} if unwell else {})
    pages = {
        status: {"description": description, "content": {"application/json": {"example": shown}}}
        for status, (description, shown) in examples.items()
    }
    return {"responses": {**pages, **_error_responses(*codes)}, "tags": ["health"]}


# Arguments of the routes' decorators.
CHAT: dict[str, Any] = {
    "tags": ["chat"],
    "responses": {200: _STREAM, **_error_responses(*_CHAT_CODES)},
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _REF.format(model="ChatRequest")},
                    "example": {"messages": [{"role": "user", "content": "Say hello."}]},
                }
            },
        }
    },
}
HEALTH = _json_page(
    _SYSTEM_STATE, unwell=_SYSTEM_STATE | {"status": "DRAINING", "message": "This instance is about to stop"}
)
LIVE = _json_page({"status": "OK"})
PROVIDER_HEALTH = _json_page(
    _PROVIDER_STATE,
    "unknown_provider",
    "invalid_request",
    "unauthorized",
    "rate_limited",
    unwell=_PROVIDER_STATE
    | {"status": "ERROR", "message": "The newest requests failed.", "error": "upstream_unavailable"},
)

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": list(_error_example("internal_error")),
            "properties": {
                "code": {"type": "string", "enum": list(ERROR_KINDS)},
                "message": {"type": "string"},
                "status": {"type": "integer"},
                "retryable": {"type": "boolean"},
                "retry_after": {"type": ["integer", "null"], "description": "Seconds."},
                "reason": {"type": ["string", "null"]},
                "provider": {"type": ["string", "null"]},
                "model": {"type": ["string", "null"]},
                "stage": {"type": "string", "enum": ["request", "before_content", "after_content"]},
                "partial_chars": {"type": "integer"},
                "attempts": {"type": "array", "items": {"type": "object"}},
                "request_id": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
            },
        }
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The app's OpenAPI document with the shapes that its routes refer to."""
    document = app.openapi_schema or FastAPI.openapi(app)
    _, models = models_json_schema([(ChatRequest, "validation")], ref_template=_REF)
    shapes = document.setdefault("components", {}).setdefault("schemas", {})
    shapes.update(models["$defs"] | {"Error": _ERROR_SCHEMA})
    return document
