"""What `/openapi.json` has of the UI message door. Its examples are encoded."""

from __future__ import annotations

from typing import Any

import msgspec

from models import ERROR_KINDS, GatewayError
from web.doors.option_schemas import option_properties
from web.doors.ui_message import UiMessageDoor
from web.doors.ui_message_stream import to_text
from web.openapi_examples import ANSWER, CHAT_CODES, EVENTS, REF, REPLY

_DOOR = UiMessageDoor()
_TEXT = {"type": "string"}
_NULL = {"type": "null"}


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _error_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The error responses by status: a text for a person, and the code in a header."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = ERROR_KINDS[code]
        examples: dict[str, Any] = {}
        empty = {
            "description": "",
            "headers": {"X-Gateway-Error": {"description": "The code.", "schema": _TEXT}},
            "content": {"text/plain": {"schema": _TEXT, "examples": examples}},
        }
        response = responses.setdefault(kind.status, empty)
        response["description"] = f"{response['description']} `{code}`: {kind.message}".strip()
        text = to_text(GatewayError(code), REPLY.identity.request_id)
        response["content"]["text/plain"]["examples"][code] = {"value": text}
    return responses


_STREAM = {
    "description": "The AI SDK's UI message stream. It ends in `finish` and `[DONE]` if the answer "
    'is whole, and else in `error`. With `"stream": false` it is one message as JSON.',
    "content": {
        "text/event-stream": {
            "schema": _TEXT,
            "example": _DOOR.encoder(REPLY).encode(EVENTS).decode(),
        },
        "application/json": {"example": msgspec.json.decode(_DOOR.render(ANSWER, REPLY))},
    },
}
_BODY = {
    "schema": {"$ref": REF.format(model="UiChatRequest")},
    "example": {
        "id": "c-42",
        "messages": [{"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello?"}]}],
        "trigger": "submit-message",
    },
}
UI_CHAT: dict[str, Any] = {
    "tags": ["chat"],
    "description": "Send the chat of a page made with the AI SDK's `useChat`.",
    "responses": {200: _STREAM, **_error_responses(*CHAT_CODES)},
    "openapi_extra": {
        "parameters": [_path_parameter("provider")],
        "requestBody": {"required": True, "content": {"application/json": _BODY}},
    },
}
RESUME: dict[str, Any] = {
    "tags": ["chat"],
    "description": "Asked by pages that resume streams. There is never one to resume.",
    "status_code": 204,
    "responses": _error_responses("unknown_provider", "invalid_request"),
    "openapi_extra": {"parameters": [_path_parameter("chat")]},
}


_PART = {
    "type": "object",
    "description": "Texts; images and PDFs of the user as `data:` URLs; an assistant's calls with "
    "their results, and the state of its reasoning. Parts of other types are ignored.",
    "required": ["type"],
    "properties": {"type": _TEXT},
}
_GATEWAY = {
    "type": "object",
    "description": "`restart` needs version 7 of the AI SDK.",
    "properties": {
        "on_break": {"enum": ["error", "restart", "hold"]},
        "ai_sdk": {"type": "integer"},
    },
}


def ui_message_schemas() -> dict[str, Any]:
    """The schemas of the body by name."""

    def refer(name: str) -> dict[str, Any]:
        return {"$ref": REF.format(model=name)}

    message = {
        "type": "object",
        "required": ["role"],
        "properties": {
            "id": _TEXT,
            "role": {"enum": ["system", "user", "assistant"]},
            "parts": {"type": "array", "items": refer("UiPart")},
            "content": _TEXT | {"description": "In place of parts."},
        },
    }
    tools = {"type": "object", "description": "Tools by their names, as assistant-ui sends them."}
    options = option_properties(refer)
    options["tools"]["anyOf"].append(tools)
    fields = {
        "id": {"anyOf": [_TEXT | {"maxLength": 128}, _NULL]},
        "messages": {"type": "array", "minItems": 1, "items": refer("UiMessage")},
        "system": {"anyOf": [_TEXT, _NULL]},
        "stream": {"anyOf": [{"type": "boolean"}, _NULL], "default": True},
        "gateway": _GATEWAY,
    }
    chat = {
        "type": "object",
        "description": "The body of `POST /ui/chat/{provider}`. Unknown fields are ignored.",
        "required": ["messages"],
        "properties": fields | options,
    }
    return {"UiChatRequest": chat, "UiMessage": message, "UiPart": _PART}
