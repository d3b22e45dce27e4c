"""Gemini by streamGenerateContent, through google-genai.

The SDK has no public call that returns the response unread. So the gateway creates the HTTP client
and passes it to the SDK, opens streams on it directly, and has `APIError.raise_for_async_response`
raise the SDK's typed errors.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import ClassVar
from urllib.parse import quote

import httpx2
import msgspec
from google import genai
from google.genai.errors import APIError
from google.genai.types import HttpOptions, HttpRetryOptions
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient

from configuration import ProviderSettings
from models import Prompt
from providers.base import BaseProvider
from providers.base_url import read_base_url
from providers.http.client import api_key, make_http_client, make_tls_context
from providers.model_check import has_model
from providers.model_options import ModelOptions
from providers.parameters import request_ids
from providers.schemas.adapt import GEMINI
from providers.token_count import count_tokens
from providers.wires.decoder import Batch
from providers.wires.generate_content import GenerateContentDecoder
from providers.wires.generate_content_body import to_body
from providers.wires.vendor_stream import RawResponse, read_batches
from streams.closing import close_surely
from streams.off_loop import call_off_loop

_API_VERSION = "v1"  # google.genai's own default
_ENDPOINTS = ("/models",)


class GeminiProvider(BaseProvider):
    """Gemini models."""

    parameter_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "thinkingLevel": ("thinkingConfig", "thinkingBudget", "thinking"),
        "includeThoughts": ("thinkingConfig", "thinking"),
    }

    client_names: ClassVar[Mapping[str, str]] = {
        "maxOutputTokens": "max_tokens",
        "thinkingLevel": "reasoning_effort",
        "topP": "top_p",
        "stopSequences": "stop",
    }
    dialect = GEMINI

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        base_url = read_base_url(settings, _ENDPOINTS)
        if not re.search(r"/v\d\w*$", base_url.path):
            base_url = base_url._replace(path=f"{base_url.path}/{_API_VERSION}")
        self._base_url = base_url
        self._headers = {"x-goog-api-key": api_key(settings)}
        self._http = make_http_client(httpx2, Httpx2AiohttpClient, settings)
        context = make_tls_context(settings)  # else the SDK would make one from SSL_CERT_FILE
        self._client = genai.Client(
            api_key=api_key(settings),
            vertexai=False,
            http_options=HttpOptions(
                base_url=self._base_url.origin,
                api_version=_API_VERSION,
                httpx_async_client=self._http,
                async_client_args={"verify": context, "ssl": context},
                retry_options=HttpRetryOptions(attempts=1),
            ),
        )

    def parameters(self, options: ModelOptions) -> Mapping[str, object]:
        return {
            "temperature": options.temperature,
            "topP": options.top_p,
            "stopSequences": options.stop,
            "seed": options.seed,
            "parallel_tool_calls": options.parallel_tool_calls,  # not accepted by any model
            "maxOutputTokens": options.max_tokens,
            "thinkingLevel": options.effort,
            "includeThoughts": True if options.capability.include_thoughts else None,
        }

    def stream_response(
        self, prompt: Prompt, model: str, message_id: str
    ) -> AsyncGenerator[Batch, None]:
        open_response = partial(self._open, prompt, model, message_id)
        make_decoder = partial(GenerateContentDecoder, self.name, model)
        return read_batches(open_response, make_decoder, self.settings.max_event_bytes)

    def body(self, prompt: Prompt, model: str) -> dict[str, object]:
        """The body of a request for a stream."""
        capability = self.options(model).capability
        return to_body(prompt, capability, self.accepted(prompt, model))

    async def _open(self, prompt: Prompt, model: str, message_id: str) -> RawResponse:
        url = self._base_url.url(f"/{quote(_resource(model))}:streamGenerateContent", "alt=sse")
        make = partial(self._make_content, prompt, model)
        content = await call_off_loop(make, is_long=prompt.is_large)
        request = self._request("POST", url, content)
        response: httpx2.Response = await self._http.send(request, stream=True)
        try:
            await APIError.raise_for_async_response(response)
        except BaseException:
            await close_surely(response.aclose())
            raise
        self.note_opened(model, message_id, response.headers.get("x-request-id"))
        return response

    async def has_model(self, model: str) -> bool:
        return await has_model(
            partial(self._call, "GET", self._base_url.url(f"/{quote(_resource(model))}")),
            partial(self._call, "GET", self._base_url.url("/models", "pageSize=1000")),
            model,
        )

    async def request_count(self, prompt: Prompt, model: str) -> int | None:
        resource = _resource(model)
        url = self._base_url.url(f"/{quote(resource)}:countTokens")
        make = partial(self._make_content, prompt, model, resource)
        content = await call_off_loop(make, is_long=prompt.is_large)
        return await count_tokens(partial(self._call, "POST", url, content), "totalTokens")

    def _make_content(self, prompt: Prompt, model: str, counted: str | None = None) -> bytes:
        """The content of a request for a stream, or of one that counts the tokens of another."""
        body = self.body(prompt, model)
        if counted:
            body = {"generateContentRequest": {"model": counted, **body}}
        return msgspec.json.encode(body)

    def _request(self, method: str, url: str, content: bytes | None) -> httpx2.Request:
        headers = {**self._headers, **request_ids()}
        if content is not None:
            headers["Content-Type"] = "application/json"
        request: httpx2.Request
        request = self._http.build_request(method, url, content=content, headers=headers)
        return request

    async def _call(self, method: str, url: str, content: bytes | None = None) -> object:
        response = await self._http.send(self._request(method, url, content))
        await APIError.raise_for_async_response(response)
        body: object = response.json()
        return body

    async def aclose(self) -> None:
        await self._http.aclose()
        self._client.close()


def _resource(model: str) -> str:
    """A model's name as a resource name, as it is in the vendor's list of models."""
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
