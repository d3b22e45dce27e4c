"""Answers with unusual content: another finish reason, a tool call, or null fields."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from simulator.behaviours import Behaviour, Replay, Scripted
from simulator.faults.base import ANSWER, Beginning, Fault, Made, always, whole_answer
from simulator.plan import Step
from simulator.wires import ResponsesWire, Wire
from simulator.wires.anthropic import event
from simulator.wires.openai import OpenAIWire

# by provider, or wire: the normal finish reason (`stop`), and others
_REASONS: dict[str, dict[str, str]] = {
    "openai": {
        "stop": "stop",
        "length": "length",
        "filtered": "content_filter",
        "tool-call": "tool_calls",
    },
    "responses": {
        "stop": "completed",
        "length": "max_output_tokens",
        "filtered": "content_filter",
        "tool-call": "completed",
    },
    "claude": {
        "stop": "end_turn",
        "length": "max_tokens",
        "filtered": "refusal",
        "tool-call": "tool_use",
    },
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY", "tool-call": "STOP"},
}
_CALL = {"city": "Zürich"}


def _finish(wire: Wire, word: str) -> bytes:
    """The end with another word as its finish reason."""
    if isinstance(wire, ResponsesWire):
        return wire.end(word)
    stop = _words(wire)["stop"]
    return wire.finish().replace(b'"%b"' % stop.encode(), b'"%b"' % word.encode()) + wire.mark


def _words(wire: Wire) -> dict[str, str]:
    name = "responses" if isinstance(wire, ResponsesWire) else wire.provider
    return _REASONS.get(name, _REASONS["openai"])


def _ended_by(reason: str) -> Fault:
    return _with_more(lambda _: b"", reason)


def _with_more(more: Callable[[Wire], bytes], reason: str = "stop") -> Fault:
    """The answer with additional events and another finish reason."""

    def make(wire: Wire) -> Behaviour:
        *most, last = [wire.piece(piece) for piece in ANSWER]
        extra = more(wire)
        return Replay(
            b"".join(
                [wire.opening(), extra, *most, extra, last, _finish(wire, _words(wire)[reason])]
            )
        )

    return always(Made(make))


def _data(fields: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def _unproven(wire: Wire) -> list[Step]:
    """The end mark without a finish reason, as servers send it after a failure.

    Gemini's format borrows OpenAI's.
    """
    return [Step(0, wire.mark or OpenAIWire.mark)]


def _broken(wire: Wire) -> list[Step]:
    """A finish reason that means a broken answer, followed by a normal end."""
    word = {"gemini": "MALFORMED_FUNCTION_CALL", "claude": "error"}.get(
        wire.provider, "insufficient_system_resource"
    )
    return [Step(0, _finish(wire, word))]


def _null_choices(wire: Wire) -> bytes:
    if isinstance(wire, ResponsesWire):
        return wire.named("response.output_item.added", item=None) + wire.named(
            "response.output_item.done", item=None, output_index=None
        )
    if isinstance(wire, OpenAIWire):
        return wire.event({"choices": None}) + wire.event({"choices": []})
    if wire.provider == "gemini":
        return (
            _data({"candidates": []}) + _data({"candidates": None}) + _data({"usageMetadata": None})
        )
    return event("content_block_delta", index=0, delta=None) + event(
        "content_block_start", index=0, content_block=None
    )


def _null_content(wire: Wire) -> bytes:
    if isinstance(wire, ResponsesWire):
        return wire.named("response.output_text.delta", delta=None)
    if isinstance(wire, OpenAIWire):
        return (
            wire.chunk({"content": None})
            + wire.chunk({"content": None, "tool_calls": None})
            + wire.chunk({})
        )
    if wire.provider == "gemini":
        contents: list[object] = [
            None,
            {},
            {"parts": None},
            {"parts": [{}]},
            {"parts": [{"text": None}]},
        ]
        return b"".join(
            _data({"candidates": [{"content": content, "index": 0}]}) for content in contents
        )
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": None})


def _tool_call(wire: Wire) -> bytes:
    arguments = msgspec.json.encode(_CALL).decode()
    if isinstance(wire, ResponsesWire):
        item = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": ""}
        place = {"output_index": 7, "item_id": "fc_1"}
        return (
            wire.named("response.output_item.added", **place, item=item)
            + wire.named("response.function_call_arguments.delta", **place, delta=arguments)
            + wire.named("response.function_call_arguments.done", **place, arguments=arguments)
        )
    if isinstance(wire, OpenAIWire):
        opened = {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": "look", "arguments": ""},
        }
        more = {"index": 0, "function": {"arguments": arguments}}
        return wire.chunk({"tool_calls": [opened]}) + wire.chunk(
            {"content": None, "tool_calls": [more]}
        )
    if wire.provider == "gemini":
        part = {"functionCall": {"name": "look", "args": _CALL}}
        return _data({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]})
    block = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": arguments}
    started = event("content_block_start", index=7, content_block=block)
    return (
        started
        + event("content_block_delta", index=7, delta=delta)
        + event("content_block_stop", index=7)
    )


def _refuse(wire: Wire) -> Behaviour:
    if not isinstance(wire, OpenAIWire):
        return _ended_by("filtered")(0)
    if isinstance(wire, ResponsesWire):
        refusals = [wire.named("response.refusal.delta", delta=piece) for piece in ANSWER]
    else:
        refusals = [wire.chunk({"content": None, "refusal": piece}) for piece in ANSWER]
    return Replay(b"".join([wire.opening(), *refusals, wire.finish(), wire.mark]))


CONTENT: dict[str, Fault] = {
    "unproven": lambda deltas: Beginning(deltas, _unproven),
    "broken-finish": lambda deltas: Beginning(deltas, _broken),
    "length": _ended_by("length"),
    "filtered": _ended_by("filtered"),
    "refusal": always(Made(_refuse)),
    "no-text": always(Scripted(())),
    "double-end": always(Made(lambda wire: Replay(whole_answer(wire) + wire.finish() + wire.mark))),
    "null-choices": _with_more(_null_choices),
    "null-content": _with_more(_null_content),
    "tool-call": _with_more(_tool_call, "tool-call"),
}
