"""A generation that begins again within one message, as when a server asks its model again unseen."""

from __future__ import annotations

import pytest

from tests.vendors.wire_streams import CLAUDE, RESPONSES, Wire, named, play


def block(index: int, kind: str = "text", **fields: object) -> bytes:
    return named("content_block_start", index=index, content_block={"type": kind} | fields)


def piece(index: int, kind: str = "text", text: str = "Hel") -> bytes:
    field = "partial_json" if kind == "input_json" else kind
    return named("content_block_delta", index=index, delta={"type": f"{kind}_delta", field: text})


def item(index: int, kind: str = "message", **fields: object) -> bytes:
    return named("response.output_item.added", output_index=index, item={"type": kind} | fields)


def arguments(text: str) -> bytes:
    return named("response.function_call_arguments.delta", output_index=1, delta=text)


CREATED = named("response.created", response={"id": "resp_1"})
SPLICED = {
    "a text": (CLAUDE, block(1) + piece(1) + block(1) + piece(1, text="Hello")),
    "the first text": (CLAUDE, piece(0) + block(0, text="") + piece(0, text="Hello")),
    "thinking": (
        CLAUDE,
        block(1, "thinking") + piece(1, "thinking") + block(1, "thinking") + piece(1, "thinking"),
    ),
    "a call": (
        CLAUDE,
        block(1, "tool_use", id="a", name="f")
        + piece(1, "input_json", '{"x"')
        + block(1, "tool_use", id="a", name="f")
        + piece(1, "input_json", '{"x":1}'),
    ),
    "an item": (RESPONSES, RESPONSES.text("Hel") + item(0) + RESPONSES.text("Hello")),
    "a call's item": (
        RESPONSES,
        item(1, "function_call", call_id="a", name="f")
        + arguments('{"x"')
        + item(1, "function_call", call_id="a", name="f")
        + arguments('{"x":1}'),
    ),
    "a response of the same id": (RESPONSES, RESPONSES.text("Hel") + CREATED),
}


@pytest.mark.parametrize(("wire", "events"), SPLICED.values(), ids=SPLICED)
async def test_what_begins_again_after_a_piece_of_it_is_a_failure(
    wire: Wire, events: bytes
) -> None:
    """A server that asks its model again would have the two answers spliced."""
    ending = wire.finish(wire.stop) + wire.mark
    played = await play(wire, wire.opening + events + ending)
    assert (played.ending, played.finish) == ("upstream_bad_event", None)


BEGUN_ONCE = {
    "a start that is repeated at once": (CLAUDE, block(0) * 2 + piece(0)),
    "a start after a piece without text": (
        CLAUDE,
        piece(1, text="") + block(1) + piece(1, "thinking", "") + block(1) + piece(1),
    ),
    "blocks on one index, each with its end": (
        CLAUDE,
        (block(0) + piece(0, text="a") + named("content_block_stop", index=0)) * 2,
    ),
    "blocks of several kinds on one index": (
        CLAUDE,
        block(0, "thinking") + piece(0, "thinking") + block(0) + piece(0),
    ),
    "a call that is sent once more after its arguments": (
        RESPONSES,
        (
            item(1, "function_call", call_id="a", name="f")
            + arguments("{}")
            + named("response.function_call_arguments.done", output_index=1, arguments="{}")
        )
        * 2
        + RESPONSES.text("Hel"),
    ),
    "an item that is repeated at once": (RESPONSES, item(0) * 2 + RESPONSES.text("Hel")),
    "a response that is created twice at once": (RESPONSES, CREATED * 2 + RESPONSES.text("Hel")),
}


@pytest.mark.parametrize(("wire", "events"), BEGUN_ONCE.values(), ids=BEGUN_ONCE)
async def test_what_begins_before_any_piece_is_no_second_generation(
    wire: Wire, events: bytes
) -> None:
    """Nor is a block after the end of another on its index."""
    ending = wire.finish(wire.stop) + wire.mark
    played = await play(wire, wire.opening + events + ending)
    assert played.text in ("Hel", "aa")
    assert played.ending == ("tool_calls" if played.calls else "stop")
