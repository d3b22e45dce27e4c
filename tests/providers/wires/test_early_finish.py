"""A finish reason that is not the last word: content after it counts, and a break after that content is a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from models import GatewayError, Prompt
from providers.wires.decoder import Batch
from providers.wires.vendor_stream import read_batches
from tests.vendors.scripted_provider import ScriptedProvider, collect, end_of, joined
from tests.vendors.scripted_response import ScriptedResponse
from tests.vendors.wire_streams import CHAT, DONE, GEMINI, Wire, data, play
from tests.virtual_time import in_virtual_time

RESET = ConnectionResetError()
TRUNCATED = "upstream_truncated"
HALF_CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": " wor'
HALF_CANDIDATE = b'data: {"candidates": [{"content": {"parts": [{"text": " wor'


def chunk(text: str) -> bytes:
    """Text and a finish reason in one event, as some servers send each."""
    return data({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]})


def candidate(text: str) -> bytes:
    """The same of Gemini's."""
    return data(
        {
            "candidates": [
                {"content": {"parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}
            ]
        }
    )


BREAKS: dict[str, tuple[Wire, list[bytes | Exception], str]] = {
    "chat: early, text, reset": (
        CHAT,
        [CHAT.finish("stop"), CHAT.text("Hello"), RESET],
        "upstream_unavailable",
    ),
    "chat: the same in one read": (
        CHAT,
        [CHAT.finish("stop") + CHAT.text("Hello"), RESET],
        "upstream_unavailable",
    ),
    "chat: with text, text, reset": (
        CHAT,
        [chunk("Hel"), CHAT.text("lo"), RESET],
        "upstream_unavailable",
    ),
    "chat: early, usage, text, reset": (
        CHAT,
        [
            CHAT.finish("stop"),
            CHAT.text("Hello"),
            data({"choices": [], "usage": {"prompt_tokens": 1}}),
            RESET,
        ],
        "upstream_unavailable",
    ),
    "chat: early, text, half an event": (
        CHAT,
        [CHAT.finish("stop"), CHAT.text("Hello"), HALF_CHUNK],
        TRUNCATED,
    ),
    "chat: the same in two reads": (
        CHAT,
        [CHAT.finish("stop") + CHAT.text("Hello") + HALF_CHUNK],
        TRUNCATED,
    ),
    "chat: early, text, EOF": (CHAT, [CHAT.finish("stop"), CHAT.text("Hello")], "stop"),
    "chat: early, text, finish, reset": (
        CHAT,
        [CHAT.finish("stop"), CHAT.text("Hello"), CHAT.finish("stop"), RESET],
        "stop",
    ),
    "chat: the same in one": (
        CHAT,
        [CHAT.finish("stop") + CHAT.text("Hello") + CHAT.finish("stop"), RESET],
        "stop",
    ),
    "chat: with each text, reset": (CHAT, [chunk("Hel"), chunk("lo"), RESET], "stop"),
    "gemini: early, text, half an event": (
        GEMINI,
        [GEMINI.finish("STOP"), GEMINI.text("Hello"), HALF_CANDIDATE],
        TRUNCATED,
    ),
    "gemini: with text, text, half an event": (
        GEMINI,
        [candidate("Hel"), GEMINI.text("lo"), HALF_CANDIDATE],
        TRUNCATED,
    ),
    "gemini: the same in one read": (
        GEMINI,
        [candidate("Hel") + GEMINI.text("lo") + HALF_CANDIDATE],
        TRUNCATED,
    ),
    "gemini: early, text, usage, half an event": (
        GEMINI,
        [
            GEMINI.finish("STOP"),
            GEMINI.text("Hello"),
            data({"usageMetadata": {"promptTokenCount": 1}}),
            HALF_CANDIDATE,
        ],
        TRUNCATED,
    ),
    "gemini: with each text, half an event": (
        GEMINI,
        [candidate("Hel"), candidate("lo"), HALF_CANDIDATE],
        "stop",
    ),
}


@pytest.mark.parametrize(("wire", "reads", "ending"), BREAKS.values(), ids=BREAKS)
async def test_a_break_after_text_after_the_finish_reason_is_a_failure(
    wire: Wire, reads: list[bytes | Exception], ending: str
) -> None:
    """The newest finish reason proves what came before it, not what came after it."""
    played = await play(wire, *reads)
    assert (played.text, played.ending) == ("Hello", ending)


async def test_a_call_after_an_early_finish_reason_is_a_finish_with_calls() -> None:
    call = data(
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "index": 0}]}
    )
    played = await play(GEMINI, GEMINI.finish("STOP"), call)
    assert (played.calls, played.ending) == ([[None, "f", "{}"]], "tool_calls")


def call(*, finish: str | None = None, **fields: object) -> bytes:
    """An event with a piece of a call of Gemini's."""
    candidate: dict[str, object] = {"content": {"parts": [{"functionCall": fields}]}, "index": 0}
    return data({"candidates": [candidate | ({"finishReason": finish} if finish else {})]})


