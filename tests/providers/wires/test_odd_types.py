"""Values of other types than expected, in every field of every wire: what can't be read is absent, the rest is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from models import Reasoning, Refusal, Text
from providers.wires.decoder import Batch
from providers.wires.sse_reader import Frame
from tests.vendors.wire_streams import (
    CHAT,
    CLAUDE,
    DONE,
    GEMINI,
    JSON_BODY,
    RESPONSES,
    WIRES,
    Wire,
    data,
    named,
    play,
)

ODD: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "false": b"false",
    "a number": b"7",
    "a negative number": b"-1",
    "a fraction": b"0.5",
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "a huge number": b"9" * 5000,
    "a huge exponent": b"1e999",
    "a text": b'"text"',
    "an empty text": b'""',
    "half a character": b'"\\ud83d"',
    "a list": b"[1,null,{}]",
    "an empty list": b"[]",
    "an object": b'{"a":{"b":[]}}',
    "an empty object": b"{}",
}
HOLE = "the odd value"

# By wire: events with a hole, which go into the midst of a whole answer. None of them can add text.
EVENTS: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"id": HOLE, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}}]},
        {"created": HOLE, "choices": [{"index": 0, "delta": {}}]},
        {"system_fingerprint": HOLE, "choices": [{"index": 0, "delta": {}, "logprobs": HOLE}]},
        {"choices": HOLE},
        {"choices": [HOLE, {"index": 0, "delta": {}}]},
        {"choices": [{"index": HOLE, "delta": {}}]},
        {"choices": [{"index": 0, "delta": HOLE}]},
        {"choices": [{"index": 0, "delta": {"role": HOLE}}]},
        {"choices": [{"index": 0, "delta": {"content": None, "reasoning_details": HOLE}}]},
        {
            "choices": [
                {"index": 0, "delta": {"content": [{"type": "reference", "reference_ids": HOLE}]}}
            ]
        },
        {"choices": [{"index": 0, "delta": {"tool_calls": HOLE}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": HOLE}]}}]},
        {"choices": [{"index": 0, "delta": {"function_call": HOLE}}]},
        {"choices": [{"index": 0, "delta": {}, "usage": HOLE}]},
        {"choices": [], "usage": HOLE},
        {
            "choices": [],
            "usage": {"prompt_tokens_details": HOLE, "completion_tokens_details": {"x": HOLE}},
        },
        {"choices": [], "x_groq": HOLE},
        {"choices": [], "x_groq": {"usage": HOLE}},
        {"nonstandard": HOLE},
    ],
    "claude": [
        {"type": "ping", "x": HOLE},
        {"type": "new_event", "delta": HOLE},
        {
            "type": "content_block_start",
            "index": HOLE,
            "content_block": {"type": "new_block", "text": HOLE},
        },
        {"type": "content_block_start", "index": 9, "content_block": HOLE},
        {
            "type": "content_block_start",
            "index": 9,
            "content_block": {"type": "server_tool_use", "input": HOLE},
        },
        {
            "type": "content_block_delta",
            "index": HOLE,
            "delta": {"type": "new_delta", "text": HOLE},
        },
        {"type": "content_block_delta", "index": 0, "delta": HOLE},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "citations_delta", "citation": HOLE},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": HOLE},
        },
        {"type": "content_block_stop", "index": HOLE},
        {"type": "message_delta", "delta": HOLE},
        {"type": "message_delta", "delta": {"stop_sequence": HOLE}, "usage": HOLE},
        {"type": "message_delta", "delta": {}, "usage": {"server_tool_use": HOLE}},
    ],
    "gemini": [
        {"candidates": HOLE},
        {"candidates": [HOLE]},
        {"candidates": [{"index": HOLE, "content": {}}]},
        {"candidates": [{"content": HOLE}]},
        {"candidates": [{"content": {"parts": HOLE}}]},
        {"candidates": [{"content": {"parts": [HOLE, {"thought": HOLE}]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"args": HOLE}}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": HOLE, "executableCode": HOLE}]}}]},
        {"candidates": [{"content": {}, "safetyRatings": HOLE, "groundingMetadata": HOLE}]},
        {"candidates": [], "promptFeedback": {"safetyRatings": HOLE}},
        {"candidates": [], "usageMetadata": HOLE},
        {"candidates": [], "usageMetadata": {"promptTokensDetails": HOLE, "trafficType": HOLE}},
        {"modelVersion": HOLE, "responseId": HOLE},
    ],
    "responses": [
        {"type": "keepalive", "sequence_number": HOLE},
        {"type": "response.new", "delta": HOLE, "text": HOLE, "response": HOLE, "item": HOLE},
        {"type": "response.in_progress", "response": HOLE},
        {"type": "response.in_progress", "response": {"output": HOLE, "usage": HOLE}},
        {"type": "response.in_progress", "response": {"incomplete_details": HOLE, "text": HOLE}},
        {"type": "response.output_text.delta", "delta": "", "logprobs": HOLE},
        {"type": "response.output_text.delta", "delta": None, "output_index": HOLE},
        {"type": "response.output_text.done", "text": HOLE},
        {"type": "response.refusal.done", "text": None, "refusal": None, "item_id": HOLE},
        {"type": "response.content_part.added", "part": HOLE},
        {"type": "response.output_item.added", "item": HOLE},
        {"type": "response.output_item.added", "item": {"type": "message", "content": HOLE}},
        {
            "type": "response.output_item.done",
            "item": {"type": "web_search_call", "action": HOLE, "arguments": HOLE, "name": HOLE},
        },
        {"type": "response.output_item.done", "item": {"type": "message", "content": HOLE}},
        {"type": "response.output_item.done", "item": {"type": "reasoning", "summary": HOLE}},
        {"type": "response.output_text.annotation.added", "annotation": HOLE},
    ],
}


def cases() -> Iterator[Any]:
    """Each event, on each wire."""
    for name, events in EVENTS.items():
        for event in events:
            yield pytest.param(
                WIRES[name], event, id=f"{name} {json.dumps(event).replace(HOLE, '*')}"[:100]
            )


@pytest.mark.parametrize(("wire", "event"), [*cases()])
async def test_an_odd_value_costs_no_answer(wire: Wire, event: dict[str, Any]) -> None:
    """Of each type, at each place: the text is what it would be without it, and the answer is whole."""
    text = json.dumps(event).encode()
    for name, odd in ODD.items():
        extra = data(text.replace(json.dumps(HOLE).encode(), odd))
        played = await play(wire, wire.answer(extra))
        assert (played.text, played.reasoning, played.ending) == ("Hello", "", "stop"), name


CONTENT_FIELDS = ["content", "reasoning", "reasoning_content", "refusal"]


@pytest.mark.parametrize("name", CONTENT_FIELDS)
@pytest.mark.parametrize("odd", [odd for odd in ODD.values() if not odd.startswith(b'"')])
async def test_content_of_another_type_is_absent(name: str, odd: bytes) -> None:
    """Nothing is made up of it, and the values beside it are read."""
    chunk = b'{"choices":[{"index":0,"delta":{"x":1,"%b":%b}}]}' % (name.encode(), odd)
    played = await play(CHAT, CHAT.answer(data(chunk)))
    assert (played.text, played.reasoning, played.refusal, played.ending) == (
        "Hello",
        "",
        "",
        "stop",
    )


async def test_values_beside_an_odd_one_are_read() -> None:
    """In the same event, on every wire."""
    chat = b'{"id":NaN,"choices":[{"index":0,"delta":{"content":"?","refusal":false}}]}'
    claude = b'{"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":"?","thinking":1}}'
    gemini = b'{"candidates":[{"index":null,"content":{"parts":[{"text":"?","thought":"no"},5]},"avgLogprobs":NaN}]}'
    responses = b'{"type":"response.output_text.delta","item_id":7,"delta":"?","logprobs":NaN}'
    events = (CHAT, chat), (CLAUDE, claude), (GEMINI, gemini), (RESPONSES, responses)
    for wire, event in events:
        played = await play(wire, wire.answer(data(event)))
        assert (played.text, played.ending) == ("Hel?lo", "stop")


PLAIN = [
    b"ping",
    b"1",
    b"null",
    b"true",
    b'"text"',
    b"[]",
    b"[1, 2]",
    b"processing...",
    b"[heartbeat]",
    b"a: b",
]


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@pytest.mark.parametrize("line", PLAIN)
async def test_data_that_is_no_object_is_ignored(wire: Wire, line: bytes) -> None:
    """Some proxies keep a connection open with such lines."""
    played = await play(wire, wire.answer(data(line)))
    assert (played.text, played.ending) == ("Hello", "stop")


# --- content as a list of parts ----------------------------------------------------------------------

PARTS: dict[str, tuple[Any, tuple[str, str, str]]] = {
    "text": ([{"type": "text", "text": "?"}], ("?", "", "")),
    "two texts": ([{"type": "text", "text": "?"}, {"type": "text", "text": "!"}], ("?!", "", "")),
    "thinking as a text": ([{"type": "thinking", "thinking": "Hm"}], ("", "Hm", "")),
    "thinking as parts": (
        [
            {
                "type": "thinking",
                "thinking": [{"type": "text", "text": "H"}, {"type": "text", "text": "m"}],
            }
        ],
        ("", "Hm", ""),
    ),
    "thinking, then text": (
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
            {"type": "text", "text": "?"},
        ],
        ("?", "Hm", ""),
    ),
    "a refusal": ([{"type": "refusal", "refusal": "No"}], ("", "", "No")),
    "a reference beside a text": (
        [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "?"}],
        ("?", "", ""),
    ),
    "texts alone": (["?", "!"], ("?!", "", "")),
    "a text alone beside a part": (["?", {"type": "text", "text": "!"}], ("?!", "", "")),
    "one part without a list": ({"type": "text", "text": "?"}, ("?", "", "")),
    "an object with a value": (
        [{"type": "text", "text": {"value": "?", "annotations": []}}],
        ("?", "", ""),
    ),
    "thinking as texts": ([{"type": "thinking", "thinking": ["H", "m"]}], ("", "Hm", "")),
    "odd parts": (
        [None, 5, "?", [], {"type": None}, {"type": "text", "text": None}],
        ("?", "", ""),
    ),
    "none": ([], ("", "", "")),
}


@pytest.mark.parametrize(("parts", "expected"), PARTS.values(), ids=PARTS)
async def test_content_as_a_list_of_parts_is_read(
    parts: Any, expected: tuple[str, str, str]
) -> None:
    """Mistral's reasoning models stream it so."""
    chunk = data({"choices": [{"index": 0, "delta": {"content": parts}}]})
    played = await play(CHAT, chunk + CHAT.finish("stop") + DONE)
    assert (played.text, played.reasoning, played.refusal) == expected
    assert played.ending == ("content_filter" if expected[2] else "stop")


