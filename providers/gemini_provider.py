"""Gemini by streamGenerateContent, through google-genai.

The SDK has no public seam that gives the response unread, so its HTTP client is ours: the SDK is given it, streams are
opened on it directly, and `APIError.raise_for_async_response` makes the SDK's typed errors of what is no 200.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

import httpx2
import msgspec
from google import genai
from google.genai.errors import APIError
from google.genai.types import HttpOptions, HttpRetryOptions
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient

from closing import close_surely
from configuration import ProviderSettings
from models import Delta, Finish, FinishReason, GatewayError, ImagePart, Prompt, TextPart, ToolCallDelta, Usage
from providers.base import BaseProvider
from providers.errors import vendor_error
from providers.http_client import api_key, make_http_client, request_headers
from providers.sse_reader import Frame
from providers.vendor_stream import Batch, Decoder, RawResponse, read_batches

_API_VERSION = "v1"  # google.genai's own default
_SETTLING_SECONDS = 1.0  # text may follow the first finish reason
_LOWEST_LEVEL = "minimal"  # of google.genai.types.ThinkingLevel

_FINISH_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
}


class GeminiProvider(BaseProvider):
    """Gemini models."""

    optional_parameters: ClassVar[tuple[str, ...]] = ("temperature", "maxOutputTokens", "thinkingLevel")

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._base_url = (settings.base_url or "https://generativelanguage.googleapis.com").rstrip("/")
        self._headers = {"x-goog-api-key": api_key(settings)}
        self._http = make_http_client(httpx2, Httpx2AiohttpClient, settings)
        context = httpx2.create_ssl_context(trust_env=False)  # the SDK would make its own, from SSL_CERT_FILE
        self._client = genai.Client(
            api_key=api_key(settings),
            vertexai=False,
            http_options=HttpOptions(
                base_url=self._base_url,
                api_version=_API_VERSION,
                httpx_async_client=self._http,
                async_client_args={"verify": context, "ssl": context},
                retry_options=HttpRetryOptions(attempts=1),
            ),
        )

    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        open_response = partial(self._open, prompt, model, message_id)
        return read_batches(open_response, GenerateContentDecoder(), self.settings.max_event_bytes)

    async def _open(self, prompt: Prompt, model: str, message_id: str) -> RawResponse:
        parameters = {
            "temperature": self.settings.temperature,
            "maxOutputTokens": self.settings.max_tokens,
            "thinkingLevel": self.settings.reasoning_effort or _LOWEST_LEVEL,
        }
        request = self._http.build_request(
            "POST",
            f"{self._base_url}/{_API_VERSION}/models/{quote(model)}:streamGenerateContent?alt=sse",
            content=msgspec.json.encode(to_body(prompt, self.accepted(model, parameters))),
            headers={"Content-Type": "application/json", **self._headers, **request_headers()},
        )
        response: httpx2.Response = await self._http.send(request, stream=True)
        try:
            await APIError.raise_for_async_response(response)
        except BaseException:
            await close_surely(response.aclose())
            raise
        self.note_opened(model, message_id, response.headers.get("x-request-id"))
        return response

    async def retrieve_model(self, model: str) -> None:
        await self._client.aio.models.get(model=model)

    async def aclose(self) -> None:
        await self._http.aclose()
        self._client.close()


def to_body(prompt: Prompt, parameters: Mapping[str, object]) -> dict[str, object]:
    """The body of `streamGenerateContent`."""
    level = {name: value for name, value in parameters.items() if name == "thinkingLevel"}
    config = {name: value for name, value in parameters.items() if name not in level}
    config["thinkingConfig"] = {**level, "includeThoughts": True}
    roles = {"user": "user", "assistant": "model"}
    contents = [{"role": roles[turn.role], "parts": [_to_part(part) for part in turn.parts]} for turn in prompt.turns]
    body: dict[str, object] = {"contents": contents, "generationConfig": config}
    return body | ({"systemInstruction": {"parts": [{"text": prompt.system}]}} if prompt.system else {})


def _to_part(part: TextPart | ImagePart) -> dict[str, object]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    return {"inlineData": {"mimeType": part.media_type, "data": part.data}}


class _FunctionCall(msgspec.Struct):
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class GenerateContentDecoder(Decoder):
    """`data:` chunks until the stream's end; a finish reason may be repeated, and text may follow it."""

    __slots__ = ("_calls", "_finish_reason", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._usage: Usage | None = None
        self._calls = 0
        self._finish_reason: str | None = None

    def decode(self, frame: Frame, batch: Batch) -> None:
        chunk = _decode_chunk(frame.data)
        if chunk.error is not None:
            raise vendor_error(msgspec.json.decode(frame.data))
        if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
            raise GatewayError("content_filtered", detail={"block_reason": chunk.prompt_feedback.block_reason})
        if chunk.usage_metadata:
            self._usage = _to_usage(chunk.usage_metadata)
        for candidate in chunk.candidates or ():
            if candidate.index == 0:
                self._take_candidate(candidate, batch)
        if self._finish_reason:
            self._finish()

    def _take_candidate(self, candidate: _Candidate, batch: Batch) -> None:
        for part in candidate.content.parts or () if candidate.content else ():
            if part.text:
                batch.append(Delta(reasoning=part.text) if part.thought else Delta(part.text))
            if part.function_call:
                arguments = bytes(part.function_call.args).decode()
                batch.append(Delta(tool_call=ToolCallDelta(self._calls, part.function_call.name, arguments)))
                self._calls += 1
        self._finish_reason = candidate.finish_reason or self._finish_reason

    def _finish(self) -> None:
        raw = self._finish_reason or ""
        reason = _FINISH_REASONS.get(raw, "other")
        self.finish = Finish(reason, raw, self._usage, sure=False, settling=_SETTLING_SECONDS)


def _to_usage(usage: _Usage) -> Usage:
    output = usage.candidates_token_count
    if usage.thoughts_token_count is not None:
        output = (output or 0) + usage.thoughts_token_count
    return Usage(
        input_tokens=usage.prompt_token_count,
        output_tokens=output,
        cached_input_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
    )
