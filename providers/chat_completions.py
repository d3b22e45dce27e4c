"""OpenAI's chat completions wire, which Groq and many servers of one's own speak too: request body, and decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from models import Delta, Finish, FinishReason, ImagePart, Prompt, TextPart, ToolCallDelta, Turn, Usage
from providers.errors import vendor_error
from providers.sse_reader import Frame
from providers.vendor_stream import Batch, Decoder

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def to_messages(prompt: Prompt) -> list[dict[str, object]]:
    """A prompt as chat completions' `messages`."""
    messages: list[dict[str, object]] = [{"role": "system", "content": prompt.system}] if prompt.system else []
    messages += [{"role": turn.role, "content": _to_content(turn)} for turn in prompt.turns]
    return messages


def _to_content(turn: Turn) -> str | list[dict[str, object]]:
    if all(isinstance(part, TextPart) for part in turn.parts):
        return "".join(part.text for part in turn.parts if isinstance(part, TextPart))
    return [_to_part(part) for part in turn.parts]


def _to_part(part: TextPart | ImagePart) -> dict[str, object]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    index: int = 0
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None  # Groq
    reasoning_content: str | None = None  # vLLM, llama.cpp
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None  # what tool calls were before, and some servers still send


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _XGroq(msgspec.Struct):
    usage: _Usage | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    x_groq: _XGroq | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChatCompletionsDecoder(Decoder):
    """`data:` chunks until `[DONE]`; the finish reason comes before the usage, errors as a chunk with `error`."""

    __slots__ = ("_refused", "_usage")

    def __init__(self) -> None:
        super().__init__()
        self._refused = False
        self._usage: Usage | None = None

    def decode(self, frame: Frame, batch: Batch) -> None:
        if frame.data == b"[DONE]":
            self.ended = True
            self.finish = self.finish or Finish("other", None, self._usage)
            return
        chunk = _decode_chunk(frame.data)
        if chunk.error is not None:
            raise vendor_error(msgspec.json.decode(frame.data))
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._take_choice(choice, batch)
        usage = chunk.usage or (chunk.x_groq and chunk.x_groq.usage)
        if usage:
            self._usage = _to_usage(usage)
            self.finish = self.finish and msgspec.structs.replace(self.finish, usage=self._usage)

    def _take_choice(self, choice: _Choice, batch: Batch) -> None:
        if delta := choice.delta:
            reasoning = delta.reasoning or delta.reasoning_content
            if delta.content or reasoning or delta.refusal:
                if delta.refusal:
                    self._refused = True
                batch.append(Delta(delta.content or "", reasoning or "", delta.refusal or ""))
            for call in delta.tool_calls or ():
                batch.append(Delta(tool_call=_to_tool_call(call)))
            if delta.function_call:
                batch.append(Delta(tool_call=_to_tool_call(_ToolCall(0, delta.function_call))))
        if choice.finish_reason:
            known = _FINISH_REASONS.get(choice.finish_reason, "other")
            reason = "content_filter" if self._refused else known
            self.finish = Finish(reason, choice.finish_reason, self._usage)


def _to_tool_call(call: _ToolCall) -> ToolCallDelta:
    function = call.function or _Function()
    return ToolCallDelta(call.index, function.name, function.arguments or "")


def _to_usage(usage: _Usage) -> Usage:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cached_input_tokens=prompt.cached_tokens if prompt else None,
        reasoning_tokens=completion.reasoning_tokens if completion else None,
    )
