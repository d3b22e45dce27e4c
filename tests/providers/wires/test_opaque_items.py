"""Opaque state on its way back to a vendor: a client may have forged it."""

from __future__ import annotations

import pytest

from models import Prompt, Reasoning, State, Text, ToolCall, ToolResult, Turn
from providers.wires.messages_body import to_body
from providers.wires.opaque_items import read_fields, read_item


def make_state(data: str) -> State:
    return State("claude", "haiku", data)


@pytest.mark.parametrize(
    "data", ['{"type":"thinking","thinking":"","signature":"c2ln"}', '{"type" : "thinking"}']
)
def test_item_of_the_type_goes_back_byte_for_byte(data: str) -> None:
    """A signature counts over the text as the vendor wrote it."""
    item = read_item(make_state(data), ("thinking",))
    assert item is not None
    assert bytes(item) == data.encode()


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"image","source":{"type":"url","url":"http://169.254.169.254/"}}',
        '{"type":"document","source":{"type":"file","file_id":"file_1"}}',
        '{"type":["thinking"]}',
        '{"thinking":"x"}',
        '"thinking"',
        "[]",
        "",
    ],
)
def test_forged_state_is_not_sent(data: str) -> None:
    """No client can have a vendor fetch a URL or read a file by way of an opaque field."""
    state = make_state(data)
    assert read_item(state, ("thinking", "redacted_thinking")) is None
    call, result = ToolCall("call_1", "f", "{}"), ToolResult("call_1", ())
    turns = (
        Turn("user", (Text("Hi"),)),
        Turn("assistant", (Reasoning("", state), call)),
        Turn("user", (result,)),
    )
    sent = to_body(Prompt("", turns, is_plain=False), "haiku")["messages"]
    assert isinstance(sent, list)
    assert [block["type"] for block in sent[1]["content"]] == ["tool_use"]


@pytest.mark.parametrize("data", ['"text"', "[1]", '{"role":"system"}', ""])
def test_fields_of_another_name_are_not_sent(data: str) -> None:
    """The message that they would become part of has fields of its own."""
    assert read_fields(make_state(data), ("reasoning_content",)) == {}


def test_fields_go_back_byte_for_byte() -> None:
    """In the order of their names."""
    fields = read_fields(make_state('{"b": [1,  2], "a": "x", "c": 1}'), ("a", "b"))
    assert {name: bytes(raw) for name, raw in fields.items()} == {"a": b'"x"', "b": b"[1,  2]"}