def claude_delta(delta: object) -> bytes:
    return named("content_block_delta", index=0, delta=delta)


SHAPES: dict[str, tuple[Wire, bytes]] = {
    "chat: choices without a list": (
        CHAT,
        data({"choices": {"index": 0, "delta": {"content": "?"}}}),
    ),
    "chat: a choice with a text alone": (CHAT, data({"choices": [{"index": 0, "text": "?"}]})),
    "chat: a text beside the delta": (
        CHAT,
        data({"choices": [{"index": 0, "text": "?", "delta": {"content": "?"}}]}),
    ),
    "chat: a text as an object": (
        CHAT,
        data({"choices": [{"delta": {"content": {"value": "?"}}}]}),
    ),
    "gemini: parts without a list": (
        GEMINI,
        data({"candidates": [{"content": {"parts": {"text": "?"}}}]}),
    ),
    "gemini: content in a list": (
        GEMINI,
        data({"candidates": [{"content": [{"parts": [{"text": "?"}]}]}]}),
    ),
    "gemini: candidates without a list": (
        GEMINI,
        data({"candidates": {"content": {"parts": [{"text": "?"}]}}}),
    ),
    "claude: no type": (CLAUDE, claude_delta({"text": "?"})),
    "claude: a text in pieces": (CLAUDE, claude_delta({"type": "text_delta", "text": ["?"]})),
}


