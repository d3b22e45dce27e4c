"""Groq, through its SDK's client, which is built on httpx, not httpx2.

The wire is OpenAI's with small additions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import groq
import httpx

from configuration import ProviderSettings
from models import JsonSchema, Prompt
from providers.base_url import read_base_url
from providers.http.client import make_http_client
from providers.model_options import ModelOptions
from providers.schemas.adapt import GROQ
from providers.stainless import StainlessProvider, client_options
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.chat_completions_body import to_body

_ENDPOINTS = ("/chat/completions", "/models")
_STREAM = "stream"
_VERSION = "/openai/v1"  # for a base URL without one


class GroqProvider(StainlessProvider):
    """Open models on Groq."""

    response_class = httpx.Response
    stream_class = groq.AsyncStream[object]
    to_body = staticmethod(partial(to_body, dialect=GROQ))
    decoder = ChatCompletionsDecoder
    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "max_completion_tokens": ("max_tokens",),
        "reasoning_effort": ("reasoning", "thinking", "effort"),
        _STREAM: ("streaming",),
    }

    client_names: ClassVar[Mapping[str, str]] = {"max_completion_tokens": "max_tokens"}
    dialect = GROQ

    def __init__(self, settings: ProviderSettings) -> None:
        base_url = read_base_url(settings, _ENDPOINTS)
        if not base_url.path.endswith("/v1"):
            base_url = base_url._replace(path=base_url.path.removesuffix("/openai") + _VERSION)
        http_client = make_http_client(httpx, groq.DefaultAioHttpClient, settings)
        client = groq.AsyncGroq(**client_options(settings, base_url, http_client))
        super().__init__(settings, base_url, client)

    def parameters(self, options: ModelOptions) -> Mapping[str, object]:
        return {
            options.capability.max_tokens_field: options.max_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "stop": options.stop,
            "seed": options.seed,
            "parallel_tool_calls": options.parallel_tool_calls,
            "reasoning_effort": options.effort,
        }

    def accepted(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The parameters. A stream is one of them, since it may be refused to an answer in JSON."""
        accepted = super().accepted(prompt, model)
        if prompt.options.output is None or not self.streams(prompt, model):
            return accepted
        return {**accepted, _STREAM: True}

    def body(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The body of a request for a stream, or for a whole answer if there can be no stream."""
        return {**super().body(prompt, model), _STREAM: self.streams(prompt, model)}

    def streams(self, prompt: Prompt, model: str) -> bool:
        match prompt.options.output:
            case None:
                return True
            case JsonSchema() if not self.capabilities.of(model).stream_schema:
                return False
            case _:
                return _STREAM not in prompt.left_out
