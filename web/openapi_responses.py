"""The parts of the OpenAPI document for OpenAI's Responses. Its examples are encoded."""

from __future__ import annotations

from typing import Any

import msgspec

from web.doors.kept_items import KeptItems
from web.doors.openai_responses import ResponsesEncoder, render_response
from web.doors.option_schemas import option_properties
from web.openapi_examples import ANSWER, CHAT_CODES, EVENTS, REF, REPLY
from web.openapi_openai import (
    CREATED,
    FLAG,
    GATEWAY_FIELD,
    NULL,
    TEXT,
    json_response,
    openai_errors,
)


def _encoder() -> ResponsesEncoder:
    return ResponsesEncoder(REPLY, KeptItems(), lambda: CREATED)


_RESPONSE = json_response(
    "With `stream`: server-sent events, each `event: <type>`, `data: <json>` and a blank line; "
    "comments may come between. A whole answer ends in `response.completed`, or in "
    "`response.incomplete` if it reached its limit; a broken one in an `error` event and "
    "`response.failed`. Otherwise one JSON object. `gateway` of the response has the facts that "
    "OpenAI's protocol has no field for.",
    msgspec.json.decode(render_response(ANSWER, _encoder())),
)
_RESPONSE["content"]["text/event-stream"] = {
    "schema": {"type": "string"},
    "example": _encoder().encode(EVENTS).decode(),
}

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REF.format(model="ResponsesRequest")},
                "example": {"model": "gpt", "input": "Say hello."},
            }
        },
    },
}

# Keyword arguments of the routes' decorators.
RESPONSES: dict[str, Any] = {
    "tags": ["openai"],
    "description": "OpenAI's Responses. The `model` leads to a provider. No response is stored.",
    "responses": {200: _RESPONSE, **openai_errors(*CHAT_CODES)},
    "openapi_extra": _BODY,
}
INPUT_TOKENS: dict[str, Any] = {
    "tags": ["openai"],
    "description": "The input tokens of such a request, if the vendor can count them.",
    "responses": {
        200: json_response("The number", {"object": "response.input_tokens", "input_tokens": 42}),
        **openai_errors(*CHAT_CODES, "not_found"),
    },
    "openapi_extra": _BODY,
}

_ITEM = {"type": "object", "properties": {"type": TEXT, "role": TEXT}}
_TOOL = {"type": "object", "required": ["type"], "properties": {"type": TEXT, "name": TEXT}}


def responses_schemas() -> dict[str, Any]:
    """The schema of the body, by its name."""
    options = option_properties(lambda name: {"$ref": REF.format(model=name)})
    effort = {"type": "object", "properties": {"effort": options["reasoning_effort"]}}
    form = {"type": "object", "properties": {"format": options["response_format"]}}
    properties = {
        "model": TEXT | {"minLength": 1},
        "input": {"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": _ITEM}]},
        "instructions": {"anyOf": [TEXT, NULL]},
        "stream": {"anyOf": [FLAG, NULL], "default": False},
        "store": {"anyOf": [FLAG, NULL]},
        "tools": {"anyOf": [{"type": "array", "items": _TOOL}, NULL]},
        "tool_choice": options["tool_choice"],
        "parallel_tool_calls": options["parallel_tool_calls"],
        "text": {"anyOf": [form, NULL]},
        "reasoning": {"anyOf": [effort, NULL]},
        "max_output_tokens": options["max_tokens"],
        "temperature": options["temperature"],
        "top_p": options["top_p"],
        "gateway": {
            "anyOf": [GATEWAY_FIELD, NULL],
            "description": "What follows if the answer breaks after its first content.",
        },
    }
    request = {
        "type": "object",
        "description": "OpenAI's body. Unknown fields are ignored and never forwarded.",
        "required": ["model", "input"],
        "properties": properties,
    }
    return {"ResponsesRequest": request}
