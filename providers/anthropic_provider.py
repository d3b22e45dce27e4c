"""Anthropic by messages, through its SDK's client.

In the SDK's second major version requests have no temperature.

The newest models bind their thinking to all that was before it: the system prompt, the tools, each
message. If a client changes any of it, as one that leaves out old turns, the request fails with the
thinking in it. So the vendor is asked to drop the thinking that does not match.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import anthropic
import httpx2
from anthropic.resources.messages.messages import DEPRECATED_MODELS

from configuration import ProviderSettings
from models import Prompt
from providers.base_url import read_base_url
from providers.http.client import make_http_client
from providers.model_options import ModelOptions
from providers.schemas.adapt import ANTHROPIC
from providers.stainless import StainlessProvider, client_options
from providers.states import has_states
from providers.wires.messages import MessagesDecoder
from providers.wires.messages_body import cache_prompt, to_body

_ENDPOINTS = ("/messages", "/models", "/v1")  # the version is part of the paths below

# What these models do without it, but for the mismatch.
_DROP_CHANGED = {
    "type": "adaptive",
    "block_binding": {"prefix_mismatch_behavior": "drop_block"},
}
_BINDING_CONTROLS = "thinking-binding-controls-2026-08-01"


class AnthropicProvider(StainlessProvider):
    """Claude models."""

    response_class = httpx2.Response
    stream_class = anthropic.AsyncStream[object]
    to_body = staticmethod(to_body)
    decoder = MessagesDecoder
    chat_path = "/v1/messages"
    models_path = "/v1/models"
    models_query = "limit=1000"
    request_id_header = "request-id"
    count_path = "/v1/messages/count_tokens"
    counted_fields = frozenset(
        {
            "cache_control",
            "messages",
            "model",
            "output_config",
            "system",
            "thinking",
            "tool_choice",
            "tools",
        }
    )
    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "output_config": ("effort",),
        "thinking": ("block_binding", "prefix_mismatch_behavior", "anthropic-beta"),
    }

    client_names: ClassVar[Mapping[str, str]] = {
        "output_config": "reasoning_effort",
        "stop_sequences": "stop",
    }
    dialect = ANTHROPIC

    def __init__(self, settings: ProviderSettings) -> None:
        base_url = read_base_url(settings, _ENDPOINTS)
        http_client = make_http_client(httpx2, anthropic.DefaultAioHttpClient, settings)
        client = anthropic.AsyncAnthropic(**client_options(settings, base_url, http_client))
        super().__init__(settings, base_url, client)

    def deprecated_models(self) -> Mapping[str, str]:
        return DEPRECATED_MODELS

    def parameters(self, options: ModelOptions) -> Mapping[str, object]:
        effort = options.effort
        return {
            "output_config": {"effort": effort} if isinstance(effort, str) else effort,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "stop_sequences": options.stop,
            "seed": options.seed,
        }

    def accepted(self, prompt: Prompt, model: str) -> dict[str, object]:
        accepted = super().accepted(prompt, model)
        if prompt.is_plain or "thinking" in prompt.left_out:
            return accepted
        is_bound = self.options(model).capability.binds_thinking and has_states(prompt)
        return {**accepted, "thinking": _DROP_CHANGED} if is_bound else accepted

    def headers(self, body: Mapping[str, object]) -> Mapping[str, str]:
        return {"anthropic-beta": _BINDING_CONTROLS} if "thinking" in body else {}

    def body(self, prompt: Prompt, model: str) -> dict[str, object]:
        options = self.options(model, prompt.options)
        body: dict[str, Any] = self.to_body(prompt, model)
        accepted: dict[str, Any] = self.accepted(prompt, model)
        config = body.get("output_config", {}) | accepted.get("output_config", {})
        body = {"max_tokens": options.max_tokens, **body, **accepted}
        if config:
            body["output_config"] = config
        if self.settings.prompt_cache != "off":
            cache_prompt(body, self.settings.prompt_cache)
        return body
