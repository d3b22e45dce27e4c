"""OpenAI by chat completions, through its SDK's client; the stream's bytes are read here.

The SDK owns authentication, URLs, transport and typed errors; `create()` would build typed objects for each chunk.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import ClassVar

import httpx2
import openai

from configuration import ProviderSettings
from models import Prompt
from providers.base import BaseProvider
from providers.chat_completions import ChatCompletionsDecoder, to_messages
from providers.http_client import api_key, make_http_client, post_unread
from providers.vendor_stream import Batch, RawResponse, read_batches

_PATH = "/chat/completions"
_LOWEST_EFFORT = "none"  # of openai.types.shared.ReasoningEffort


class OpenAIProvider(BaseProvider):
    """GPT models."""

    optional_parameters: ClassVar[tuple[str, ...]] = (
        "temperature",
        "max_completion_tokens",
        "reasoning_effort",
        "stream_options",
    )

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        base_url = (settings.base_url or "https://api.openai.com/v1").rstrip("/")
        self._url = base_url + _PATH
        client = make_http_client(httpx2, openai.DefaultAioHttpClient, settings)
        self._client = openai.AsyncOpenAI(
            api_key=api_key(settings),
            base_url=base_url,
            max_retries=0,
            timeout=client.timeout,
            http_client=client,
        )
        # The SDK takes these from the environment where they are not given, and offers no way to say "none".
        self._client.organization = self._client.project = None
        self._client._custom_headers = {}

    def parameters(self) -> dict[str, object]:
        """The request's parameters besides model and messages."""
        return {
            "max_completion_tokens": self.settings.max_tokens,
            "temperature": self.settings.temperature,
            "reasoning_effort": self.settings.reasoning_effort or _LOWEST_EFFORT,
            "stream_options": {"include_usage": True},
        }

    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        open_response = partial(self._open, prompt, model, message_id)
        return read_batches(open_response, ChatCompletionsDecoder(), self.settings.max_event_bytes)

    async def _open(self, prompt: Prompt, model: str, message_id: str) -> RawResponse:
        body = {"model": model, "messages": to_messages(prompt), "stream": True}
        body |= self.accepted(model, self.parameters())
        response = await post_unread(self._client, self._url, body, httpx2.Response, openai.AsyncStream[object])
        self.note_opened(model, message_id, response.headers.get("x-request-id"))
        return response

    async def retrieve_model(self, model: str) -> None:
        await self._client.models.retrieve(model)

    async def aclose(self) -> None:
        await self._client.close()
