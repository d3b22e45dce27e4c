"""Anthropic by messages, through its SDK's client; the stream's bytes are read here.

The seam is the same as OpenAI's. In this SDK's second major version requests have no temperature.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import ClassVar

import anthropic
import httpx2
import msgspec
from anthropic.resources.messages.messages import DEPRECATED_MODELS

from configuration import ProviderSettings
from models import Delta, Finish, FinishReason, ImagePart, Prompt, TextPart, ToolCallDelta, Usage
from providers.base import BaseProvider
from providers.errors import vendor_error
from providers.http_client import api_key, make_http_client, post_unread
from providers.sse_reader import Frame
from providers.vendor_stream import Batch, Decoder, RawResponse, read_batches

_PATH = "/v1/messages"
_SETTLING_SECONDS = 0.1  # from `message_stop` to the stream's end, which comes with it
_LOWEST_EFFORT = "low"  # of anthropic.types.OutputConfigParam

_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicProvider(BaseProvider):
    """Claude models."""

    optional_parameters: ClassVar[tuple[str, ...]] = ("output_config",)

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        base_url = (settings.base_url or "https://api.anthropic.com").rstrip("/")
        self._url = base_url + _PATH
        client = make_http_client(httpx2, anthropic.DefaultAioHttpClient, settings)
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key(settings),
            base_url=base_url,
            max_retries=0,
            timeout=client.timeout,
            http_client=client,
        )
        self._client._custom_headers = {}  # the SDK takes ANTHROPIC_CUSTOM_HEADERS from the environment

    def deprecated_models(self) -> Mapping[str, str]:
        return DEPRECATED_MODELS

    def stream_response(self, prompt: Prompt, model: str, message_id: str) -> AsyncGenerator[Batch, None]:
        open_response = partial(self._open, prompt, model, message_id)
        return read_batches(open_response, MessagesDecoder(), self.settings.max_event_bytes)

    async def _open(self, prompt: Prompt, model: str, message_id: str) -> RawResponse:
        parameters = {"output_config": {"effort": self.settings.reasoning_effort or _LOWEST_EFFORT}}
        body = to_body(prompt, model, self.settings.max_tokens) | self.accepted(model, parameters)
        response = await post_unread(self._client, self._url, body, httpx2.Response, anthropic.AsyncStream[object])
        self.note_opened(model, message_id, response.headers.get("request-id"))
        return response

    async def retrieve_model(self, model: str) -> None:
        await self._client.models.retrieve(model)

    async def aclose(self) -> None:
        await self._client.close()


def to_body(prompt: Prompt, model: str, max_tokens: int) -> dict[str, object]:
    """The body of `POST /v1/messages`."""
    messages = [{"role": turn.role, "content": [_to_block(part) for part in turn.parts]} for turn in prompt.turns]
    body: dict[str, object] = {"model": model, "max_tokens": max_tokens, "messages": messages, "stream": True}
    return body | ({"system": prompt.system} if prompt.system else {})


def _to_block(part: TextPart | ImagePart) -> dict[str, object]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None
    content: list[_Block] | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


class MessagesDecoder(Decoder):
    """Named events from `message_start` to `message_stop`; usage comes at the start and again, cumulative, later.

    An answer with server tools has been recorded with several messages in one stream.
    """

    __slots__ = ("_stop_reason", "_stopped", "_tool_calls", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._usage = _Usage()
        self._stop_reason: str | None = None
        self._stopped = False  # nothing counts now but an error, or another message of the same answer
        self._tool_calls: set[int] = set()  # places of calls that are the client's to make, not the vendor's own

    def decode(self, frame: Frame, batch: Batch) -> None:
        event = _decode_event(frame.data)
        self._stopped = self._stopped and event.type != "message_start"
        if event.type == "error" or frame.name == b"error":
            raise vendor_error(msgspec.json.decode(frame.data))
        if self._stopped:
            return
        if event.type == "content_block_delta" and event.delta:
            self._take_delta(event.index, event.delta, batch)
        elif event.type == "content_block_start" and event.content_block:
            self._take_block(event.index, event.content_block, batch)
        elif event.type == "message_delta" and event.delta:
            self._stop_reason = event.delta.stop_reason or self._stop_reason
            self._take_usage(event.usage)
        elif event.type == "message_start" and event.message:
            self._take_usage(event.message.usage)
            for place, block in enumerate(event.message.content or ()):
                self._take_block(place, block, batch)
        elif event.type == "message_stop":
            self._stop()

    def _take_delta(self, index: int, delta: _Delta, batch: Batch) -> None:
        if delta.type == "text_delta" and delta.text:
            batch.append(Delta(delta.text))
        elif delta.type == "thinking_delta" and delta.thinking:
            batch.append(Delta(reasoning=delta.thinking))
        elif delta.type == "input_json_delta" and delta.partial_json and index in self._tool_calls:
            batch.append(Delta(tool_call=ToolCallDelta(index, None, delta.partial_json)))

    def _take_block(self, index: int, block: _Block, batch: Batch) -> None:
        if block.type == "text" and block.text:
            batch.append(Delta(block.text))
        elif block.type == "thinking" and block.thinking:
            batch.append(Delta(reasoning=block.thinking))
        elif block.type == "tool_use":
            self._tool_calls.add(index)
            given = bytes(block.input).decode()
            batch.append(Delta(tool_call=ToolCallDelta(index, block.name, "" if given == "{}" else given)))

    def _take_usage(self, usage: _Usage | None) -> None:
        for field in usage.__struct_fields__ if usage else ():
            value = getattr(usage, field)
            if value is not None:
                setattr(self._usage, field, value)

    def _stop(self) -> None:
        reason = self._stop_reason
        known = _FINISH_REASONS.get(reason or "", "other")
        self.finish = Finish(known, reason, _to_usage(self._usage), settling=_SETTLING_SECONDS)
        self._stopped = True


def _to_usage(usage: _Usage) -> Usage | None:
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    details = usage.output_tokens_details
    return Usage(
        input_tokens=None if usage.input_tokens is None else usage.input_tokens + cached,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cache_read_input_tokens,
        reasoning_tokens=details.thinking_tokens if details else None,
    )
