"""Tool calls on each wire: which piece belongs to which call, ids, places, arguments, and what they finish with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vendors.wire_streams import (
    CHAT,
    CLAUDE,
    DONE,
    GEMINI,
    JSON_BODY,
    MESSAGE,
    RESPONSES,
    Wire,
    data,
    named,
    play,
)


def piece(
    index: Any = 0, call_id: Any = None, name: Any = None, arguments: Any = None
) -> dict[str, Any]:
    """A piece of a call in chat completions."""
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


PIECES: dict[str, tuple[list[dict[str, Any]], list[list[str | None]]]] = {
    "one call": (
        [piece(0, "a", "f", ""), piece(0, arguments='{"x"'), piece(0, arguments=":1}")],
        [["a", "f", '{"x":1}']],
    ),
    "at once": ([piece(0, "a", "f", "{}")], [["a", "f", "{}"]]),
    "no arguments": ([piece(0, "a", "f")], [["a", "f", "{}"]]),
    "empty arguments": ([piece(0, "a", "f", ""), piece(0, arguments="")], [["a", "f", "{}"]]),
    "arguments as an object": ([piece(0, "a", "f", {"x": [1]})], [["a", "f", '{"x":[1]}']]),
    "arguments null as text": ([piece(0, "a", "f", "null")], [["a", "f", "{}"]]),
    "arguments null after the name": (
        [piece(0, "a", "f"), piece(0, arguments="null")],
        [["a", "f", "{}"]],
    ),
    "arguments as an empty list": ([piece(0, "a", "f", [])], [["a", "f", "{}"]]),
    "null and a list within arguments": (
        [
            piece(0, "a", "f", '{"x":'),
            *(piece(0, arguments=a) for a in ("null", ',"y":', "[]", "}")),
        ],
        [["a", "f", '{"x":null,"y":[]}']],
    ),
    "arguments as an empty object": ([piece(0, "a", "f", {})], [["a", "f", "{}"]]),
    "two calls": (
        [piece(0, "a", "f", "{}"), piece(1, "b", "g", "{}")],
        [["a", "f", "{}"], ["b", "g", "{}"]],
    ),
    "interleaved": (
        [
            piece(0, "a", "f"),
            piece(1, "b", "g"),
            *(piece(i, arguments=a) for i, a in ((0, "[1"), (1, "[2]"), (0, "]"))),
        ],
        [["a", "f", "[1]"], ["b", "g", "[2]"]],
    ),
    "two ids on one index": (
        [piece(0, "a", "f", "{}"), piece(0, "b", "f", '{"x"'), piece(0, arguments=":1}")],
        [["a", "f", "{}"], ["b", "f", '{"x":1}']],
    ),
    "id and name in each piece": (
        [piece(0, "a", "f", "{"), piece(0, "a", "f", "}")],
        [["a", "f", "{}"]],
    ),
    "an empty id in later pieces": (
        [piece(0, "a", "f", "{"), piece(0, "", "", "}")],
        [["a", "f", "{}"]],
    ),
    "the id after the name": ([piece(0, None, "f"), piece(0, "a", None, "{}")], [["a", "f", "{}"]]),
    "indexes that do not count": (
        [piece(3, "a", "f", "{}"), piece(7, "b", "g", "{}")],
        [["a", "f", "{}"], ["b", "g", "{}"]],
    ),
    "indexes from 1": ([piece(1, "a", "f", "{"), piece(1, arguments="}")], [["a", "f", "{}"]]),
    "index null": ([piece(None, "a", "f", "{"), piece(None, None, None, "}")], [["a", "f", "{}"]]),
    "index null, two ids": (
        [piece(None, "a", "f"), piece(None, "b", "g")],
        [["a", "f", "{}"], ["b", "g", "{}"]],
    ),
    "index as a text": ([piece("0", "a", "f", "{"), piece("0", arguments="}")], [["a", "f", "{}"]]),
    "no ids, two names": (
        [piece(0, None, "f", "{}"), piece(0, None, "g", "{}")],
        [[None, "f", "{}"], [None, "g", "{}"]],
    ),
    "no ids, one name twice": (
        [piece(0, None, "f", '{"x":1}'), piece(0, None, "f", '{"x":2}')],
        [[None, "f", '{"x":1}'], [None, "f", '{"x":2}']],
    ),
    "no ids, the name in each piece": (
        [piece(0, None, "f", "{"), piece(0, None, "f", "}")],
        [[None, "f", "{}"]],
    ),
    "odd fields": ([piece(0, 5, {"f": 1}, 1)], [[None, None, "1"]]),
    "nothing": ([{"index": 0}, {"index": 0, "function": None}, piece(0, "", "", "")], []),
}


@pytest.mark.parametrize(("pieces", "calls"), PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("reason", ["tool_calls", "stop"])
async def test_pieces_of_calls_are_kept_apart(
    pieces: list[dict[str, Any]], calls: list[list[str | None]], reason: str
) -> None:
    """A call's id and place are one through all its pieces; calls and a natural stop are `tool_calls`."""
    chunks = [data({"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]}) for each in pieces]
    played = await play(CHAT, CHAT.opening, *chunks, CHAT.finish(reason), DONE)
    assert played.calls == calls
    assert played.ending == ("tool_calls" if calls else reason)
    together = data({"choices": [{"index": 0, "delta": {"tool_calls": pieces}}]})
    assert (await play(CHAT, together + CHAT.finish(reason) + DONE)).calls == calls


async def test_calls_of_an_answer_that_is_no_stream_are_read() -> None:
    message = {"content": None, "tool_calls": [piece(None, "a", "f", "{}")]}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}]}
    played = await play(CHAT, json.dumps(whole).encode(), headers=JSON_BODY)
    assert (played.calls, played.ending) == ([["a", "f", "{}"]], "tool_calls")


