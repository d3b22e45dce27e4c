"""A generation that begins again within one message, as when a server asks its model again unseen."""

from __future__ import annotations

import pytest

from tests.vendors.wire_streams import CHAT, CLAUDE, GEMINI, RESPONSES, Wire, data, named, play


def block(index: int, kind: str = "text", **fields: object) -> bytes:
    return named("content_block_start", index=index, content_block={"type": kind} | fields)


def piece(index: int, kind: str = "text", text: str = "Hel") -> bytes:
    field = "partial_json" if kind == "input_json" else kind
    return named("content_block_delta", index=index, delta={"type": f"{kind}_delta", field: text})


def item(index: int, kind: str = "message", **fields: object) -> bytes:
    return named("response.output_item.added", output_index=index, item={"type": kind} | fields)


def arguments(text: str) -> bytes:
    return named("response.function_call_arguments.delta", output_index=1, delta=text)


def stop(index: int) -> bytes:
    return named("content_block_stop", index=index)


def text_block(index: int, text: str) -> bytes:
    return block(index) + piece(index, text=text) + stop(index)


def call_block(index: int, call: str, *texts: str) -> bytes:
    pieces = b"".join(piece(index, "input_json", text) for text in texts)
    return block(index, "tool_use", id=call, name="f") + pieces + stop(index)


def item_done(index: int) -> bytes:
    return named("response.output_item.done", output_index=index, item={"type": "message"})


def chunk(answer: object, text: str = "", *, role: str | None = None, **fields: object) -> bytes:
    delta = {"content": text} | ({"role": role} if role else {})
    return data({"id": answer, "choices": [{"index": 0, "delta": delta}]} | fields)


def opening(answer: object, text: str = "") -> bytes:
    return chunk(answer, text, role="assistant")


