"""Answers that end well in an unusual way: their reason is another, they call a tool, or some of them is null."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from simulator.behaviours import Behaviour, Replay, Scripted
from simulator.faults.base import ANSWER, Fault, Made, always, whole_answer
from simulator.wires import Wire
from simulator.wires.anthropic import event
from simulator.wires.openai import OpenAIWire

_REASONS: dict[str, dict[str, str]] = {  # by provider: the wires' own word for a stop, and what stands in its place
    "openai": {"stop": "stop", "length": "length", "filtered": "content_filter", "tool-call": "tool_calls"},
    "claude": {"stop": "end_turn", "length": "max_tokens", "filtered": "refusal", "tool-call": "tool_use"},
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY", "tool-call": "STOP"},
}
_CALL = {"city": "Zürich"}


def _finish(wire: Wire, reason: str) -> bytes:
    words = _REASONS.get(wire.provider, _REASONS["openai"])
    return wire.finish().replace(b'"%b"' % words["stop"].encode(), b'"%b"' % words[reason].encode()) + wire.mark


def _ended_by(reason: str) -> Fault:
    return _with_more(lambda _: b"", reason)


def _with_more(more: Callable[[Wire], bytes], reason: str = "stop") -> Fault:
    """The answer, with more within it, and a reason for its end."""

    def make(wire: Wire) -> Behaviour:
        *most, last = [wire.piece(piece) for piece in ANSWER]
        extra = more(wire)
        return Replay(b"".join([wire.opening(), extra, *most, extra, last, _finish(wire, reason)]))

    return always(Made(make))


def _data(fields: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def _null_choices(wire: Wire) -> bytes:
    if isinstance(wire, OpenAIWire):
        return wire.event({"choices": None}) + wire.event({"choices": []})
    if wire.provider == "gemini":
        return _data({"candidates": []}) + _data({"candidates": None}) + _data({"usageMetadata": None})
    return event("content_block_delta", index=0, delta=None) + event("content_block_start", index=0, content_block=None)


def _null_content(wire: Wire) -> bytes:
    if isinstance(wire, OpenAIWire):
        return wire.chunk({"content": None}) + wire.chunk({"content": None, "tool_calls": None}) + wire.chunk({})
    if wire.provider == "gemini":
        contents: list[object] = [None, {}, {"parts": None}, {"parts": [{}]}, {"parts": [{"text": None}]}]
        return b"".join(_data({"candidates": [{"content": content, "index": 0}]}) for content in contents)
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": None})


def _tool_call(wire: Wire) -> bytes:
    arguments = msgspec.json.encode(_CALL).decode()
    if isinstance(wire, OpenAIWire):
        opened = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
        more = {"index": 0, "function": {"arguments": arguments}}
        return wire.chunk({"tool_calls": [opened]}) + wire.chunk({"content": None, "tool_calls": [more]})
    if wire.provider == "gemini":
        part = {"functionCall": {"name": "look", "args": _CALL}}
        return _data({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]})
    block = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": arguments}
    started = event("content_block_start", index=7, content_block=block)
    return started + event("content_block_delta", index=7, delta=delta) + event("content_block_stop", index=7)


def _refuse(wire: Wire) -> Behaviour:
    if not isinstance(wire, OpenAIWire):
        return _ended_by("filtered")(0)
    refusals = [wire.chunk({"content": None, "refusal": piece}) for piece in ANSWER]
    return Replay(b"".join([wire.opening(), *refusals, wire.finish(), wire.mark]))


def _end_twice(wire: Wire) -> Behaviour:
    return Replay(whole_answer(wire) + wire.finish() + wire.mark)


CONTENT: dict[str, Fault] = {
    "length": _ended_by("length"),
    "filtered": _ended_by("filtered"),
    "refusal": always(Made(_refuse)),
    "no-text": always(Scripted(())),
    "double-end": always(Made(_end_twice)),
    "null-choices": _with_more(_null_choices),
    "null-content": _with_more(_null_content),
    "tool-call": _with_more(_tool_call, "tool-call"),
}
