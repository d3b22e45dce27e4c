"""The vendors' own types of a request, by which a body is checked: those of their SDKs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsStreaming as ClaudeRequest
from groq.types.chat.completion_create_params import CompletionCreateParams as GroqRequest
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsStreaming as OpenAIRequest,
)
from pydantic import TypeAdapter

_REQUESTS: dict[str, Any] = {"claude": ClaudeRequest, "gpt": OpenAIRequest, "groq": GroqRequest}


def check_request(name: str, body: object) -> None:
    """Raises pydantic's ValidationError if the body is not what the vendor's SDK would be given."""
    _read_all(_adapter(name).validate_python(body))


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