@pytest.mark.parametrize(("wire", "event"), SHAPES.values(), ids=SHAPES)
async def test_text_in_another_shape_is_read(wire: Wire, event: bytes) -> None:
    """An object without its list, a list around an object, text without its type: no text is lost."""
    played = await play(wire, wire.answer(event))
    assert (played.text, played.ending) == ("Hel?lo", "stop")


BODIES: dict[str, tuple[Wire, dict[str, Any]]] = {
    "chat: an empty delta beside the message": (
        CHAT,
        {"choices": [{"delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}]},
    ),
    "chat: a message beside the delta": (
        CHAT,
        {
            "choices": [
                {
                    "delta": {"content": "Hello"},
                    "message": {"content": "Hello"},
                    "finish_reason": "stop",
                }
            ]
        },
    ),
    "claude: content as a text": (
        CLAUDE,
        {"type": "message", "content": "Hello", "stop_reason": "end_turn"},
    ),
    "claude: a block without a type": (
        CLAUDE,
        {"type": "message", "content": [{"text": "Hello"}], "stop_reason": "end_turn"},
    ),
}


@pytest.mark.parametrize(("wire", "body"), BODIES.values(), ids=BODIES)
async def test_one_object_in_another_shape_is_an_answer(wire: Wire, body: dict[str, Any]) -> None:
    played = await play(wire, data(body)[6:], headers=JSON_BODY)
    assert (played.text, played.ending) == ("Hello", "stop")


# --- halves of a character ---------------------------------------------------------------------------


def escaped(wire: Wire, *texts: str) -> bytes:
    """The wire's events for the texts, in which `<` and `>` stand for the halves of one character."""
    events = b"".join(map(wire.text, texts))
    return events.replace(b"<", b"\\ud83e").replace(b">", b"\\uddc0")


HALVES = {
    "in one piece": (["a<>b"], "a🧀b"),
    "in neighbours": (["a<", ">b"], "a🧀b"),
    "halves alone": (["<", ">"], "🧀"),
    "an empty piece between": (["a<", "", ">b"], "a🧀b"),
    "a first half alone": (["a<", "b"], "a�b"),
    "a second half alone": (["a", ">b"], "a�b"),
    "a first half at the end": (["a<"], "a�"),
    "two first halves": (["a<", "<", ">"], "a�🧀"),
    "the wrong way round": (["a>", "<b"], "a��b"),
}


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@pytest.mark.parametrize(("texts", "joined"), HALVES.values(), ids=HALVES)
async def test_two_halves_in_neighbouring_pieces_are_one_character(
    wire: Wire, texts: list[str], joined: str
) -> None:
    """Some servers cut text between two escapes; a half without its other is U+FFFD."""
    stream = wire.opening + escaped(wire, *texts) + wire.finish(wire.stop) + wire.mark
    assert (await play(wire, stream)).text == joined
    apart = [event + b"\n\n" for event in stream.split(b"\n\n") if event]
    played = await play(wire, *apart)
    assert (played.text, played.ending) == (joined, "stop")


async def test_halves_of_other_content_are_joined_too() -> None:
    """Reasoning, refusals and a call's arguments, each for itself."""
    halves = [b"\\ud83e", b"\\uddc0"]
    kinds = (
        b'"reasoning":"%b"',
        b'"refusal":"%b"',
        b'"tool_calls":[{"index":0,"function":{"arguments":"%b"}}]',
    )
    opening = data(
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]},
                }
            ]
        }
    )
    chunks = [
        data(b'{"choices":[{"index":0,"delta":{%b}}]}' % (kind % half))
        for half in halves
        for kind in kinds
    ]
    played = await play(CHAT, opening, *chunks, CHAT.finish("stop"), DONE)
    assert (played.reasoning, played.refusal, played.calls) == ("🧀", "🧀", [["a", "f", "🧀"]])


