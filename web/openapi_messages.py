"""The parts of the OpenAPI document for clients of Anthropic's API. Its examples are encoded."""

from __future__ import annotations

from typing import Any

import msgspec

from models import GatewayError
from web.doors.anthropic import AnthropicDoor
from web.doors.option_schemas import option_properties
from web.openapi_examples import ANSWER, CHAT_CODES, EVENTS, REF, REPLY, error_responses

_DOOR = AnthropicDoor()
_TIMESTAMP = "2026-01-01T00:00:00Z"


def _errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The error responses in Anthropic's shape."""
    errors = []
    for code in codes:
        body = _DOOR.error(GatewayError(code), REPLY.identity.request_id)
        example = msgspec.json.decode(body.content)
        example["gateway"]["timestamp"] = _TIMESTAMP
        errors.append((body.status, code, example))
    return error_responses("AnthropicError", errors)


_ANSWER = {
    "description": "With `stream`: named events, from `message_start` to `message_stop`, or to "
    "`error` if the answer broke; comments may come between. Otherwise one message. `gateway` has "
    "the facts that Anthropic's protocol has no field for.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": _DOOR.encoder(REPLY).encode(EVENTS).decode(),
        },
        "application/json": {"example": msgspec.json.decode(_DOOR.render(ANSWER, REPLY))},
    },
}
_BODY = {
    "schema": {"$ref": REF.format(model="MessagesRequest")},
    "example": {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Say hello."}],
    },
}
_REQUEST = {"requestBody": {"required": True, "content": {"application/json": _BODY}}}

# Keyword arguments of the routes' decorators.
MESSAGES: dict[str, Any] = {
    "tags": ["anthropic"],
    "description": "Anthropic's messages. The `model` leads to a provider.",
    "responses": {200: _ANSWER, **_errors(*CHAT_CODES)},
    "openapi_extra": _REQUEST,
}
COUNT_TOKENS: dict[str, Any] = {
    "tags": ["anthropic"],
    "description": "The input tokens of such a request, if the vendor can count them.",
    "responses": {
        200: {
            "description": "The number",
            "content": {"application/json": {"example": {"input_tokens": 42}}},
        },
        **_errors(*CHAT_CODES, "not_found"),
    },
    "openapi_extra": _REQUEST,
}

_TEXT, _OBJECT, _NULL = {"type": "string"}, {"type": "object"}, {"type": "null"}
_CONTENT = {"anyOf": [_TEXT, {"type": "array", "items": _OBJECT}]}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": _CONTENT},
}
_ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id", "gateway"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": _TEXT, "message": _TEXT},
        },
        "request_id": _TEXT,
        "gateway": {"type": "object", "description": "The gateway's own `error` fields."},
    },
}


def messages_schemas() -> dict[str, Any]:
    """The schemas that these parts refer to, by name."""
    options = option_properties(lambda name: {"$ref": REF.format(model=name)})
    properties: dict[str, dict[str, Any]] = {
        "system": _CONTENT,
        "stream": {"type": "boolean"},
        "max_tokens": options["max_tokens"],
        "temperature": options["temperature"],
        "top_p": options["top_p"],
        "stop_sequences": {"type": "array", "items": _TEXT},
        "tools": {"type": "array", "items": _OBJECT},
        "tool_choice": _OBJECT,
        "thinking": _OBJECT,
        "output_config": _OBJECT,
        "gateway": {"type": "object", "properties": {"on_break": {"enum": ["error", "hold"]}}},
    }
    request = {
        "type": "object",
        "description": "Anthropic's body. Unknown fields are ignored and never forwarded.",
        "required": ["model", "messages"],
        "properties": {
            "model": _TEXT | {"minLength": 1},
            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
            **{name: {"anyOf": [schema, _NULL]} for name, schema in properties.items()},
        },
    }
    return {"MessagesRequest": request, "AnthropicError": _ERROR}