def last(answer: object) -> bytes:
    """A finish reason in a chunk that looks like an opening."""
    delta = {"role": "assistant", "content": ""}
    return data({"id": answer, "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]})


def candidate(answer: object, text: str, finish: str | None = None) -> bytes:
    fields: dict[str, object] = {"content": {"role": "model", "parts": [{"text": text}]}}
    fields |= {"finishReason": finish} if finish else {}
    return data({"responseId": answer, "candidates": [fields]})


CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
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
    "a response of another id": (
        RESPONSES,
        CREATED + RESPONSES.text("Hel") + named("response.created", response={"id": "resp_2"}),
    ),
    "all blocks": (
        CLAUDE,
        text_block(0, "Let me see.") + call_block(1, "a", "{}") + text_block(0, "Hello"),
    ),
    "all blocks, the first one open": (
        CLAUDE,
        block(0) + piece(0) + block(1, "tool_use", id="a", name="f") + text_block(0, "Hello"),
    ),
    "thinking and its text": (
        CLAUDE,
        block(0, "thinking")
        + piece(0, "thinking")
        + stop(0)
        + text_block(1, "Hel")
        + block(0, "thinking")
        + piece(0, "thinking")
        + stop(0)
        + text_block(1, "Hello"),
    ),
    "calls with new ids": (
        CLAUDE,
        call_block(0, "a", "{}") + call_block(1, "b", "{}") + call_block(0, "c", "{}"),
    ),
    "all items": (
        RESPONSES,
        item(0)
        + RESPONSES.text("Hel")
        + item_done(0)
        + item(1, "function_call", call_id="a", name="f")
        + item(0)
        + RESPONSES.text("Hello"),
    ),
    "a completion": (
        CHAT,
        opening("a") + chunk("a", "Hel") + opening("b") + chunk("b", "Hello"),
    ),
    "a completion whose openings have text": (
        CHAT,
        opening("a", "H") + chunk("a", "el") + opening("b", "Hello"),
    ),
    "a completion after its first piece": (
        CHAT,
        opening("a", "Hel") + opening("b") + chunk("b", "Hello"),
    ),
    "a completion after pings of other ids": (
        CHAT,
        opening("a") + chunk("a", "Hel") + chunk("p") + opening("b") + chunk("b", "Hello"),
    ),
    "a completion with a role for each chunk": (
        CHAT,
        opening("a", "H") + opening("a", "el") + opening("b", "Hello") + opening("b", "!"),
    ),
    "a completion with a role for each chunk, and none in the second": (
        CHAT,
        opening("a", "H") + opening("b", "Hello") + chunk("b", "!"),
    ),
    "a completion whose opening is followed by a chunk without an id": (
        CHAT,
        opening("a") + chunk(None, "Hel") + opening("b") + chunk("b", "Hello"),
    ),
    "a completion after an empty chunk with a role and an id of its own": (
        CHAT,
        opening("a") + chunk("a", "Hel") + opening("p") + opening("b") + chunk("b", "Hello"),
    ),
    "a completion whose second opening is repeated": (
        CHAT,
        opening("a", "H") + chunk("a", "el") + opening("b") + opening("b", "Hello"),
    ),
    "a completion of a call": (
        CHAT,
        opening("a")
        + chunk("a", "Hel")
        + opening("b")
        + data({"id": "b", "choices": [{"index": 0, "delta": {"tool_calls": [CALL]}}]}),
    ),
    "a candidate": (
        GEMINI,
        candidate("a", "H") + candidate("a", "el") + candidate("b", "Hello"),
    ),
    "a candidate after its first piece": (
        GEMINI,
        candidate("a", "Hel") + candidate("b", "Hel") + candidate("b", "lo"),
    ),
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
    "texts, and calls between them, on one index": (
        CLAUDE,
        text_block(0, "a") + call_block(0, "a", "{}") + call_block(0, "b") + text_block(0, "a"),
    ),
    "calls on one index after a text": (
        CLAUDE,
        text_block(0, "Hel") + call_block(1, "a", "{}") + call_block(1, "b", "{}"),
    ),
    "a call that is repeated as a whole": (
        CLAUDE,
        call_block(0, "a", '{"x"', ":1}") * 2 + text_block(1, "Hel"),
    ),
    "a block that is numbered after a later one": (
        CLAUDE,
        call_block(3, "a", "{}") + text_block(2, "Hel"),
    ),
    "all blocks without pieces": (CLAUDE, block(0) + block(1) + block(0) + piece(1)),
    "a completion with an id for each chunk": (
        CHAT,
        opening("a") + chunk("b", "H") + chunk("c", "e") + chunk("d", "l"),
    ),
    "a completion with an id and a role for each chunk": (
        CHAT,
        opening("a", "H") + opening("b", "e") + opening("c", "l"),
    ),
    "a completion with a role for each chunk": (
        CHAT,
        opening("a", "H") + opening("a", "e") + opening("a", "l"),
    ),
    "a completion with a role, and ids for several chunks each": (
        CHAT,
        opening("a", "H") + opening("b", "e") + opening("b", "l"),
    ),
    "a completion whose last chunks have another id": (
        CHAT,
        opening("a") + chunk("a", "Hel") + chunk("b") + chunk("b"),
    ),
    "a completion with another id and no role": (
        CHAT,
        opening("a") + chunk("a", "H") + chunk("b", "e") + chunk("b", "l"),
    ),
    "a completion whose last chunk has an id and a role of its own": (
        CHAT,
        opening("a") + chunk("a", "H") + chunk("a", "el") + last("b"),
    ),
    "a completion after whose first piece the last chunk has an id and a role of its own": (
        CHAT,
        opening("a", "Hel") + last("b"),
    ),
    "a completion with empty chunks that have a role and an id of their own": (
        CHAT,
        opening("a")
        + chunk("a", "H")
        + opening("p")
        + chunk("a", "e")
        + opening("q")
        + chunk("a", "l"),
    ),
    "a completion whose first empty chunk has another id": (
        CHAT,
        opening("a") + opening("p") + chunk("a", "H") + opening("q") + chunk("a", "el"),
    ),
    "a completion with an empty chunk between pieces with ids and a role each": (
        CHAT,
        opening("a", "H") + opening("b") + opening("b", "e") + opening("c", "l"),
    ),
    "a completion with ids and roles, then a chunk without either": (
        CHAT,
        opening("a", "H") + opening("b", "e") + chunk(None, "l"),
    ),
    "a completion with openings, then chunks without an id": (
        CHAT,
        opening("a", "H") + opening("b") + chunk(None, "e") + chunk("", "l"),
    ),
    "a completion without ids": (CHAT, opening(None, "H") + chunk("", "e") + opening(None, "l")),
    "a completion with ids that are no texts": (CHAT, opening(1) + chunk(1, "H") + chunk(1, "el")),
    "a completion after the opening of a proxy": (
        CHAT,
        opening("p") + chunk("p") + opening("a") + chunk("a", "Hel"),
    ),
    "a completion after another's finish reason": (
        CHAT,
        opening("a")
        + chunk("a", "H")
        + CHAT.finish("stop", id="a")
        + opening("b")
        + chunk("b", "el"),
    ),
    "a candidate with an id for each chunk": (
        GEMINI,
        candidate("a", "H") + candidate("b", "e") + candidate("c", "l"),
    ),
    "a candidate with one id": (GEMINI, candidate("a", "H") + candidate("a", "el")),
    "a candidate whose last chunk has another id": (
        GEMINI,
        candidate("a", "H") + candidate("a", "el") + candidate("b", "", "STOP"),
    ),
    "a candidate after another's finish reason": (
        GEMINI,
        candidate("a", "H") + candidate("a", "e", "STOP") + candidate("b", "l"),
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
    """Nor is a block after the end of another on its index, nor a new id without a new opening."""
    ending = wire.finish(wire.stop) + wire.mark
    played = await play(wire, wire.opening + events + ending)
    assert played.text in ("Hel", "aa")
    assert played.ending == ("tool_calls" if played.calls else "stop")
