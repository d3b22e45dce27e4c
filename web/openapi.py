"""The OpenAPI parts that FastAPI cannot infer: a chat's body, its events, the errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache, partial
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Scope

from models import ERROR_KINDS
from web.doors.native_schema import chat_schemas
from web.openapi_examples import (
    BROKEN,
    CHAT_CODES,
    DELTA,
    END,
    REF,
    RESTART,
    START,
    error_responses,
    make_error,
    make_frames,
)
from web.openapi_messages import COUNT_TOKENS, MESSAGES, messages_schemas
from web.openapi_openai import CHAT_COMPLETIONS, openai_schemas
from web.openapi_responses import INPUT_TOKENS, RESPONSES, responses_schemas
from web.openapi_ui_message import UI_CHAT, ui_message_schemas
from web.stored_page import StoredPage

_MAX_PREFIXES = 8  # cached; a gateway has one or two

_STREAM = {
    "description": (
        "Server-sent events, each `data: <json>` and a blank line; comments (`: keep-alive`) may "
        "come between. First a `start`, then `delta`s, then exactly one of: `end` followed by "
        '`data: [DONE]`, or `error`. A stream that has neither was cut. With `"stream": false` the '
        "answer is one JSON object."
    ),
    "headers": {
        "X-Request-ID": {
            "description": "The request's id, in every log line of it.",
            "schema": {"type": "string"},
        },
        "X-Gateway-Model": {"description": "The model that answers.", "schema": {"type": "string"}},
        "X-Gateway-Fallback": {
            "description": "The model given up, and why.",
            "schema": {"type": "string"},
        },
    },
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "examples": {
                "whole": {
                    "summary": "A whole answer",
                    "value": make_frames(START, DELTA, END) + "data: [DONE]\n\n",
                },
                "broken": {
                    "summary": "An answer that broke",
                    "value": make_frames(START, DELTA, BROKEN),
                },
                "restarted": {
                    "summary": 'A restart, for `"on_break": "restart"`',
                    "value": make_frames(RESTART),
                },
            },
        },
        "application/json": {
            "example": {
                **{
                    name: value
                    for name, value in START.items()
                    if name not in ("type", "seq", "delta")
                },
                **{
                    name: value
                    for name, value in END.items()
                    if name not in ("type", "seq", "delta")
                },
                "content": "Hello",
                "reasoning": None,
                "refusal": None,
                "tool_calls": [],
            }
        },
    },
}


def _error_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The error responses of the gateway's own paths."""
    return error_responses(
        "Error",
        [(ERROR_KINDS[code].status, code, {"error": make_error(code)}) for code in codes],
    )


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


def _json_page(
    description: str,
    example: object,
    *codes: str,
    unhealthy: object = None,
) -> dict[str, Any]:
    """A JSON response; `unhealthy` is its example with status 503."""
    examples = {200: ("OK", example)}
    if unhealthy:
        examples[503] = ("The same shape, for an unhealthy state", unhealthy)
    responses = _error_responses(*codes)
    for status, (title, shown) in examples.items():
        content = {"application/json": {"example": shown}}
        responses[status] = {"description": title, "content": content}
    return {"description": description, "responses": responses, "tags": ["health"]}


# Keyword arguments of the routes' decorators.
_CHAT: dict[str, Any] = {
    "tags": ["chat"],
    "description": (
        "Send a chat to a provider. "
        'The answer is a stream, or with `"stream": false` one JSON object.'
    ),
    "responses": {200: _STREAM, **_error_responses(*CHAT_CODES)},
    "openapi_extra": {
        "parameters": [
            {
                "name": "provider",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "title": "Provider"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": REF.format(model="ChatRequest")},
                    "example": {"messages": [{"role": "user", "content": "Say hello."}]},
                }
            },
        },
    },
}

# By the routes of the doors' chats, and of the counts of their tokens.
CHATS: Mapping[str, dict[str, Any]] = {
    "/chat/{provider}": _CHAT,
    "/v1/chat/completions": CHAT_COMPLETIONS,
    "/v1/messages": MESSAGES,
    "/ui/chat/{provider}": UI_CHAT,
    "/v1/responses": RESPONSES,
}
TOKEN_COUNTS: Mapping[str, dict[str, Any]] = {
    "/v1/messages/count_tokens": COUNT_TOKENS,
    "/v1/responses/input_tokens": INPUT_TOKENS,
}
HEALTH = _json_page(
    "Whether this instance accepts requests. No vendor is called, and no vendor's state matters.",
    _SYSTEM_STATE,
    unhealthy=_SYSTEM_STATE | {"status": "DRAINING", "message": "This instance is about to stop"},
)
LIVE = _json_page("Liveness: the process responds.", {"status": "OK"})
PROVIDER_HEALTH = _json_page(
    "One provider's state, from recent traffic or else from the vendor's free model endpoint.\n\n"
    "`deep=true` sends a test message to the default model. It requires a gateway key, and costs "
    "tokens.",
    _PROVIDER_STATE,
    "unknown_provider",
    "invalid_request",
    "unauthorized",
    "rate_limited",
    unhealthy=_PROVIDER_STATE
    | {
        "status": "ERROR",
        "message": "The newest requests failed.",
        "error": "upstream_unavailable",
    },
)

_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": list(make_error("internal_error")),
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
    """The app's OpenAPI document, with the schemas that its routes refer to."""
    document = app.openapi_schema or FastAPI.openapi(app)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(chat_schemas(REF) | {"Error": _ERROR_SCHEMA})
    schemas.update(openai_schemas() | responses_schemas())
    schemas.update(messages_schemas() | ui_message_schemas())
    return document


class OpenApiDocument:
    """The document at `/openapi.json`: built once, and serialized once for each proxy prefix."""

    def __init__(self, app: FastAPI) -> None:
        self._describe = cache(partial(describe, app))
        self._find_page = lru_cache(_MAX_PREFIXES)(self._make_page)

    def respond(self, scope: Scope) -> Response:
        """The response to a GET or HEAD."""
        return self._find_page(scope.get("root_path", "").rstrip("/")).respond(scope)

    def _make_page(self, prefix: str) -> StoredPage:
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        content = json.dumps(self._describe() | servers).encode()
        return StoredPage(content, "application/json", {"Cache-Control": "no-cache"})
