"""The vendors' own types of a request, by which a body is checked: those of their SDKs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsStreaming as ClaudeRequest
from google.genai.types import Content, GenerateContentConfig
from groq.types.chat.completion_create_params import CompletionCreateParams as GroqRequest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsStreaming as OpenAIRequest,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsStreaming as ResponsesRequest,
)
from pydantic import TypeAdapter

_REQUESTS: dict[str, Any] = {
    "claude": ClaudeRequest,
    "gpt": OpenAIRequest,
    "groq": GroqRequest,
    "responses": ResponsesRequest,
}


def check_request(name: str, body: dict[str, Any]) -> None:
    """Raises pydantic's ValidationError if the body is not what the vendor's SDK would be given."""
    if name == "gemini":
        _check_gemini(body)
    else:
        _read_all(_adapter(name).validate_python(body))


def _check_gemini(body: dict[str, Any]) -> None:
    """The SDK has one type for the contents, and one for all other fields."""
    for content in body["contents"]:
        Content.model_validate(content)
    fields = {**body.get("generationConfig", {}), **body}
    GenerateContentConfig.model_validate(
        {name: fields[name] for name in fields.keys() - {"contents", "generationConfig"}}
    )


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_REQUESTS[name])


def _read_all(value: object) -> None:
    """Read iterables to their end: pydantic checks their items as they are read."""
    if isinstance(value, Mapping):
        for inner in value.values():
            _read_all(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for inner in value:
            _read_all(inner)