@pytest.mark.parametrize(
    ("word", "ending"), [("length", "length"), ("content_filter", "content_filter")]
)
async def test_calls_that_are_cut_off_are_no_tool_calls(word: str, ending: str) -> None:
    chunk = data({"choices": [{"index": 0, "delta": {"tool_calls": [piece(0, "a", "f", '{"x')]}}]})
    played = await play(CHAT, chunk + CHAT.finish(word) + DONE)
    assert (played.calls, played.ending) == ([["a", "f", '{"x']], ending)


# --- Anthropic ---------------------------------------------------------------------------------------


def block(index: int, call_id: str = "toolu_1", kind: str = "tool_use", given: Any = None) -> bytes:
    content_block = {"type": kind, "id": call_id, "name": "f", "input": given}
    return named("content_block_start", index=index, content_block=content_block)


def arguments(index: int, text: str) -> bytes:
    return named(
        "content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": text}
    )


def closed(index: int) -> bytes:
    return named("content_block_stop", index=index)


BLOCKS: dict[str, tuple[bytes, list[list[str | None]]]] = {
    "after a text": (
        CLAUDE.text("Hi") + block(1, given={}) + arguments(1, "[1]") + closed(1),
        [["toolu_1", "f", "[1]"]],
    ),
    "no arguments": (block(1, given={}) + arguments(1, "") + closed(1), [["toolu_1", "f", "{}"]]),
    "no arguments, not closed": (block(1), [["toolu_1", "f", "{}"]]),
    "arguments in the block": (block(1, given={"x": 1}) + closed(1), [["toolu_1", "f", '{"x":1}']]),
    "arguments in the block and again": (
        block(1, given={"x": 1}) + arguments(1, '{"x":1}'),
        [["toolu_1", "f", '{"x":1}']],
    ),
    "two calls": (
        block(2, "a") + arguments(2, "[1]") + closed(2) + block(5, "b") + arguments(5, "[2]"),
        [["a", "f", "[1]"], ["b", "f", "[2]"]],
    ),
    "two calls on one index": (
        block(0, "a") + arguments(0, "[1]") + block(0, "b") + arguments(0, "[2]"),
        [["a", "f", "[1]"], ["b", "f", "[2]"]],
    ),
    "the same start twice": (
        block(1, "a") + block(1, "a") + arguments(1, "[1]"),
        [["a", "f", "[1]"]],
    ),
    "the vendor's own": (block(1, kind="server_tool_use") + arguments(1, "[1]"), []),
}


@pytest.mark.parametrize(("blocks", "calls"), BLOCKS.values(), ids=BLOCKS)
async def test_blocks_of_calls_are_numbered_by_their_place_among_the_calls(
    blocks: bytes, calls: list[list[str | None]]
) -> None:
    """A block's index counts texts too; ours counts calls."""
    for word in "tool_use", "end_turn":
        played = await play(CLAUDE, CLAUDE.opening + blocks + CLAUDE.finish(word) + CLAUDE.mark)
        assert played.calls == calls
        assert played.ending == ("stop" if word == "end_turn" and not calls else "tool_calls")


