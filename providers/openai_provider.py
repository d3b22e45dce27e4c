"""OpenAI, through its SDK's client: by the Responses API on its own hosts, or chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

import httpx2
import openai

from configuration import ProviderSettings
from models import Prompt
from providers.base_url import read_base_url
from providers.http.client import make_http_client
from providers.model_options import NOT_TAKEN, ModelOptions
from providers.schemas.adapt import OPENAI
from providers.stainless import StainlessProvider, client_options
from providers.wires import chat_completions_body, responses_body
from providers.wires.chat_completions import ChatCompletionsDecoder
from providers.wires.decoder import Decoder
from providers.wires.responses import ResponsesDecoder

_ENDPOINTS = ("/chat/completions", "/models", "/responses")
_VERSION = "/v1"  # for a base URL that is only a host
_HOST = "api.openai.com"  # `eu.api.openai.com` and the like are OpenAI's own, too
_LEAST_TOKENS = 16  # the Responses API refuses a lower `max_output_tokens`
_REASONING = "reasoning."  # before the names of parameters that are fields of `reasoning`


class OpenAIProvider(StainlessProvider):
    """GPT models by chat completions, which other servers have, too."""

    response_class = httpx2.Response
    stream_class = openai.AsyncStream[object]
    to_body = staticmethod(chat_completions_body.to_body)
    decoder: ClassVar[type[Decoder]] = ChatCompletionsDecoder
    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "max_completion_tokens": ("max_tokens",),
        "max_tokens": ("max_completion_tokens",),
        "reasoning_effort": ("reasoning", "thinking", "effort"),
        "stream_options": ("include_usage",),
    }

    client_names: ClassVar[Mapping[str, str]] = {"max_completion_tokens": "max_tokens"}
    dialect = OPENAI

    def __init__(self, settings: ProviderSettings) -> None:
        base_url = read_base_url(settings, _ENDPOINTS)
        if not base_url.path:
            base_url = base_url._replace(path=_VERSION)
        http_client = make_http_client(httpx2, openai.DefaultAioHttpClient, settings)
        client = openai.AsyncOpenAI(**client_options(settings, base_url, http_client))
        # The SDK reads these from the environment if they are not passed.
        client.organization = client.project = None
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
            "stream_options": {"include_usage": True}
            if options.capability.stream_options
            else None,
        }

    def choose(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The parameters. Some models accept tools only without reasoning, by this API."""
        chosen = super().choose(prompt, model)
        if self._drops_effort(prompt, model):
            if self.capabilities.of(model).effort_with_tools == "absent":
                chosen.pop("reasoning_effort", None)
            else:
                chosen["reasoning_effort"] = "none"
        return chosen

    def dropped_params(self, asked: Prompt, model: str) -> tuple[str, ...]:
        dropped = super().dropped_params(asked, model)
        is_asked = asked.options.effort not in (None, "none", "off")
        if is_asked and self._drops_effort(asked, model):
            return tuple(sorted({*dropped, "reasoning_effort"}))
        return dropped

    def _drops_effort(self, prompt: Prompt, model: str) -> bool:
        has_tools = bool(prompt.options.tools) or not prompt.is_plain
        if not has_tools or self.capabilities.of(model).effort_with_tools is True:
            return False
        return "reasoning_effort" not in prompt.left_out


class ResponsesProvider(OpenAIProvider):
    """GPT models by the Responses API."""

    chat_path = "/responses"
    count_path = "/responses/input_tokens"
    counted_fields = frozenset(
        {
            "input",
            "instructions",
            "model",
            "parallel_tool_calls",
            "reasoning",
            "text",
            "tool_choice",
            "tools",
        }
    )
    to_body = staticmethod(responses_body.to_body)
    decoder = ResponsesDecoder
    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "max_output_tokens": ("max_tokens", "max_completion_tokens"),
        "reasoning.effort": ("reasoning", "thinking", "effort"),
        "reasoning.summary": ("reasoning summaries",),
        "include": ("encrypted content",),
    }
    client_names: ClassVar[Mapping[str, str]] = {
        "max_output_tokens": "max_tokens",
        "reasoning.effort": "reasoning_effort",
    }

    def parameters(self, options: ModelOptions) -> Mapping[str, object]:
        """The parameters; those of reasoning are named as errors name them.

        A model that reasons is asked for summaries, since it is silent until it answers. An
        organisation that is not verified is refused them.
        """
        reasons = isinstance(options.effort, str) and options.effort != "none"
        return {
            "max_output_tokens": max(options.max_tokens, _LEAST_TOKENS),
            "temperature": options.temperature,
            "top_p": options.top_p,
            "stop": None if options.stop is None else NOT_TAKEN,
            "seed": None if options.seed is None else NOT_TAKEN,
            "parallel_tool_calls": options.parallel_tool_calls,
            "reasoning.effort": options.effort,
            "reasoning.summary": "auto"
            if reasons and options.capability.include_thoughts
            else None,
        }

    def dropped_params(self, asked: Prompt, model: str) -> tuple[str, ...]:
        dropped = super().dropped_params(asked, model)
        is_raised = (asked.options.max_tokens or _LEAST_TOKENS) < _LEAST_TOKENS
        return tuple(sorted({*dropped, "max_tokens"})) if is_raised else dropped

    def _drops_effort(self, prompt: Prompt, model: str) -> bool:  # noqa: ARG002
        return False

    def accepted(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The parameters; with tools the encrypted reasoning is asked for, if the model reasons."""
        accepted = super().accepted(prompt, model)
        has_tools = bool(prompt.options.tools) or not prompt.is_plain
        reasons = self.options(model).capability.effort != ()
        if has_tools and reasons and "include" not in prompt.left_out:
            return {**accepted, "include": ["reasoning.encrypted_content"]}
        return accepted

    def body(self, prompt: Prompt, model: str) -> dict[str, object]:
        body = super().body(prompt, model)
        names = [name for name in body if name.startswith(_REASONING)]
        if names:
            body["reasoning"] = {name.removeprefix(_REASONING): body.pop(name) for name in names}
        return body


def make_openai_provider(settings: ProviderSettings) -> OpenAIProvider:
    """The provider that speaks the API of OPENAI_API."""
    host = urlsplit(settings.base_url or "").hostname or ""
    # In demo mode the simulator takes the place of OpenAI's own host.
    is_own = host == _HOST or host.endswith(f".{_HOST}") or settings.demo
    api = settings.openai_api
    if api == "responses" or (api == "auto" and is_own):
        return ResponsesProvider(settings)
    return OpenAIProvider(settings)