async def test_finish_reason_is_sent_without_half_a_character() -> None:
    """Nothing that cannot be encoded for a client leaves a decoder."""
    chunk = b'{"choices":[{"index":0,"delta":{},"finish_reason":"odd\\ud83e"}]}'
    played = await play(CHAT, CHAT.text("Hello") + data(chunk) + DONE)
    assert played.finish
    assert (played.finish.finish_reason, played.finish.raw_finish_reason) == ("other", "odd�")


async def test_deltas_are_of_one_kind() -> None:
    """A chunk with text and reasoning is two deltas, the reasoning first."""
    chunk = data(
        {"choices": [{"index": 0, "delta": {"content": "a", "reasoning": "b", "refusal": "c"}}]}
    )
    batch: Batch = []
    CHAT.decoder().decode(Frame(chunk[6:-2]), batch)
    assert batch == [Reasoning("b"), Text("a"), Refusal("c")]


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
@pytest.mark.parametrize("control", [b"\t", b"\x00", b"\x1b", b"\x7f", b"\x0b"])
async def test_a_control_character_in_a_text_is_read(wire: Wire, control: bytes) -> None:
    """JSON has it escaped; some servers don't."""
    text = f"a{control.decode()}b"
    played = await play(wire, wire.answer(wire.text("a~b").replace(b"~", control)))
    assert (played.text, played.ending) == (f"Hel{text}lo", "stop")
    whole = data(wire.whole("a~b", wire.stop))[6:].replace(b"~", control)
    played = await play(wire, whole, headers=JSON_BODY)
    assert (played.text, played.ending) == (text, "stop")
