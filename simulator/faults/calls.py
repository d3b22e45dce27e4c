"""Faults that tool calls bring: broken arguments, mixed pieces, calls without a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, zip_longest

from simulator.behaviours import Behaviour, Replay, Scripted
from simulator.faults.base import ANSWER, Beginning, Fault, Made, always
from simulator.plan import Step
from simulator.wires import ResponsesWire, ToolCall, Wire
from simulator.wires.anthropic import event
from simulator.wires.openai import OpenAIWire

LOOK = ToolCall("look", '{"city": "Zürich"}', "call_look")
WAIT = ToolCall("wait", '{"hours": 3}', "call_wait")


def _cut(wire: Wire) -> Iterable[Step]:
    """A call without its last piece. Gemini's has but one: it is whole, only the end is missing."""
    events = _pieces(wire, LOOK)
    return [Step(0, piece) for piece in events[: max(len(events) - 1, 1)]]


def _pieces(wire: Wire, call: ToolCall) -> list[bytes]:
    """A call's events without those that repeat it, with its arguments in pieces also from Groq."""
    if isinstance(wire, ResponsesWire):
        return wire.call(call)[:-2]
    return OpenAIWire.call(wire, call) if isinstance(wire, OpenAIWire) else wire.call(call)


def _calling(events: Callable[[Wire], Iterable[bytes]]) -> Fault:
    """The whole answer, with these events before its end."""

    def make(wire: Wire) -> Behaviour:
        texts = [wire.opening(), *map(wire.piece, ANSWER)]
        calls = list(events(wire))
        wire.calls = 1  # for the finish reason
        return Replay(b"".join([*texts, *calls, wire.finish(), wire.mark]))

    return always(Made(make))


def _two_on_one_index(wire: Wire) -> Iterable[bytes]:
    first, second = wire.call(LOOK), wire.call(WAIT)
    if wire.provider == "claude":  # the block after the text's, and the one after that
        second = [piece.replace(b'"index":2', b'"index":1') for piece in second]
    return [*first, *second]


def _interleaved(wire: Wire) -> Iterable[bytes]:
    """The pieces of two calls in turn."""
    if wire.provider == "claude":
        calls = [open_block(1, LOOK), open_block(2, WAIT)]
    else:
        calls = [_pieces(wire, LOOK)]
        wire.calls += 1
        calls.append(_pieces(wire, WAIT))
    return chain.from_iterable(zip_longest(*calls, fillvalue=b""))


def open_block(index: int, call: ToolCall) -> list[bytes]:
    """One of Anthropic's blocks, in pieces of its own size, whatever other blocks are open."""
    block: dict[str, object] = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
    deltas = [
        {"type": "input_json_delta", "partial_json": piece}
        for piece in (call.arguments[:5], call.arguments[5:])
    ]
    return [
        event("content_block_start", index=index, content_block=block),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def _bad_arguments(wire: Wire) -> Behaviour:
    """Arguments that are no JSON. Gemini's are no text: there they are of another type."""
    arguments = '"Zürich"' if wire.provider == "gemini" else LOOK.arguments[:-2]
    return Scripted((*ANSWER, ToolCall("look", arguments, LOOK.id)))


def _nameless(wire: Wire) -> Iterable[Step]:
    events = [*wire.events(ToolCall("", LOOK.arguments, LOOK.id)), wire.finish() + wire.mark]
    return [Step(0, piece) for piece in events]


CALLS: dict[str, Fault] = {
    "call-cut": lambda deltas: Beginning(deltas, _cut),
    "call-bad-json": always(Made(_bad_arguments)),
    "call-after-text": always(Scripted((*ANSWER, LOOK))),
    "call-two-ids": _calling(_two_on_one_index),
    "call-interleaved": _calling(_interleaved),
    "call-bare": always(Scripted((*ANSWER, ToolCall("look", "", LOOK.id)))),
    "call-nameless": lambda deltas: Beginning(deltas, _nameless),
}
