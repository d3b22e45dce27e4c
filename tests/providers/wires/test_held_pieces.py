"""What a decoder keeps of pieces for a later delta: up to 8 MiB, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from providers.wires.kept_reasoning import KeptReasoningDecoder
from tests.vendors.wire_streams import (
    CHAT,
    CLAUDE,
    GEMINI,
    RESPONSES,
    Wire,
    data,
    named,
    play,
)

PIECE = "x" * 500_000
KEPT = CHAT._replace(decoder=KeptReasoningDecoder)


def gemini_call(**fields: object) -> bytes:
    part = {"functionCall": fields}
    return data({"candidates": [{"content": {"parts": [part]}, "index": 0}]})


def arguments(path: str, text: str) -> bytes:
    """A piece of the arguments of Gemini's open call."""
    return gemini_call(partialArgs=[{"jsonPath": path, "stringValue": text}], willContinue=True)


def signature(text: str) -> bytes:
    return named(
        "content_block_delta", index=1, delta={"type": "signature_delta", "signature": text}
    )


def reasoning_item(text: str) -> bytes:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": text}
    return named("response.output_item.done", output_index=0, item=item)


def detail(index: int, text: str) -> bytes:
    piece = {"type": "reasoning.text", "index": index, "text": text}
    return data({"choices": [{"index": 0, "delta": {"reasoning_details": [piece]}}]})


OPENING = gemini_call(name="f", willContinue=True)
THINKING = named("content_block_start", index=1, content_block={"type": "thinking"})
CALL = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}

# The wire, what opens the kept value, its pieces by their number, and what closes it.
HELD: dict[str, tuple[Wire, bytes, Callable[[int], bytes], bytes]] = {
    "gemini: one argument": (GEMINI, OPENING, lambda _: arguments("$.a", PIECE), gemini_call()),
    "gemini: many arguments": (
        GEMINI,
        OPENING,
        lambda number: arguments(f"$.a{number}", PIECE),
        gemini_call(),
    ),
    "claude: a signature": (
        CLAUDE,
        THINKING,
        lambda _: signature(PIECE),
        named("content_block_stop", index=1),
    ),
    "responses: items": (
        RESPONSES,
        b"",
        lambda _: reasoning_item(PIECE),
        named("response.output_item.added", output_index=1, item={"type": "message"}),
    ),
    "details: one": (
        KEPT,
        b"",
        lambda _: detail(0, PIECE),
        data({"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]}),
    ),
    "details: many": (
        KEPT,
        b"",
        lambda number: detail(number, PIECE),
        data({"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]}),
    ),
}


@pytest.mark.parametrize(("wire", "opening", "piece", "closing"), HELD.values(), ids=HELD)
async def test_pieces_are_kept_up_to_a_limit(
    wire: Wire, opening: bytes, piece: Callable[[int], bytes], closing: bytes
) -> None:
    """An answer whose value never ends would take any memory, while the client waits for a delta."""
    within = [piece(number) for number in range(15)]
    ending = closing + wire.text("Hello") + wire.finish(wire.stop) + wire.mark
    played = await play(wire, wire.opening + opening, *within, ending)
    assert (played.text, played.error) == ("Hello", None)
    endless = (piece(number) for number in range(100))
    played = await play(wire, wire.opening + opening, *endless, ending)
    assert played.error
    assert (played.error.code, played.error.reason) == ("event_too_large", "pieces")


async def test_nested_arguments_count_what_they_take() -> None:
    """A long path of short names makes an object for each."""
    paths = (f"$.{'.'.join(['a'] * 60)}.b{number}{'.c' * 3}" for number in range(16_000))
    played = await play(GEMINI, OPENING, *(arguments(path, "") for path in paths))
    assert played.error
    assert played.error.reason == "pieces"


async def test_pieces_of_strings_are_joined() -> None:
    """Of several strings by turns, each at its path."""
    turns = [arguments(path, text) for text in ("Hel", "lo") for path in ("$.a", "$.b[0].c")]
    played = await play(GEMINI, OPENING, *turns, gemini_call(), GEMINI.finish("STOP"))
    assert json.loads(played.calls[0][2] or "") == {"a": "Hello", "b": [{"c": "Hello"}]}