async def test_a_call_in_a_message_that_is_no_stream_is_read() -> None:
    content = [
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
    ]
    body = json.dumps({**MESSAGE, "content": content, "stop_reason": "tool_use"}).encode()
    played = await play(CLAUDE, body, headers=JSON_BODY)
    assert (played.text, played.calls, played.ending) == (
        "Hi",
        [["a", "f", '{"x":1}']],
        "tool_calls",
    )


# --- Gemini ------------------------------------------------------------------------------------------


def part(**call: Any) -> bytes:
    signed = {"functionCall": call, "thoughtSignature": "c2ln"}
    return data({"candidates": [{"content": {"parts": [signed]}, "index": 0}]})


def value(path: str, text: str, **more: Any) -> dict[str, Any]:
    return {"jsonPath": path, "stringValue": text, **more}


PARTS: dict[str, tuple[bytes, list[list[str | None]]]] = {
    "one": (part(name="f", args={"x": 1}), [[None, "f", '{"x": 1}']]),
    "an id": (part(name="f", id="a", args={}), [["a", "f", "{}"]]),
    "no arguments": (part(name="f"), [[None, "f", "{}"]]),
    "arguments null": (part(name="f", args=None), [[None, "f", "{}"]]),
    "arguments as an empty list": (part(name="f", args=[]), [[None, "f", "{}"]]),
    "arguments as text": (part(name="f", args='{"x": 1}'), [[None, "f", '{"x": 1}']]),
    "two": (
        part(name="f", id="a") + part(name="f", id="b", args={"x": 1}),
        [["a", "f", "{}"], ["b", "f", '{"x": 1}']],
    ),
    "in pieces": (
        part(name="f", id="a", willContinue=True)
        + part(partialArgs=[value("$.city", "Zü", willContinue=True)], willContinue=True)
        + part(partialArgs=[value("$.city", "rich")], willContinue=True)
        + part(partialArgs=[{"jsonPath": "$.days", "numberValue": 3}], willContinue=True)
        + part(partialArgs=[{"jsonPath": "$.fast", "boolValue": False}], willContinue=True)
        + part(partialArgs=[{"jsonPath": "$.from", "nullValue": "NULL_VALUE"}], willContinue=True)
        + part(),
        [["a", "f", '{"city":"Zürich","days":3,"fast":false,"from":null}']],
    ),
    "in pieces, nested": (
        part(name="f", willContinue=True)
        + part(
            partialArgs=[
                value("$.a.b[0].c", "x"),
                value("$.a.b[0].d", "y"),
                value("$.a.b[1]['e f']", "z"),
            ]
        ),
        [[None, "f", '{"a":{"b":[{"c":"x","d":"y"},{"e f":"z"}]}}']],
    ),
    "in pieces, never closed": (
        part(name="f", partialArgs=[value("$.a", "x")], willContinue=True),
        [[None, "f", '{"a":"x"}']],
    ),
    "in pieces, then another": (
        part(name="f", willContinue=True) + part(name="g", args={}),
        [[None, "f", "{}"], [None, "g", "{}"]],
    ),
    "no name": (part(args={"x": 1}), []),
    "an empty name": (part(name="", args={"x": 1}), [[None, None, '{"x": 1}']]),  # is refused later
    "nothing": (part(), []),
    "a pair in two pieces": (
        part(name="f", partialArgs=[value("$.a", "x\ud83d")], willContinue=True)
        + part(partialArgs=[value("$.a", "\ude00y")]),
        [[None, "f", '{"a":"x\N{GRINNING FACE}y"}']],
    ),
    "half a pair in pieces": (
        part(name="f", partialArgs=[value("$.a", "x\ud83d")]),
        [[None, "f", '{"a":"x\ufffd"}']],
    ),
    "half a pair": (
        part(name="f", args={"\ude00": "\ud83dx"}),
        [[None, "f", '{"\\ufffd": "\\ufffdx"}']],
    ),
    "a pair, and no escape": (
        part(name="f", args={"a": "\ud83d\ude00", "b": "\\ud83d"}),
        [[None, "f", r'{"a": "\ud83d\ude00", "b": "\\ud83d"}']],
    ),
}


