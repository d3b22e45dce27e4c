"""Groq, through its SDK's client, which is built on httpx, not httpx2; its wire is OpenAI's with small additions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import ClassVar

import groq
import httpx

from configuration import ProviderSettings
from models import Prompt
from providers.base import BaseProvider
from providers.chat_completions import ChatCompletionsDecoder, to_messages
from providers.http_client import api_key, make_http_client, post_unread
from providers.vendor_stream import Batch, RawResponse, read_batches

_PATH = "/openai/v1/chat/completions"
_LOWEST_EFFORT = "low"  # of the gpt-oss models, as groq.types.chat.completion_create_params says


class GroqProvider(BaseProvider):
    """Open models on Groq."""

    optional_parameters: ClassVar[tuple[str, ...]] = ("temperature", "max_completion_tokens", "reasoning_effort")

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        base_url = (settings.base_url or "https://api.groq.com").rstrip("/")
        self._url = base_url + _PATH
        client = make_http_client(httpx, groq.DefaultAioHttpClient, settings)
        self._client = groq.AsyncGroq(
            api_key=api_key(settings),
            base_url=base_url,
            max_retries=0,
            timeout=client.timeout,
            http_client=client,
        )
        self._client._custom_headers = {}  # the SDK takes GROQ_CUSTOM_HEADERS from the environment

    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        open_response = partial(self._open, prompt, model, message_id)
        return read_batches(open_response, ChatCompletionsDecoder(), self.settings.max_event_bytes)

    async def _open(self, prompt: Prompt, model: str, message_id: str) -> RawResponse:
        parameters = {
            "max_completion_tokens": self.settings.max_tokens,
            "temperature": self.settings.temperature,
            "reasoning_effort": self.settings.reasoning_effort or _LOWEST_EFFORT,
        }
        body = {"model": model, "messages": to_messages(prompt), "stream": True}
        body |= self.accepted(model, parameters)
        response = await post_unread(self._client, self._url, body, httpx.Response, groq.AsyncStream[object])
        self.note_opened(model, message_id, response.headers.get("x-request-id"))
        return response

    async def retrieve_model(self, model: str) -> None:
        await self._client.models.retrieve(model)

    async def aclose(self) -> None:
        await self._client.close()
