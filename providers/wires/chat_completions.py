"""The chat completions wire of OpenAI, Groq and many local servers: the decoder of an answer."""

from __future__ import annotations

from typing import Any

import msgspec

from models import (
    Reasoning,
    Refusal,
    Text,
    Usage,
)
from providers.wires.decoder import Batch, Decoder
from providers.wires.error_frames import (
    is_error_name,
    named_error,
    raise_error,
    raise_error_beside,
    raise_error_in,
)
from providers.wires.finish_reasons import is_finish_reason, to_finish_reason
from providers.wires.generations import AnswerId
from providers.wires.sse_reader import Frame
from providers.wires.tool_calls import ToolCalls, encode_arguments
from providers.wires.usage import UsageReport, merge_usage


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None  # JSON text; some servers send the object itself


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    """A part of a message whose content is a list, as Mistral's reasoning models send it."""

    type: str = ""
    text: str | None = None
    thinking: str | list[_Part] | None = None
    refusal: str | None = None


class _Delta(msgspec.Struct, gc=False):
    role: Any = None
    content: str | list[_Part | str] | None = None
    reasoning: str | None = None  # Groq
    reasoning_content: str | None = None  # vLLM, llama.cpp, DeepSeek
    reasoning_details: list[Any] | None = None  # OpenRouter
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    usage: UsageReport | None = None
    function_call: _Function | None = None  # before there were tool calls; some servers send it
    error: Any = None
    error_message: Any = None


class _Word(msgspec.Struct, gc=False):
    type: str | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    text: str | None = None  # of servers that have the older completions, too
    message: _Delta | None = None  # if the response is not a stream
    finish_reason: str | _Word | None = None
    native_finish_reason: str | None = None  # OpenRouter: the word of the vendor behind it
    usage: UsageReport | None = None  # Moonshot
    error: Any = None  # OpenRouter
    error_message: Any = None


class _XGroq(msgspec.Struct, gc=False):
    usage: UsageReport | None = None
    error: Any = None