@pytest.mark.parametrize(("parts", "calls"), PARTS.values(), ids=PARTS)
async def test_parts_of_calls_are_put_together(parts: bytes, calls: list[list[str | None]]) -> None:
    """Most calls are one part; arguments that are streamed come as values by their paths."""
    played = await play(GEMINI, GEMINI.opening + parts + GEMINI.finish("STOP"))
    assert (played.calls, played.ending) == (calls, "tool_calls" if calls else "stop")


@pytest.mark.parametrize("path", ["", "$", "$.a[5]", "$[0]", "$.a.b", "$" + ".b" * 2_000])
async def test_a_piece_that_leads_nowhere_is_a_bad_event(path: str) -> None:
    """Arguments that would lack something are never passed off as whole."""
    begun = part(name="f", partialArgs=[value("$.a", "x")], willContinue=True)
    played = await play(
        GEMINI, begun + part(partialArgs=[value(path, "y")]) + GEMINI.finish("STOP")
    )
    assert played.ending == "upstream_bad_event"


async def test_half_a_pair_in_arguments_that_are_an_object_is_replaced() -> None:
    played = await play(
        CLAUDE,
        CLAUDE.opening + block(1, given={"x": "\ud83d"}) + CLAUDE.finish("tool_use") + CLAUDE.mark,
    )
    assert played.calls == [["toolu_1", "f", '{"x":"\ufffd"}']]


async def test_a_pair_may_be_in_two_chunks_of_a_list() -> None:
    chunks = [
        GEMINI.text(text).removeprefix(b"data: ").strip() for text in ("a \ud83d", "\ude00 b\ud83d")
    ]
    body = b"[%b]" % b",".join([*chunks, GEMINI.finish("STOP").removeprefix(b"data: ").strip()])
    played = await play(GEMINI, body, headers=JSON_BODY)
    assert (played.text, played.ending) == ("a \N{GRINNING FACE} b\ufffd", "stop")


# --- all of them -------------------------------------------------------------------------------------


CALL_ITEM = {"type": "function_call", "name": "f"}


def added(index: int, call_id: str) -> bytes:
    """A call of the Responses wire, before its arguments."""
    item = {**CALL_ITEM, "call_id": call_id, "arguments": ""}
    return named("response.output_item.added", output_index=index, item=item)


# Two calls without arguments, of which the second one may have been cut.
BARE = {
    "chat": (
        CHAT,
        data({"choices": [{"delta": {"tool_calls": [piece(0, "a", "f"), piece(1, "b", "f")]}}]}),
        "length",
    ),
    "responses": (RESPONSES, added(1, "a") + added(2, "b"), "max_output_tokens"),
    "claude": (CLAUDE, block(1, "a") + closed(1) + block(2, "b") + closed(2), "max_tokens"),
    "claude, not closed": (CLAUDE, block(1, "a") + block(2, "b"), "max_tokens"),
    "gemini": (
        GEMINI,
        part(name="f", id="a", willContinue=True) + part(name="f", id="b", willContinue=True),
        "MAX_TOKENS",
    ),
}


@pytest.mark.parametrize(("wire", "calls", "word"), BARE.values(), ids=BARE)
async def test_call_that_is_cut_before_its_arguments_gets_none(
    wire: Wire, calls: bytes, word: str
) -> None:
    """`{}` is what a whole call has that needs none: the tool would run."""
    played = await play(wire, wire.opening + calls + wire.finish(word) + wire.mark)
    assert played.ending == "length"
    assert played.calls == [["a", "f", "{}"], ["b", "f", ""]]


async def test_arguments_in_pieces_that_are_cut_are_no_whole_json() -> None:
    begun = part(
        name="f", partialArgs=[value("$.city", "Zü", willContinue=True)], willContinue=True
    )
    played = await play(GEMINI, begun + GEMINI.finish("MAX_TOKENS"))
    assert (played.calls, played.ending) == ([[None, "f", '{"city":"Zü"']], "length")


@pytest.mark.parametrize("wire", [CHAT, CLAUDE, GEMINI], ids=["chat", "claude", "gemini"])
async def test_an_answer_without_calls_has_none(wire: Wire) -> None:
    assert (await play(wire, wire.answer())).calls == []