OPENING = call(name="f", willContinue=True, finish="STOP")
PIECE = [{"jsonPath": "$.a", "stringValue": "x"}]
CALLS: dict[str, tuple[list[bytes | Exception], str, str]] = {
    "goes on": ([OPENING, call(partialArgs=PIECE)], '{"a":"x"}', "tool_calls"),
    "in one read": ([OPENING + call(partialArgs=PIECE, finish="STOP")], '{"a":"x"}', "tool_calls"),
    "open at the end": (
        [OPENING, call(partialArgs=PIECE, willContinue=True)],
        '{"a":"x"}',
        "tool_calls",
    ),
    "opened after an early finish reason": (
        [
            GEMINI.finish("STOP"),
            call(name="f", willContinue=True),
            call(partialArgs=PIECE, willContinue=True),
        ],
        '{"a":"x"}',
        "tool_calls",
    ),
    "without arguments": ([OPENING], "{}", "tool_calls"),
    "then another": (
        [OPENING, call(partialArgs=PIECE, willContinue=True), call()],
        '{"a":"x"}',
        "tool_calls",
    ),
    "then a reset": (
        [OPENING, call(partialArgs=PIECE, willContinue=True), RESET],
        "",
        "upstream_unavailable",
    ),
}


@pytest.mark.parametrize(("reads", "arguments", "ending"), CALLS.values(), ids=CALLS)
async def test_a_call_goes_on_after_a_finish_reason_within_it(
    reads: list[bytes | Exception], arguments: str, ending: str
) -> None:
    """Arguments that were announced are not lost."""
    played = await play(GEMINI, *reads)
    assert (played.calls, played.ending) == ([[None, "f", arguments]], ending)


class PausingResponse(ScriptedResponse):
    """A number among its reads is a pause of so many seconds; after the last read nothing comes any more."""

    def __init__(self, *steps: bytes | float) -> None:
        super().__init__()
        self._steps = steps

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if isinstance(step, bytes):
                yield step
            else:
                await asyncio.sleep(step)
        await asyncio.sleep(10_000)


class WireProvider(ScriptedProvider):
    """Its one model answers by a wire. It settles after 5 seconds, is idle after 30, and has 100 in all."""

    def __init__(self, wire: Wire, *steps: bytes | float) -> None:
        super().__init__(
            model_fallback=None,
            settle=5,
            idle=30,
            first_content=50,
            last_first_content=50,
            total=100,
        )
        self._wire = wire
        self._steps = steps

    def stream_response(
        self, prompt: Prompt, model: str, message_id: str
    ) -> AsyncGenerator[Batch, None]:
        return read_batches(PausingResponse(*self._steps).open, self._wire.decoder, 2**20)


PAUSES: dict[str, tuple[Wire, list[bytes | float]]] = {
    "gemini: after an early one": (
        GEMINI,
        [GEMINI.finish("STOP"), 1, GEMINI.text("Hel"), 7, candidate("lo")],
    ),
    "gemini: with usage": (
        GEMINI,
        [
            GEMINI.finish("STOP"),
            GEMINI.text("Hel"),
            data({"usageMetadata": {"promptTokenCount": 1}}),
            7,
            candidate("lo"),
        ],
    ),
    "gemini: in one read": (
        GEMINI,
        [GEMINI.finish("STOP") + GEMINI.text("Hel"), 7, candidate("lo")],
    ),
    "chat: in one read": (CHAT, [CHAT.finish("stop") + CHAT.text("Hel"), 7, chunk("lo") + DONE]),
    "chat: in two": (CHAT, [CHAT.finish("stop"), 1, CHAT.text("Hel"), 7, chunk("lo")]),
}


@pytest.mark.parametrize(("wire", "steps"), PAUSES.values(), ids=PAUSES)
@in_virtual_time
async def test_text_after_an_early_finish_reason_may_pause(
    wire: Wire, steps: list[bytes | float]
) -> None:
    """A finish reason before any content starts no wait that is shorter than the idle timeout, whatever follows it."""
    events = await collect(WireProvider(wire, *steps))
    assert (joined(events), end_of(events).finish_reason) == ("Hello", "stop")


@pytest.mark.parametrize("wire", [CHAT, GEMINI], ids=["chat", "gemini"])
@in_virtual_time
async def test_text_after_an_early_finish_reason_may_stall(wire: Wire) -> None:
    """Without another finish reason silence does not prove the answer."""
    with pytest.raises(GatewayError) as raised:
        await collect(WireProvider(wire, wire.finish(wire.stop), 1, wire.text("Hel")))
    assert (raised.value.code, raised.value.reason) == ("upstream_timeout", "stalled")


ARRIVING: dict[str, tuple[Wire, list[bytes | float]]] = {
    "chat: with each text": (CHAT, [chunk("a"), 1]),
    "gemini: with each text": (GEMINI, [candidate("a"), 1]),
    "gemini: with some": (GEMINI, [candidate("a"), 1, GEMINI.text("a"), 1, GEMINI.text("a"), 1]),
}


@pytest.mark.parametrize(("wire", "steps"), ARRIVING.values(), ids=ARRIVING)
@in_virtual_time
async def test_an_answer_that_still_arrives_at_the_end_of_its_time_is_cut(
    wire: Wire, steps: list[bytes | float]
) -> None:
    """Its finish reasons have not been the last word before, so the total timeout is a failure."""
    with pytest.raises(GatewayError) as raised:
        await collect(WireProvider(wire, *steps * 200))
    assert (raised.value.code, raised.value.reason) == ("upstream_timeout", "whole")


@in_virtual_time
async def test_an_answer_that_has_finished_at_the_end_of_its_time_is_whole() -> None:
    """No content came after its finish reason: only its end mark is missing."""
    slowly: list[bytes | float] = [CHAT.text("a"), 24]
    events = await collect(WireProvider(CHAT, *slowly * 4, 2, CHAT.finish("stop")))
    assert (joined(events), end_of(events).finish_reason) == ("aaaa", "stop")