class _Chunk(msgspec.Struct, gc=False):
    id: Any = None
    choices: list[_Choice] | None = None
    usage: UsageReport | None = None
    usage_metadata: UsageReport | None = None
    x_groq: _XGroq | None = None
    error: Any = None
    errors: Any = None
    error_message: Any = None
    message: Any = None  # beside a code, or `"object": "error"`
    base_resp: Any = None  # MiniMax
    success: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChatCompletionsDecoder(Decoder):
    """Decodes `data:` chunks until `[DONE]`, or a single object.

    The finish reason comes before the usage. If the connection breaks after the finish reason, the
    answer is complete, unless content followed it, or none came before it.
    """

    __slots__ = ("_calls", "_id", "_refused", "_usage")

    def __init__(self, provider: str = "", model: str = "") -> None:
        super().__init__(provider, model)
        self._refused = False
        self._id = AnswerId()
        self._calls: ToolCalls | None = None  # created for an answer with calls
        self._usage: Usage | None = None

    def decode(self, frame: Frame, batch: Batch) -> None:
        data, name = frame
        if name and is_error_name(name):
            raise named_error(data)
        try:
            chunk = _decode_chunk(data)
        except msgspec.MsgspecError:
            odd = self.read_leniently(data, _Chunk)
            if odd is None:
                return
            chunk = odd
        choices = chunk.choices or []
        is_odd = chunk.error or chunk.errors or chunk.error_message or chunk.message
        is_odd = is_odd or chunk.x_groq or chunk.base_resp
        if is_odd or not choices or chunk.success is False:
            raise_error_in(data)
        before = len(batch)
        is_new = chunk.id and chunk.id != self._id.id
        if is_new and choices:
            self._take_id(chunk.id, choices[0], batch)
        for choice in choices:
            if not choice.index:
                self.take_choice(choice, batch)
        if chunk.id and not (is_new or self._id.is_use_known) and len(batch) > before:
            self._id.repeat(is_opening=_opens(choices[0]))
        if choices and len(batch) == before:
            raise_error_beside(data)
        if chunk.usage or chunk.x_groq or chunk.usage_metadata:
            self._take_usage(
                chunk.usage, chunk.usage_metadata, chunk.x_groq.usage if chunk.x_groq else None
            )

    def is_whole_after_break(self) -> bool:
        return self.finish is not None and self.finish.follows_content and not self.goes_on

    def _take_id(self, new: object, choice: _Choice, batch: Batch) -> None:
        """Take an id other than before.

        An opening has a role. After a finish reason a server may go on with another answer, as
        after a call of a tool of its own.
        """
        is_opening, has_content = _opens(choice), _has_content(choice.delta)
        follows_content = (self.has_content or bool(batch)) and self.finish is None
        if has_content or (is_opening and not follows_content):
            self._id.change(new, follows_content=follows_content, is_opening=is_opening)
        elif is_opening:
            self._id.suspect(new)

    def take_choice(self, choice: _Choice, batch: Batch) -> None:
        """Append what a chunk has of the answer."""
        delta = choice.delta
        if choice.message and not (self.has_content or batch or _has_content(delta)):
            delta = choice.message
        if delta:
            if reasoning := delta.reasoning or delta.reasoning_content:
                batch.append(Reasoning(reasoning))
            if content := delta.content:
                if isinstance(content, str):
                    batch.append(Text(content))
                else:
                    self._take_parts(content, batch)
            if delta.usage:
                self._take_usage(delta.usage)
            if delta.error or delta.error_message:
                raise_error({"error": delta.error, "error_message": delta.error_message})
            if delta.refusal:
                self._refused = True
                batch.append(Refusal(delta.refusal))
            if delta.tool_calls or delta.function_call:
                self.take_calls(delta, batch)
        if choice.text and not _has_content(delta):
            batch.append(Text(choice.text))
        if choice.finish_reason or choice.usage or choice.error or choice.error_message:
            self._take_finish(choice, batch)

    def _take_parts(self, parts: list[_Part | str], batch: Batch) -> None:
        for item in parts:
            part = _Part(text=item) if isinstance(item, str) else item
            thinking = part.thinking
            if isinstance(thinking, list):
                thinking = "".join(inner.text or "" for inner in thinking)
            if thinking:
                batch.append(Reasoning(thinking))
            if part.text:
                batch.append(Text(part.text))
            if part.refusal:
                self._refused = True
                batch.append(Refusal(part.refusal))

    def take_calls(self, delta: _Delta, batch: Batch) -> None:
        """Append the pieces of calls."""
        self._calls = self._calls or ToolCalls()
        calls = list(delta.tool_calls or ())
        if delta.function_call:
            calls.append(_ToolCall(0, None, delta.function_call))
        for call in calls:
            function = call.function or _Function()
            piece = self._calls.take(
                call.index, call.id, function.name, encode_arguments(function.arguments)
            )
            if piece:
                batch.append(piece)

    def _take_finish(self, choice: _Choice, batch: Batch) -> None:
        if choice.error or choice.error_message:
            raise_error({"error": choice.error, "error_message": choice.error_message})
        self._take_usage(choice.usage, choice.delta.usage if choice.delta else None)
        word = (
            choice.finish_reason.type
            if isinstance(choice.finish_reason, _Word)
            else choice.finish_reason
        )
        if not word or not is_finish_reason(word):
            return
        reason = to_finish_reason(word)
        if reason == "stop" and choice.native_finish_reason:
            to_finish_reason(choice.native_finish_reason)
        if self._refused:
            reason = "content_filter"
        elif self._calls and reason == "stop":
            reason = "tool_calls"
        if self._calls:
            batch += self._calls.finish(reason)
        self.set_finish(word, self._usage, batch, reason)

    def _take_usage(self, *reports: UsageReport | None) -> None:
        for report in reports:
            if report:
                self._usage = merge_usage(self._usage, report.to_usage())
        self.set_usage(self._usage)


def _opens(choice: _Choice) -> bool:
    return choice.delta is not None and bool(choice.delta.role)


def _has_content(delta: _Delta | None) -> bool:
    if delta is None:
        return False
    texts = delta.content or delta.reasoning or delta.reasoning_content or delta.refusal
    return bool(texts or delta.tool_calls or delta.function_call)
