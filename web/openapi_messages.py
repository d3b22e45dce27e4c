"""The OpenAPI parts of Anthropic's messages: the fields that the gateway reads, and the shapes."""

from __future__ import annotations

from typing import Any

from models import ERROR_KINDS, GatewayError
from web.doors.anthropic_errors import to_anthropic

_TEXT = {"type": "string"}
_BLOCKS = {"type": "array", "items": {"type": "object"}}
_TAG = "Anthropic messages"

_BODY = {
    "type": "object",
    "description": (
        "A request of Anthropic's Messages API. Unknown fields are ignored and never forwarded."
    ),
    "required": ["model", "messages"],
    "properties": {
        "model": _TEXT | {"description": "A provider's name, or a model's."},
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"enum": ["user", "assistant", "system"]},
                    "content": {"anyOf": [_TEXT, _BLOCKS]},
                },
            },
        },
        "system": {"anyOf": [_TEXT, _BLOCKS]},
        "max_tokens": {"type": "integer", "minimum": 1},
        "stream": {"type": "boolean", "default": False},
        "tools": _BLOCKS,
        "tool_choice": {"type": "object"},
        "thinking": {"type": "object"},
        "output_config": {"type": "object"},
        "stop_sequences": {"type": "array", "items": _TEXT},
        "temperature": {"type": "number"},
        "top_p": {"type": "number"},
        "gateway": {
            "type": "object",
            "properties": {"on_break": {"enum": ["error", "hold"]}},
        },
    },
}
_ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": _TEXT, "message": _TEXT},
        },
        "request_id": _TEXT,
        "gateway": {"type": "object", "description": "The same in the gateway's own words."},
    },
}
_MESSAGE = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage", "gateway"],
}


def _error_responses() -> dict[int | str, dict[str, Any]]:
    """The error responses by status, with the gateway's codes that each stands for."""
    codes: dict[int, list[str]] = {}
    for code in ERROR_KINDS:
        codes.setdefault(to_anthropic(GatewayError(code)).status, []).append(f"`{code}`")
    content = {"application/json": {"schema": _ERROR}}
    return {
        status: {"description": ", ".join(names), "content": content}
        for status, names in codes.items()
    }


def _page(description: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a route's decorator."""
    content = {"application/json": {"schema": _BODY}}
    return {
        "tags": [_TAG],
        "description": description,
        "responses": {200: answer, **_error_responses()},
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


MESSAGES = _page(
    "Send a chat in Anthropic's protocol. The provider is found by the model's name.",
    {
        "description": "A message, or with `stream` its named events.",
        "content": {
            "application/json": {"schema": _MESSAGE},
            "text/event-stream": {"schema": _TEXT},
        },
    },
)
COUNT_TOKENS = _page(
    "Count the input tokens of a chat by the vendor's free call, if it has one.",
    {
        "description": "The number of tokens.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["input_tokens"],
                    "properties": {"input_tokens": {"type": "integer"}},
                }
            }
        },
    },
)
