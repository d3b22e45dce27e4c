"""The parts of the OpenAPI document for clients of OpenAI's API. Its examples are encoded."""

from __future__ import annotations

from typing import Any

import msgspec

from models import GatewayError
from providers.model_names import ListedModel
from web.doors.model_lists import openai_model, openai_models
from web.doors.openai_chat import ChunkEncoder, render_completion
from web.doors.openai_errors import error_object, to_openai
from web.doors.option_schemas import option_properties
from web.openapi_examples import ANSWER, CHAT_CODES, EVENTS, REF, REPLY, error_responses

CREATED = 1_767_225_600
_TIMESTAMP = "2026-01-01T00:00:00Z"
_MODEL = "gpt-6-luna"
_MODELS = [ListedModel("gpt", "gpt"), ListedModel(_MODEL, "gpt")]


def openai_errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The error responses in OpenAI's shape."""
    errors = [GatewayError(code) for code in codes]
    examples = [error_object(error, REPLY.identity.request_id) for error in errors]
    for example in examples:
        example["gateway"]["timestamp"] = _TIMESTAMP
    statuses = [to_openai(error).status for error in errors]
    return error_responses("OpenAIError", zip(statuses, codes, examples, strict=True))


def json_response(description: str, example: object) -> dict[str, Any]:
    """A response with an example of its body."""
    content = {"application/json": {"example": example}}
    return {"description": description, "content": content}


_COMPLETION = json_response(
    "With `stream`: server-sent events, each `data: <json>` and a blank line; comments may come "
    "between. A whole answer ends in a chunk with a `finish_reason` and `data: [DONE]`, a broken "
    "one in an event with `error`. Otherwise one JSON object. `gateway` has the facts that "
    "OpenAI's protocol has no field for.",
    msgspec.json.decode(render_completion(ANSWER, REPLY, CREATED)),
)
_COMPLETION["content"]["text/event-stream"] = {
    "schema": {"type": "string"},
    "example": ChunkEncoder(REPLY, CREATED).encode(EVENTS).decode(),
}

# Keyword arguments of the routes' decorators.
CHAT_COMPLETIONS: dict[str, Any] = {
    "tags": ["openai"],
    "description": "OpenAI's chat completions. The `model` leads to a provider.",
    "responses": {200: _COMPLETION, **openai_errors(*CHAT_CODES)},
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": REF.format(model="ChatCompletionRequest")},
                    "example": {
                        "model": "gpt",
                        "messages": [{"role": "user", "content": "Say hello."}],
                    },
                }
            },
        },
    },
}
MODELS: dict[str, Any] = {
    "tags": ["openai"],
    "description": (
        "The names of models that can be asked for, in OpenAI's shape; in Anthropic's if the "
        "request has the header `anthropic-version`."
    ),
    "responses": {
        200: json_response("The models", openai_models(_MODELS)),
        **openai_errors("unauthorized"),
    },
}
MODEL: dict[str, Any] = {
    "tags": ["openai"],
    "description": "One model that can be asked for. Its name may have slashes.",
    "responses": {
        200: json_response("The model", openai_model(_MODELS[1])),
        **openai_errors("unauthorized", "unknown_provider"),
    },
}


TEXT, FLAG, NULL = {"type": "string"}, {"type": "boolean"}, {"type": "null"}
_MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}, NULL]},
    },
}
GATEWAY_FIELD = {"type": "object", "properties": {"on_break": {"enum": ["error", "hold"]}}}
_ERROR = {"message": TEXT, "type": TEXT, "code": TEXT, "param": {"anyOf": [TEXT, NULL]}}
_OPENAI_ERROR = {
    "type": "object",
    "required": ["error", "gateway"],
    "properties": {
        "error": {"type": "object", "required": list(_ERROR), "properties": _ERROR},
        "gateway": {"type": "object", "description": "The gateway's own `error` fields."},
    },
}


def openai_schemas() -> dict[str, Any]:
    """The schemas that these parts refer to, by name."""
    options = option_properties(lambda name: {"$ref": REF.format(model=name)})
    stream_options = {"type": "object", "properties": {"include_usage": FLAG}}
    request = {
        "type": "object",
        "description": "OpenAI's body. Unknown fields are ignored and never forwarded.",
        "required": ["model", "messages"],
        "properties": {
            "model": TEXT | {"minLength": 1},
            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
            "stream": {"anyOf": [FLAG, NULL], "default": False},
            "stream_options": {"anyOf": [stream_options, NULL]},
            **options,
            "max_completion_tokens": options["max_tokens"],
            "gateway": {
                "anyOf": [GATEWAY_FIELD, NULL],
                "description": "What follows if the answer breaks after its first content.",
            },
        },
    }
    return {"ChatCompletionRequest": request, "OpenAIError": _OPENAI_ERROR}
