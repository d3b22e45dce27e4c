"""The opaque state in an answer: Claude's signed thinking, and the reasoning of servers that need it back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models import Delta, Reasoning, State, Text, ToolCallDelta
from providers.wires.decoder import Decoder
from providers.wires.kept_reasoning import KeptReasoningDecoder
from providers.wires.messages import MessagesDecoder
from providers.wires.vendor_stream import read_batches
from tests.vendors.scripted_response import EVENT_STREAM, ScriptedResponse
from tests.vendors.wire_streams import CHAT, CLAUDE, DONE, JSON_BODY, MESSAGE, named


async def decode(
    kind: type[Decoder], body: bytes, headers: dict[str, str] = EVENT_STREAM
) -> list[Any]:
    """The deltas of a whole answer."""
    batches = read_batches(
        ScriptedResponse(body, headers=headers).open, lambda: kind("p", "m"), 2**20
    )
    return [delta async for batch in batches for delta in batch if isinstance(delta, Delta)]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> bytes:
    """A block of Claude's, with its deltas."""
    pieces = [named("content_block_start", index=index, content_block=start)]
    pieces += [named("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join([*pieces, named("content_block_stop", index=index) if stop else b""])


def thinking(*texts: str, signatures: tuple[str, ...] = ("c2", "ln"), **options: Any) -> bytes:
    """A thinking block, whose signature comes last."""
    return block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        *({"type": "thinking_delta", "thinking": text} for text in texts),
        *({"type": "signature_delta", "signature": piece} for piece in signatures),
        **options,
    )


CALL = block(
    1,
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    {"type": "input_json_delta", "partial_json": '{"a": 1}'},
)
START = named("message_start", message=MESSAGE)
END = CLAUDE.finish("tool_use") + CLAUDE.mark


def states(deltas: list[Any]) -> list[Any]:
    """The states among the deltas, decoded. They are of the model that answers."""
    found = [delta.state for delta in deltas if getattr(delta, "state", None)]
    assert all((state.provider, state.model) == ("p", "m") for state in found)
    return [json.loads(state.data) for state in found]


async def test_signed_thinking_is_one_state_at_the_end_of_its_block() -> None:
    """The whole block, its text and its signature joined, after the pieces of its text and before the call."""
    deltas = await decode(MessagesDecoder, START + thinking("I ", "ponder ä.") + CALL + END)
    data = '{"type":"thinking","thinking":"I ponder ä.","signature":"c2ln"}'
    assert deltas == [
        Reasoning("I "),
        Reasoning("ponder ä."),
        Reasoning("", State("p", "m", data)),
        ToolCallDelta(0, "toolu_1", "look"),
        ToolCallDelta(0, arguments='{"a": 1}'),
    ]


async def test_thinking_that_is_not_shown_has_its_state() -> None:
    """With `display: omitted` there is a signature without text: the vendor needs that, too."""
    assert states(await decode(MessagesDecoder, START + thinking() + CALL + END)) == [
        {"type": "thinking", "thinking": "", "signature": "c2ln"}
    ]


async def test_redacted_thinking_is_a_state() -> None:
    """It has no text, and comes whole with the start of its block."""
    redacted = block(0, {"type": "redacted_thinking", "data": "ZW5j"})
    deltas = await decode(MessagesDecoder, START + redacted + CALL + END)
    assert deltas[0].text == ""
    assert states(deltas) == [{"type": "redacted_thinking", "data": "ZW5j"}]


@pytest.mark.parametrize(
    "body",
    [
        START + thinking("Hm.", signatures=()) + CALL + END,
        START + thinking("Hm.", stop=False) + CALL + END,
        START + block(0, {"type": "redacted_thinking"}) + CALL + END,
    ],
    ids=["no signature", "no end of the block", "no data"],
)
async def test_thinking_that_the_vendor_would_refuse_is_no_state(body: bytes) -> None:
    """Its text arrives all the same."""
    assert states(await decode(MessagesDecoder, body)) == []


async def test_blocks_of_several_thoughts_are_states_in_their_order() -> None:
    """Each is before what it led to."""
    second = thinking("B").replace(b'"index": 0', b'"index": 2')
    body = START + thinking("A") + block(1, {"type": "text", "text": "So."}) + second
    deltas = await decode(MessagesDecoder, body + CLAUDE.finish("end_turn") + CLAUDE.mark)
    assert [state["thinking"] for state in states(deltas)] == ["A", "B"]
    assert [type(delta) for delta in deltas].index(Text) == 2


async def test_halves_of_a_character_are_joined_in_the_state() -> None:
    """A lone half could not be sent back."""
    body = START + thinking("\ud83d", "\ude00") + CALL + END
    assert [state["thinking"] for state in states(await decode(MessagesDecoder, body))] == ["😀"]


async def test_whole_message_has_the_states_of_its_blocks() -> None:
    """A server that answers without a stream."""
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "text", "text": "So."},
    ]
    body = json.dumps({**MESSAGE, "content": content, "stop_reason": "end_turn"}).encode()
    assert states(await decode(MessagesDecoder, body, JSON_BODY)) == content[:2]


def local(*deltas: dict[str, Any]) -> bytes:
    """An answer of a local server with a call."""
    call = {"index": 0, "id": "call_1", "function": {"name": "look", "arguments": "{}"}}
    events = [*deltas, {"tool_calls": [call]}]
    chunks = [
        b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode()
        for delta in events
    ]
    return b"".join([*chunks, CHAT.finish("tool_calls"), DONE])


async def test_reasoning_of_a_local_server_is_the_state_of_its_first_call() -> None:
    """DeepSeek's field, joined."""
    body = local({"reasoning_content": "I "}, {"reasoning_content": "ponder."}, {"content": "So."})
    deltas = await decode(KeptReasoningDecoder, body)
    assert [type(delta) for delta in deltas][-2:] == [Reasoning, ToolCallDelta]
    assert states(deltas) == [{"reasoning_content": "I ponder."}]


async def test_pieces_of_reasoning_details_are_joined_by_type_and_index() -> None:
    """A signature is valid for the whole text alone. What has no index, or another type, is whole."""
    detail = {"type": "reasoning.text", "index": 0, "format": "f"}
    other = {"type": "reasoning.encrypted", "data": "ZW5j", "index": 0}
    whole = {"type": "reasoning.summary", "summary": "s"}
    body = local(
        {"reasoning_details": [{**detail, "text": "Let", "signature": None}]},
        {"reasoning_details": [{**detail, "text": " me."}, other]},
        {"reasoning_details": [{**detail, "signature": "c2ln"}, whole, whole]},
        {"reasoning_content": "Let me."},
    )
    assert states(await decode(KeptReasoningDecoder, body)) == [
        {
            "reasoning_details": [
                {**detail, "text": "Let me.", "signature": "c2ln"},
                other,
                whole,
                whole,
            ]
        }
    ]


async def test_answer_without_calls_has_no_reasoning_to_send_back() -> None:
    """Only a step of tools needs it."""
    chunk = json.dumps({"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]})
    body = b"data: %b\n\n" % chunk.encode() + CHAT.text("So.") + CHAT.finish("stop") + DONE
    assert states(await decode(KeptReasoningDecoder, body)) == []
